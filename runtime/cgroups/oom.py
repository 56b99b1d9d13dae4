"""Hearing of the kernel's out-of-memory killer: one descriptor to wait on, and whether something happened.

v1   An eventfd(2) is tied to memory.oom_control by a line in cgroup.event_control (kernel, cgroup-v1/memory.rst,
     "OOM Control"). It is counted up at each OOM, and once more when the cgroup is removed.
v2   poll(2) says POLLPRI of memory.events when one of its numbers changed since it was read; `oom_kill` is the one
     (kernel, cgroup-v2.rst). The kernel tells at most every 10 ms, so after the container's end one looks once more.
"""

import os
from select import POLLIN, POLLPRI
from typing import Protocol

from runtime.cgroups import v1, v2
from runtime.cgroups.branch import MOST, refused, write
from runtime.cgroups.stats import keyed


class OomNotices(Protocol):
    """`descriptor` is to be polled for `mask`; `happened` tells how often since the last call, and never waits."""

    descriptor: int
    mask: int

    def happened(self) -> int: ...

    def close(self) -> None: ...


class Eventfd:
    """v1's way."""

    mask = POLLIN

    def __init__(self, directory: str, descriptor: int = -1) -> None:
        self._directory = directory
        if descriptor >= 0:
            self.descriptor = descriptor
            return
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        path = os.path.join(directory, "memory.oom_control")
        try:
            control = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            os.close(self.descriptor)
            raise refused(f"read {path}", error) from error
        try:
            write(directory, "cgroup.event_control", f"{self.descriptor} {control}")
        finally:
            os.close(control)

    def happened(self) -> int:
        try:
            count = os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return 0
        return count if os.path.exists(self._directory) else 0  # the last one is the cgroup's own end

    def close(self) -> None:
        os.close(self.descriptor)


class Events:
    """v2's way."""

    mask = POLLPRI

    def __init__(self, directory: str, descriptor: int = -1) -> None:
        path = os.path.join(directory, "memory.events")
        try:
            self.descriptor = descriptor if descriptor >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise refused(f"read {path}", error) from error
        self._before = 0
        self.happened()

    def happened(self) -> int:
        try:
            now = keyed(os.pread(self.descriptor, MOST, 0).decode()).get("oom_kill", 0)
        except OSError:  # ENODEV: the cgroup is gone
            return 0
        count, self._before = now - self._before, now
        return count

    def close(self) -> None:
        os.close(self.descriptor)


class Never:
    """A host where nobody counts memory: poll(2) takes no notice of a negative descriptor."""

    descriptor = -1
    mask = 0

    def happened(self) -> int:
        return 0

    def close(self) -> None:
        pass


def notices(first: tuple[v1.Branch, ...], second: v2.Branch | None, descriptor: int = -1) -> OomNotices:
    """Where the memory controller is; with the `descriptor` that another process listened by, what that one has not
    heard is heard here. Raises StepFailed if the cgroup is gone."""
    branch = next((branch for branch in first if "memory" in branch.controllers), None)
    if branch:
        return Eventfd(branch.directory, descriptor)
    if second and os.path.exists(os.path.join(second.directory, "memory.events")):
        return Events(second.directory, descriptor)
    return Never()
