"""What a kernel has not is left out with a warning where Docker does so (moby, daemon_unix.go)."""

import msgspec

from pydocker.containers import updating
from pydocker.model.container import HostConfig
from pydocker.model.network import HOST
from runtime import cgroups

_SWAPPINESS = ("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory "
               "swappiness discarded.")
_OOM = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
_OOM_ALONE = ("OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
              "running out of resources.")
_PORTS = "Published ports are discarded when using host network mode"
_WEIGHT = "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."


class Kernel(msgspec.Struct, frozen=True):
    """What there may not be: version 1 of the memory controller, and a scheduler that weighs."""

    memory_v1: bool
    weights: bool


def here() -> Kernel:
    """This machine's."""
    return Kernel(any("memory" in tree.controllers for tree in cgroups.read_layout().v1), updating.weighs_devices())


def possible(host: HostConfig) -> tuple[HostConfig, list[str]]:
    """What is left of it here, and the warnings. The machine is asked only if there is something to be known."""
    ports = [_PORTS] if host.network_mode == HOST and (host.port_bindings or host.publish_all_ports) else []
    asked = host.oom_kill_disable or host.memory_swappiness is not None or host.blkio_weight
    host, warnings = left(host, here()) if asked else (host, [])
    return host, [*warnings, *ports]


def left(host: HostConfig, kernel: Kernel) -> tuple[HostConfig, list[str]]:
    """What is left of it on such a kernel. Pure."""
    warnings: list[str] = []
    dropped: dict[str, None] = {}
    if host.oom_kill_disable and not kernel.memory_v1:
        warnings.append(_OOM)
        dropped["oom_kill_disable"] = None
    elif host.oom_kill_disable and not host.memory:
        warnings.append(_OOM_ALONE)
    if host.memory_swappiness not in (None, -1) and not kernel.memory_v1:
        warnings.append(_SWAPPINESS)
        dropped["memory_swappiness"] = None
    weight: dict[str, int] = {}
    if host.blkio_weight and not kernel.weights:
        warnings.append(_WEIGHT)
        weight["blkio_weight"] = 0
    return msgspec.structs.replace(host, **dropped, **weight), warnings
