"""Where this host keeps its cgroups: read once, decided purely.

Two files know. /proc/self/mountinfo (proc_pid_mountinfo(5)) lists where each hierarchy is mounted, and which part of
it:

    35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
    (4th field: the part of the hierarchy that is visible; 5th: where; after " - ": type, source, controllers)

/proc/self/cgroup lists every hierarchy, and where in it this process is:

    4:memory:/session/7        hierarchy 4 is v1 with the controller memory; we are in its cgroup /session/7
    9:name=systemd:/           v1 without a controller: a mere grouping of processes, systemd's
    0::/                       hierarchy 0 is always v2

The second one is asked which hierarchies there are, because only its names are unambiguous: the options of a mount may
hold other words beside the controllers, and several controllers may share one hierarchy (`cpu,cpuacct`).

An absolute path of a container's cgroup counts from what is mounted, as the OCI specification has it
(config-linux.md, "Cgroups Path"): where this process itself is does not matter, and may differ from hierarchy to
hierarchy. A relative one counts from this process's own cgroup; in v2 from its parent, since a v2 cgroup holds either
processes or cgroups with controllers, never both, and our own cgroup holds at least ourselves.
"""

import os
from collections.abc import Iterable

import msgspec

from runtime.errors import InvalidSpec
from runtime.linux.descriptors import read
from runtime.linux.mountinfo import MountPoint, mountinfo

VERSIONS = {"cgroup": 1, "cgroup2": 2}  # types of file systems
PAGE = 4096


class Hierarchy(msgspec.Struct, frozen=True):
    """One mounted hierarchy.

    `controllers` as /proc/self/cgroup names them ("cpu", "cpuacct" or "name=systemd"); for v2 what its root offers.
    `own` is this process's cgroup counted from the mount point, None if it lies outside what is mounted.
    """

    version: int
    mountpoint: str
    controllers: tuple[str, ...]
    own: str | None = "/"

    @property
    def name(self) -> str:
        """What /proc/self/cgroup calls it: the controllers, nothing for v2."""
        return ",".join(self.controllers) if self.version == 1 else ""

    def directory(self, path: str) -> str:
        """The directory of the cgroup `path` in this hierarchy. Raises InvalidSpec for a relative one with no start."""
        if path.startswith("/"):
            return self.mountpoint + path
        if self.own is None:
            raise InvalidSpec(f"cgroup path {path}: relative, but the own cgroup is outside of {self.mountpoint}")
        start = self.own if self.version == 1 else os.path.dirname(self.own)
        return f"{self.mountpoint}{start.rstrip('/')}/{path}"


class Layout(msgspec.Struct, frozen=True):
    """All hierarchies of a host: v1's, and v2's if it is mounted."""

    v1: tuple[Hierarchy, ...] = ()
    v2: Hierarchy | None = None

    @property
    def mode(self) -> str:
        """The usual word for it: "v1", "hybrid", "v2", or "none"."""
        if self.v1:
            return "v1" if self.v2 is None else "hybrid"
        return "none" if self.v2 is None else "v2"


def read_layout() -> Layout:
    """The layout of the host, as this process sees it. Raises OSError."""
    mounted = mounts(mountinfo(kind="cgroup"))
    second = next((mount for mount in mounted if mount.fstype == "cgroup2"), None)
    offered = read(f"{second.target}/cgroup.controllers", PAGE).decode() if second else ""
    return layout(mounted, read("/proc/self/cgroup", PAGE * 16).decode(errors="surrogateescape"), offered.split())


def mounts(every: Iterable[MountPoint]) -> tuple[MountPoint, ...]:
    """The cgroup file systems among the mounts, best first.

    Best is the one that shows most: a hierarchy may be mounted a second time with only a part of it visible. Android's
    `noprefix` mounts are left out, their files have other names.
    """
    found = (mount for mount in every if mount.fstype in VERSIONS and "noprefix" not in mount.super_options)
    return tuple(sorted(found, key=lambda mount: len(mount.root)))


def layout(mounted: Iterable[MountPoint], own: str, offered: Iterable[str]) -> Layout:
    """Match the mounts with the lines of /proc/self/cgroup (`own`); `offered` are the controllers of v2's root."""
    mounted = tuple(mounted)
    first: list[Hierarchy] = []
    second: Hierarchy | None = None
    for line in own.splitlines():
        number, names, path = line.split(":", 2)
        version, controllers = (2, ()) if number == "0" else (1, tuple(names.split(",")))
        same = (mount for mount in mounted if VERSIONS[mount.fstype] == version)
        mount = next((mount for mount in same if {*controllers} <= {*mount.super_options}), None)
        if mount is None:
            continue  # known to the kernel, but mounted nowhere: nobody can use it
        if version == 1:
            first.append(Hierarchy(1, mount.target, controllers, _below(mount.root, path)))
        else:
            second = Hierarchy(2, mount.target, tuple(offered), _below(mount.root, path))
    return Layout(tuple(first), second)


def _below(root: str, path: str) -> str | None:
    """`path` counted from `root`, None if it is not below it (another cgroup namespace shows it as `/../x`)."""
    if ".." in root.split("/") or os.path.commonpath((root, path)) != root:
        return None
    return "/" + path.removeprefix(root).strip("/")
