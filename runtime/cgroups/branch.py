"""One cgroup in one hierarchy: a directory. A container's cgroup is a bundle of these, see `cgroup`.

The protocol is what v1 and v2 have in common; what differs is how a process is stopped, killed and counted.

cgroup files are no ordinary files: a write is a command, and it is one write(2); what is wrong comes back as its errno.
"""

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from runtime.errors import StepFailed
from runtime.linux import descriptors

MOST = 16 << 20  # bytes: a list of two million processes
# What rmdir(2) and cgroup.procs say while processes or other cgroups are in a cgroup.
FEW = (errno.EBUSY, errno.ENOTEMPTY)
# A killed process leaves its cgroup some time after it was reaped (the kernel's css_free is deferred work).
PATIENCE = 10.0  # seconds until a cgroup that cannot be frozen, or removed, or does not die, is an error
LONGEST_NAP = 0.1  # seconds
DYING = 2.0  # seconds of trying to freeze what is to be killed
NAP = 0.001


class Branch(Protocol):
    """A cgroup of one hierarchy."""

    @property
    def name(self) -> str:
        """The hierarchy, as /proc/self/cgroup names it: "memory", "cpu,cpuacct", "name=systemd", "" for v2."""

    @property
    def directory(self) -> str:
        """Its absolute path."""

    def enter(self, pid: int) -> None:
        """Move a process, with all its threads, into the cgroup. Raises StepFailed."""

    def processes(self) -> list[int]:
        """The processes in it and below it, as far as this pid namespace has numbers for them."""


class Freezable(Protocol):
    """What can stop the processes of a cgroup, and let them go on."""

    @property
    def can_freeze(self) -> bool:
        """Whether the kernel has the file for it."""

    def freeze(self, patience: float = PATIENCE) -> None:
        """Stop all, within so many seconds. Raises StepFailed if one cannot be stopped, after thawing the others."""

    def thaw(self) -> None:
        """Let all go on."""


def read(directory: str, file: str) -> str:
    """The content of a cgroup file. Raises StepFailed."""
    path = os.path.join(directory, file)
    try:
        return descriptors.read(path, MOST).decode("ascii", "replace")
    except OSError as error:
        raise refused(f"read {path}", error) from error


def write(directory: str, file: str, value: str) -> None:
    """Write a value into a cgroup file. Raises StepFailed with the value in it."""
    path = os.path.join(directory, file)
    try:
        descriptors.write(path, value.encode())
    except OSError as error:
        raise refused(f"write {value!r} to {path}", error) from error


def refused(what: str, error: OSError) -> StepFailed:
    """The error for a cgroup file that the kernel would not take, or does not have."""
    reason = "this kernel has no such file" if error.errno == errno.ENOENT else (error.strerror or "").lower()
    return StepFailed(f"{what}: {reason} (cgroups(7))")


def tree(directory: str) -> Iterator[str]:
    """The cgroup and all below it, children before their parents. One that vanishes meanwhile is not there."""
    try:
        with os.scandir(directory) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for child in children:
        yield from tree(child)
    yield directory


def members(directory: str) -> list[int]:
    """The processes of one cgroup alone, or none if it is gone.

    A process outside of our pid namespace reads as 0, and kill(2) with 0 means ourselves: it is left out. A threaded
    cgroup of v2 lists only threads, of which any number stands for its process to kill(2).
    """
    try:
        try:
            listed = descriptors.read(os.path.join(directory, "cgroup.procs"), MOST)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            listed = descriptors.read(os.path.join(directory, "cgroup.threads"), MOST)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):  # removed before, or while we read
            return []
        raise refused(f"read {directory}/cgroup.procs", error) from error
    return [pid for pid in map(int, listed.split()) if pid]


def all_members(directory: str) -> list[int]:
    """The processes of the cgroup and of all cgroups below it."""
    return [pid for cgroup in tree(directory) for pid in members(cgroup)]


def kill_frozen(branch: Branch, freezer: Freezable) -> None:
    """SIGKILL everything while it is frozen, so that nothing forks away; it dies now (v2) or when thawed (v1)."""
    try:
        freezer.freeze(DYING)
    except StepFailed:
        kill_each(branch)  # one of them hangs in the kernel; it gets its signal, and dies when it comes back
        return
    for pid in branch.processes():
        _sigkill(pid)
    freezer.thaw()


def kill_each(branch: Branch) -> None:
    """SIGKILL again and again, as a process may have forked between looking and killing. Raises StepFailed."""
    deadline = time.monotonic() + PATIENCE
    while left := branch.processes():
        for pid in left:
            _sigkill(pid)
        if time.monotonic() > deadline:
            raise StepFailed(f"kill {branch.directory}: processes {left} are still there (kill(2))")
        time.sleep(NAP)


def _sigkill(pid: int) -> None:
    with suppress(ProcessLookupError):  # gone meanwhile, which is what was wanted
        os.kill(pid, signal.SIGKILL)


def remove(directory: str) -> None:
    """rmdir, children first (a container may have made some), until the kernel has let go of the last process.

    A cgroup that is not there is removed already. Raises StepFailed after ten seconds of EBUSY.
    """
    deadline, nap = time.monotonic() + PATIENCE, 0.001
    while True:
        try:
            _rmdir(directory)
            return
        except FileNotFoundError:
            continue  # a child went away by itself: look again
        except OSError as error:
            if error.errno not in FEW or time.monotonic() > deadline:
                raise StepFailed(f"remove cgroup {directory}: {(error.strerror or '').lower()} (rmdir(2))") from error
        time.sleep(nap)
        nap = min(nap * 2, LONGEST_NAP)


def _rmdir(directory: str) -> None:
    """rmdir(2), if that is refused, of what is below first. (To look takes longer, and most often there is nothing.)"""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in FEW:
            raise
        for cgroup in tree(directory):
            os.rmdir(cgroup)
