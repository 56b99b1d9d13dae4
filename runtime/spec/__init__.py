"""The OCI runtime specification 1.2 as types: config.json in, validated immutable values out.

    spec = decode(content)              raises InvalidSpec with the JSON path
    spec.linux.resources.memory.limit   names as in the specification, in Python's manner

`values` (what fields are made of), `config` and `linux` and `resources` (config.json), `state` (what `state` answers),
`defaults` (Docker's and runc's), `codec` (bytes to values and back).
"""

from runtime.spec.codec import decode, decode_process, document, encode
from runtime.spec.config import (
    ConsoleSize,
    CPUAffinity,
    Hook,
    Hooks,
    LinuxCapabilities,
    LinuxIOPriority,
    Mount,
    POSIXRlimit,
    Process,
    Root,
    Scheduler,
    Spec,
    User,
)
from runtime.spec.linux import (
    Linux,
    LinuxDevice,
    LinuxIDMapping,
    LinuxIntelRdt,
    LinuxNamespace,
    LinuxPersonality,
    LinuxSeccomp,
    LinuxSeccompArg,
    LinuxSyscall,
    LinuxTimeOffset,
    NamespaceType,
)
from runtime.spec.resources import (
    LinuxBlockIO,
    LinuxCPU,
    LinuxDeviceCgroup,
    LinuxHugepageLimit,
    LinuxInterfacePriority,
    LinuxMemory,
    LinuxNetwork,
    LinuxPids,
    LinuxRdma,
    LinuxResources,
    LinuxThrottleDevice,
    LinuxWeightDevice,
)
from runtime.spec.state import ContainerProcessState, State, Status

OCI_VERSION = "1.2.0"

__all__ = [
    "OCI_VERSION",
    "CPUAffinity",
    "ConsoleSize",
    "ContainerProcessState",
    "Hook",
    "Hooks",
    "Linux",
    "LinuxBlockIO",
    "LinuxCPU",
    "LinuxCapabilities",
    "LinuxDevice",
    "LinuxDeviceCgroup",
    "LinuxHugepageLimit",
    "LinuxIDMapping",
    "LinuxIOPriority",
    "LinuxIntelRdt",
    "LinuxInterfacePriority",
    "LinuxMemory",
    "LinuxNamespace",
    "LinuxNetwork",
    "LinuxPersonality",
    "LinuxPids",
    "LinuxRdma",
    "LinuxResources",
    "LinuxSeccomp",
    "LinuxSeccompArg",
    "LinuxSyscall",
    "LinuxThrottleDevice",
    "LinuxTimeOffset",
    "LinuxWeightDevice",
    "Mount",
    "NamespaceType",
    "POSIXRlimit",
    "Process",
    "Root",
    "Scheduler",
    "Spec",
    "State",
    "Status",
    "User",
    "decode",
    "decode_process",
    "document",
    "encode",
]
