"""Control groups: the kernel's way to count, limit, stop and kill processes together.

A cgroup is a directory of a special file system. A process is in a cgroup when its number was written into the file
`cgroup.procs` there, and its children are born into the same one. A controller (memory, cpu, pids, …) gives the
directory files: numbers to read (memory.usage_in_bytes) and limits to write (memory.limit_in_bytes). Making a cgroup
is mkdir, setting a limit is echo, removing it is rmdir. Three kinds of hosts:

v1   Each controller has a tree of its own, mounted at its own place; some share one (`cpu,cpuacct`), and systemd has
     one without a controller (`name=systemd`). A container is a directory in *each* tree, and a process may be
     somewhere else in each of them. A new cpuset is empty and has to be filled before a process may enter. Devices are
     a controller with files. Stopping and killing all at once needs the freezer.

         /sys/fs/cgroup/memory/pydocker/<id>/{cgroup.procs,memory.limit_in_bytes,…}
         /sys/fs/cgroup/pids/pydocker/<id>/{cgroup.procs,pids.max,…}                    and so on

v2   One tree. A directory has the files of a controller if its parent passed it on (`cgroup.subtree_control`), and
     such a parent may hold no processes itself. Devices are decided by an eBPF program that is attached to the
     directory. `cgroup.freeze` and `cgroup.kill` are files.

         /sys/fs/cgroup/pydocker/<id>/{cgroup.procs,memory.max,pids.max,cgroup.kill,…}

both "hybrid": controllers are v1's, and a v2 tree without them (or with those that v1 does not use) beside them. A
     container is a directory in all trees; limits go where the controller is, and `cgroup.kill` works on the v2 side.

So a container's cgroup here is a `Cgroup`: one branch for each tree, plain data, safe to keep in a state file (msgspec
encodes it) and usable by any later process. How it is used:

    cgroup = cgroups.open("/pydocker/" + id)        where: decided from the host's layout, nothing is touched
    cgroup.steps(resources)                         the steps that make it (`runtime.step`), for a plan, purely
    cgroup.create(resources)                        … or apply them at once
    cgroup.enter(pid)                               before the process does anything: its children follow it
    cgroup.processes()  .stats()  .oom_kills()      looking
    cgroup.oom_notices()                            listening
    cgroup.apply(resources)  .freeze()  .thaw()     changing (update, pause)
    cgroup.kill()  .destroy()                       ending

Files in reading order: `layout` (which host is this), `files` with `memory`, `processor` and `traffic` (which value
goes into which file), `devices` and `program` (rules; as v1 lines; as eBPF), `branch`, `steps`, `v1`, `v2`, `cgroup`.
systemd's way, where it is asked for: `systemd` and `properties` (what to ask), `busctl` (asking).
Figures, which only looking needs: `stats` (their shape), `stats_v1`, `stats_v2`, `usage`, `oom`.
"""

from runtime.cgroups import v1, v2
from runtime.cgroups.cgroup import Cgroup
from runtime.cgroups.layout import Hierarchy, Layout, read_layout
from runtime.errors import InvalidSpec

__all__ = ["Cgroup", "Hierarchy", "Layout", "open", "preload", "read_layout"]

LONGEST_NAME = 255  # bytes; kernfs takes no longer one


def open(path: str, layout: Layout | None = None, *, systemd: bool = False) -> Cgroup:
    """The cgroup `path` of this host; it need not exist yet. With `systemd` it is one of its scopes (see `systemd`).

    An absolute path counts from where the hierarchies are mounted, a relative one from this process's own cgroup (see
    `layout`). Pass a `layout` to decide purely. Raises InvalidSpec for a path that leaves the tree or names its root.
    """
    layout = layout or read_layout()
    unit = None
    if systemd:
        from runtime.cgroups.systemd import unit as scope

        unit = scope(path)
        path = unit.path
    checked = _checked(path)
    first = tuple(v1.Branch(tree.mountpoint, tree.controllers, tree.directory(checked)) for tree in layout.v1)
    second = [v2.Branch(tree.mountpoint, tree.controllers, tree.directory(checked)) for tree in (layout.v2,) if tree]
    return Cgroup(first, second[0] if second else None, (unit.name, unit.slice) if unit else None)


def preload() -> None:
    """Import what the host's hierarchies will need: for a process whose forks are to find it there."""
    import runtime.cgroups.oom
    import runtime.cgroups.usage

    layout = read_layout()
    for tree in layout.v1:
        v1.controller(tree.mountpoint, next(iter(tree.controllers), ""))
    if not layout.v1:
        import runtime.cgroups.program
        import runtime.linux.bpf  # noqa: F401


def _checked(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    wrong = not parts or ".." in parts or not path.isprintable() or any(len(part.encode()) > LONGEST_NAME
                                                                        for part in parts)
    if wrong:
        raise InvalidSpec(f"$.linux.cgroupsPath: {path!r} is not the path of a cgroup")
    return "/" * path.startswith("/") + "/".join(parts)
