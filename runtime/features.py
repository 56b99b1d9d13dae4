"""`features`: what this runtime can do, for callers that look before they ask (runtime-spec, features.md).

It says what the *code* can, whatever this machine's kernel can. Nothing here is a list of its own: names come from the
tables in which the plan itself looks them up, and what is supported is what the checks let pass.
"""

from typing import Any

from runtime import log
from runtime.cgroups import Layout
from runtime.cgroups.cgroup import DELEGATED
from runtime.cgroups.properties import PREFIX
from runtime.checks import complaints
from runtime.hooks import KINDS as HOOKS
from runtime.linux.capabilities import NAMES
from runtime.linux.namespaces import KINDS as NAMESPACES
from runtime.machine import Machine
from runtime.process import profile
from runtime.rootfs import options
from runtime.spec import (
    OCI_VERSION,
    Linux,
    LinuxIntelRdt,
    LinuxNamespace,
    LinuxSeccomp,
    NamespaceType,
    Process,
    Root,
    Spec,
)

OCI_VERSION_MIN = "1.0.0"  # what was added since is optional

# One that has everything (but cgroups): what is found wrong is then the specification's fault, and not this machine's.
ANY = Machine(cgroups=Layout(), capabilities=2**64 - 1, last=63, apparmor=True, selinux=True)


def features(version: str, *, systemd: bool) -> dict[str, Any]:
    """The features structure. `version` is this program's; `systemd`, whether its command line takes that driver."""
    return {
        "ociVersionMin": OCI_VERSION_MIN,
        "ociVersionMax": OCI_VERSION,
        "hooks": [*HOOKS],
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": sorted(kind for kind in NAMESPACES if namespace(kind)),
            "capabilities": [*NAMES],
            "cgroup": {"v1": True, "v2": True, "systemd": systemd, "systemdUser": False,
                       "rdma": "rdma" in DELEGATED},
            "seccomp": seccomp(),
            "apparmor": {"enabled": accepts(process=Process(cwd="/", args=("sh",), apparmor_profile="unconfined"))},
            "selinux": {"enabled": accepts(process=Process(cwd="/", args=("sh",), selinux_label="a:b:c:s0"))},
            "intelRdt": {"enabled": accepts(intel_rdt=LinuxIntelRdt(clos_id="a"))},
            "mountExtensions": {"idmap": {"enabled": recognised("idmap")}},
        },
        "potentiallyUnsafeConfigAnnotations": [PREFIX],
        "annotations": {"org.pydocker.runtime.version": version,
                        "org.opencontainers.runc.checkpoint.enabled": "false"},
    }


def accepts(process: Process | None = None, **linux: Any) -> bool:
    """Whether the checks let a specification with this pass."""
    namespaces = (LinuxNamespace(type=NamespaceType.MOUNT),)
    spec = Spec(oci_version=OCI_VERSION, process=process or Process(cwd="/", args=("sh",)), root=Root(path="rootfs"),
                linux=Linux(**{"namespaces": namespaces, **linux}))
    found = [path for path, words in complaints(spec, ANY) if "not supported" in words]
    log.debug(f"features: {linux or process}: {found or 'supported'}")
    return not found


def namespace(kind: str) -> bool:
    kinds = {NamespaceType.MOUNT, NamespaceType(kind)}
    return accepts(namespaces=tuple(LinuxNamespace(type=one) for one in kinds))


def mount_options() -> list[str]:
    """All words that are not a file system's own: by themselves, and with the r of the recursive ones before them."""
    words = {*options.ATTRIBUTES, *options.PROPAGATION, *options.NOTHING, *options.FLAGS,
             *(f"r{word}" for word in options.ATTRIBUTES)}
    return sorted(filter(recognised, words))


def recognised(word: str) -> bool:
    """Whether the parser takes it for one of ours; whatever it does not know is the file system's own."""
    return word in options.FLAGS or not options.parse((word,)).data


def seccomp() -> dict[str, Any]:
    return {
        "enabled": accepts(seccomp=LinuxSeccomp(default_action="SCMP_ACT_ALLOW")),
        "actions": sorted(profile.ACTIONS),
        "operators": sorted(profile.OPERATORS),
        "archs": sorted(profile.ARCHITECTURES),
        "knownFlags": sorted(profile.FLAGS),
        "supportedFlags": sorted(profile.FLAGS),
    }
