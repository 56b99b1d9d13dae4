"""cgroup v1: a tree of cgroups for each controller, and a process has a place in each of them.

cgroupspy knows the files of v1's controllers. Of its nodes a controller needs nothing but the path of its directory, so
a path is all that it is given; its `Tree` would walk all cgroups of the host first. It has no classes for pids,
freezer, hugetlb and the named hierarchies: those get its plain `Controller`, which reads and writes files by their
name. It is imported when the first v1 controller is used, as a host of v2 needs none of it.
"""

import errno
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec

from runtime.cgroups import steps
from runtime.cgroups.branch import NAP, PATIENCE, all_members, read, refused
from runtime.cgroups.steps import levels
from runtime.errors import StepFailed
from runtime.linux import calls
from runtime.step import Step


class Place:
    """What cgroupspy's controllers want of a node: its path, as bytes."""

    def __init__(self, directory: str) -> None:
        self.full_path = os.fsencode(directory)


def controller(directory: str, name: str) -> Any:
    """cgroupspy's controller object for one directory of a hierarchy."""
    from cgroupspy import controllers  # type: ignore[import-untyped]

    own = {"memory": controllers.MemoryController, "cpuset": controllers.CpuSetController,
           "cpu": controllers.CpuController, "cpuacct": controllers.CpuAcctController,
           "devices": controllers.DevicesController, "blkio": controllers.BlkIOController,
           "net_cls": controllers.NetClsController, "net_prio": controllers.NetPrioController}
    found = own.get(name, controllers.Controller)(Place(directory))
    if calls.made is not None:
        found.set_property = noted(found.set_property, directory)
    return found


def noted(write: Callable[[bytes, object], object], directory: str) -> Callable[[bytes, object], None]:
    """cgroupspy's one way to write, for a trace: all its properties end there."""
    def set_property(file: bytes, value: object) -> None:
        calls.note("write", os.path.join(directory, file.decode()), str(value))
        write(file, value)

    return set_property


@contextmanager
def _naming(what: str, path: str) -> Iterator[None]:
    """cgroupspy opens with O_CREAT, so that a missing file says EACCES: look, and name what was to be done."""
    try:
        yield
    except OSError as error:
        missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        raise refused(f"{what} {path}", error if os.path.exists(path) else missing) from error


class Branch(msgspec.Struct, frozen=True):
    """A cgroup in one v1 hierarchy."""

    mountpoint: str
    controllers: tuple[str, ...]
    directory: str

    @property
    def name(self) -> str:
        return ",".join(self.controllers)

    def controller(self, name: str = "") -> Any:
        """cgroupspy's object for one of the controllers of this hierarchy."""
        return controller(self.directory, name or self.controllers[0])

    def enter(self, pid: int) -> None:
        with _naming(f"move process {pid} by", os.path.join(self.directory, "cgroup.procs")):
            self.controller().procs = [pid]

    def processes(self) -> list[int]:
        return all_members(self.directory)


class Freezer(msgspec.Struct, frozen=True):
    """v1's only way to stop or kill a whole cgroup: its processes do not run while they are frozen, so none can
    fork."""

    branch: Branch

    def freeze(self, patience: float = PATIENCE) -> None:
        """Stop all processes. Raises StepFailed if the kernel cannot stop one (in an uninterruptible wait)."""
        deadline = time.monotonic() + patience
        while True:
            self._order("FROZEN")
            if self._state() == "FROZEN":
                return
            if time.monotonic() > deadline:
                self._order("THAWED")
                raise StepFailed(f"freeze {self.branch.directory}: a process in it cannot be stopped (freezer)")
            time.sleep(NAP)

    def thaw(self) -> None:
        """Let them run again. Raises StepFailed."""
        self._order("THAWED")

    @property
    def can_freeze(self) -> bool:
        return os.path.exists(os.path.join(self.branch.directory, "freezer.state"))

    def _order(self, state: str) -> None:
        with _naming(f"write {state} to", os.path.join(self.branch.directory, "freezer.state")):
            self.branch.controller("freezer").set_property(b"freezer.state", state)

    def _state(self) -> str:
        with _naming("read", os.path.join(self.branch.directory, "freezer.state")):
            return str(self.branch.controller("freezer").get_property(b"freezer.state"))


class SetLimit(steps.SetLimit, frozen=True, kw_only=True):
    """One value into one file of a v1 controller, through cgroupspy."""

    controller: str

    def apply(self, at: object) -> None:
        with steps.naming(self.field), _naming(f"write {self.value!r} to", self.path):
            try:
                controller(self.directory, self.controller).set_property(self.file.encode(), self.value)
            except OSError as error:
                if error.errno == errno.EBUSY and self.file == "memory.limit_in_bytes":
                    raise self._too_low() from error
                raise

    def _too_low(self) -> StepFailed:
        """What is in use cannot be swapped out or dropped. The words are runc's."""
        used, most = (read(self.directory, f"memory.{name}_in_bytes").strip() for name in ("usage", "max_usage"))
        return StepFailed(f"unable to set memory limit to {self.value} (current usage: {used}, peak usage: {most})")


class InheritCpuset(Step[object], frozen=True):
    """A new v1 cpuset has no CPUs and no memory nodes, and no process can be moved into such a one."""

    why: ClassVar[str] = "cgroup v1 starts a cpuset empty; each level takes its parent's CPUs and memory nodes"
    manual: ClassVar[str] = "cpuset(7)"
    mountpoint: str
    directory: str

    def describe(self) -> str:
        return f"give the cpuset {self.directory} the CPUs and memory nodes of the cgroups above"

    def shell(self) -> str:
        loop = "for f in cpuset.cpus cpuset.mems; do [ -n \"$(cat $c/$f)\" ] || cat $c/../$f > $c/$f; done"
        return f"for c in {shlex.join(levels(self.mountpoint, self.directory)[1:])}; do {loop}; done"

    def apply(self, at: object) -> None:
        for name in ("cpus", "mems"):
            filled(levels(self.mountpoint, self.directory), name)


def filled(levels: list[str], name: str) -> set[int]:
    """The CPUs or memory nodes of the last of these levels, which gets those of the one above if it has none."""
    *above, level = levels
    own = controller(level, "cpuset")
    with _naming(f"inherit cpuset.{name} in", level):
        found: set[int] = getattr(own, name)
        if above and not found:
            found = filled(above, name)
            setattr(own, name, found)
        return found


class LimitDevices(Step[object], frozen=True):
    """The lines for devices.deny and devices.allow, in order."""

    why: ClassVar[str] = "a container may make device nodes (CAP_MKNOD); it must not be able to open the host's disks"
    manual: ClassVar[str] = "cgroups(7), devices; kernel Documentation/admin-guide/cgroup-v1/devices.rst"
    directory: str
    lines: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        words = ", ".join(f"{file.removeprefix('devices.')} {'all' if line == 'a' else line}"
                          for file, line in self.lines)
        return f"decide on the devices of {self.directory}: {words}"

    def shell(self) -> str:
        return "; ".join(f"echo {shlex.quote(line)} > {shlex.quote(os.path.join(self.directory, file))}"
                         for file, line in self.lines)

    def apply(self, at: object) -> None:
        devices = controller(self.directory, "devices")
        for file, line in self.lines:
            with _naming(f"write {line!r} to", os.path.join(self.directory, file)):
                devices.set_property(file.encode(), line)
