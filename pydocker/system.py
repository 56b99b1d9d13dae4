"""What `version` and `info` tell about this engine and its host. Facts are read from the kernel when asked."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from pydocker.wire.info import Host


def host() -> Host:
    """This machine, now."""
    release = _os_release()
    uname = os.uname()
    version, controllers = _cgroups()
    return Host(
        kernel=uname.release, machine=uname.machine, name=uname.nodename,
        system=release.get("PRETTY_NAME", "Linux"), system_version=release.get("VERSION_ID", ""),
        cpus=len(os.sched_getaffinity(0)), memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        cgroup_version=version, controllers=controllers,
    )


def python() -> str:
    """What runs the engine; it stands where Docker names its Go."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def _os_release() -> Mapping[str, str]:
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.exists():
            lines = path.read_text(errors="replace").splitlines()
            return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    return {}


def _cgroups() -> tuple[int, frozenset[str]]:
    """1 and the v1 hierarchies' controllers if there are any, else 2 and v2's (cgroups(7), /proc/self/mountinfo).

    On a hybrid host a v2 hierarchy stands beside the v1 ones, which do the work: that counts as 1.
    """
    old: set[str] = set()
    unified = ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup":
            old.update(options.split(","))
        elif kind == "cgroup2":
            unified = unified or before.split(" ")[4]
    if used := old & {"memory", "cpu", "cpuset", "pids", "blkio"}:
        return 1, frozenset(used)
    return 2, frozenset(Path(unified, "cgroup.controllers").read_text().split() if unified else ())


def machine_id() -> str:
    """This machine's own identifier (machine-id(5)), empty if it has none."""
    path = Path("/etc/machine-id")
    return path.read_text().strip() if path.exists() else ""
