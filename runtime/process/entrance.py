"""Entering namespaces: the one fork that nobody gets around, done twice.

A process that calls unshare(CLONE_NEWPID), or setns with somebody's pid namespace, does not move: the next child that
it forks is the first inside. So there is an *entrance*: a short-lived process that changes the namespaces and forks the
process that stays. It tells the outside which pid that got, and ends; the orphan is adopted by the nearest subreaper
above (the container's monitor), which is thereby the one that learns its exit status.

Before anything of the container can be seen, the process is made unreadable for it: not dumpable, so that nobody inside
can ptrace it or look into its /proc (CVE-2016-9962), without descriptors of the host's (CVE-2024-21626; /dev/null as a
standard stream is exchanged for one that has no power over the host's file), and unable to import (CVE-2019-14271).
"""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from select import POLLIN, poll
from shlex import quote
from typing import TYPE_CHECKING, ClassVar, NoReturn

from runtime.cgroups import Cgroup
from runtime.errors import Fault, StepFailed
from runtime.linux import namespaces as n
from runtime.linux import null, prctl
from runtime.linux.descriptors import close_all_but
from runtime.process.guard import forbid_imports
from runtime.stage import Inside, Outside
from runtime.state import start_time
from runtime.step import Step
from runtime.sync import Attached, Channel, Disconnected, Failed, Pid, pair

if TYPE_CHECKING:
    from runtime.trace import Trace

KINDS = {  # the specification's name: flag, file in /proc/PID/ns, unshare(1)'s option
    "user": (n.CLONE_NEWUSER, "user", "--user"),
    "mount": (n.CLONE_NEWNS, "mnt", "--mount"),
    "uts": (n.CLONE_NEWUTS, "uts", "--uts"),
    "ipc": (n.CLONE_NEWIPC, "ipc", "--ipc"),
    "network": (n.CLONE_NEWNET, "net", "--net"),
    "pid": (n.CLONE_NEWPID, "pid", "--pid"),
    "cgroup": (n.CLONE_NEWCGROUP, "cgroup", "--cgroup"),
    "time": (n.CLONE_NEWTIME, "time", "--time"),
}


class Enter(Step[Outside], frozen=True):
    """Fork a process into new namespaces, and into those of others that were named by a path."""

    why: ClassVar[str] = (
        "namespaces are what makes a process a container: its own mounts, process numbers, names, network. A new pid "
        "namespace begins with the next child, hence two forks; the second one is the container's pid 1")
    manual: ClassVar[str] = "unshare(2), setns(2), namespaces(7), pid_namespaces(7)"
    new: tuple[str, ...]
    joined: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        joined = ", ".join(f"the {kind} namespace {path}" for kind, path in self.joined)
        new = f"new namespaces: {', '.join(self.new)}" if self.new else ""
        return f"fork a process into {' and '.join(filter(None, (joined, new))) or 'no other namespaces'}"

    def shell(self) -> str:
        enter = " ".join(f"--{KINDS[kind][1].replace('mnt', 'mount')}={quote(path)}" for kind, path in self.joined)
        unshare = " ".join(["unshare", *(KINDS[kind][2] for kind in self.new), "--fork", "--propagation unchanged"])
        return f"nsenter {enter} {unshare} \\" if enter else f"{unshare} \\"

    def apply(self, at: Outside) -> None:
        fork(at, self.enter)

    def enter(self) -> None:
        """In the entrance. What is joined comes first: what is new then belongs to it."""
        descriptors = [(os.open(path, os.O_RDONLY | os.O_CLOEXEC), KINDS[kind][0]) for kind, path in self.joined]
        for descriptor, flag in descriptors:
            n.setns(descriptor, flag)
            os.close(descriptor)
        # The cgroup namespace begins later, when the process is in its cgroup (NewCgroupNamespace).
        n.unshare(sum(KINDS[kind][0] for kind in self.new if kind != "cgroup"))

    def undo(self, at: Outside) -> None:
        end(at.pid)
        at.reap()


class Join(Step[Outside], frozen=True):
    """Fork a process into the namespaces of a running container."""

    why: ClassVar[str] = (
        "another process in the same container is one in the same namespaces; a pidfd names them all at once, and "
        "cannot come to mean another process meanwhile")
    manual: ClassVar[str] = "pidfd_open(2), setns(2)"
    pid: int
    start_time: int
    kinds: tuple[str, ...]

    def describe(self) -> str:
        return f"fork a process into the {', '.join(self.kinds)} namespaces of process {self.pid}"

    def shell(self) -> str:
        options = " ".join(f"--{KINDS[kind][1].replace('mnt', 'mount')}" for kind in self.kinds)
        return f"nsenter --target {self.pid} {options} \\"

    def apply(self, at: Outside) -> None:
        fork(at, self.enter)

    def enter(self) -> None:
        """In the entrance."""
        target = os.pidfd_open(self.pid)
        if start_time(self.pid) != self.start_time:
            raise StepFailed(f"process {self.pid}: no such process, the container has stopped")
        n.setns(target, sum(KINDS[kind][0] for kind in self.kinds))
        os.close(target)

    def undo(self, at: Outside) -> None:
        end(at.pid)
        at.reap()


class EnterCgroup(Step[Outside], frozen=True):
    """Move the new process into the container's cgroup."""

    why: ClassVar[str] = (
        "what it and all its descendants use is counted there, and limited; from outside, since only the host's side "
        "sees those files, and while the process sets up its mounts, since the kernel takes its time")
    manual: ClassVar[str] = "cgroups(7), cgroup.procs"
    cgroup: Cgroup
    beside: int | None = None  # the container's init, where the process is another one

    def describe(self) -> str:
        return f"move the process into the cgroup {', '.join(self.directories())}"

    def directories(self) -> list[str]:
        return list(self.cgroup.paths.values())

    def shell(self) -> str:
        return "; ".join(f"echo $$ > {quote(directory)}/cgroup.procs" for directory in self.directories())

    def apply(self, at: Outside) -> None:
        assert at.channel is not None, "the process exists"
        try:
            self.cgroup.enter(at.pid, beside=self.beside)
            at.channel.send(Attached())
        except Disconnected:
            at.channel.receive()  # it hung up, and said why before: this raises its reason
            raise
        except StepFailed:
            at.hear()
            raise


def fork(at: Outside, enter: Callable[[], None]) -> None:
    """Fork the entrance, which calls `enter` and forks the process that stays. Sets `at.channel` and `at.pid`."""
    here, there = pair()
    at.entrance = os.fork()
    if at.entrance == 0:
        inside(at, there, enter)
    there.close()
    at.channel = here
    try:
        message = here.receive()
    except Fault:
        at.reap()
        raise
    assert isinstance(message, Pid), message
    at.pid = message.pid


def inside(at: Outside, channel: Channel, enter: Callable[[], None]) -> NoReturn:
    """The entrance: never returns, whatever happens."""
    try:
        prctl.set_dumpable(False)
        trace = at.trace.on("entrance") if at.trace else None
        with told(trace, "OwnNull", "open /dev/null anew, by way of a read-only mount", "open_tree(2), null(4)"):
            null.replace()
        close_all_but({channel.reading, channel.writing, at.console_socket, *at.keep, trace.file if trace else -1})
        forbid_imports()
        with told(trace, "Enter", "enter the namespaces", "unshare(2), setns(2)"):
            enter()
        pid = os.fork()
        if pid == 0:
            stage = Inside(channel)
            stage.console_socket = at.console_socket
            stage.trace = trace and trace.on("inside")
            at.become(stage)
        channel.send(Pid(pid))
        os._exit(0)
    except Fault as error:
        report(channel, type(error).__name__, str(error))
    except OSError as error:
        path = f" {error.filename}" if error.filename else ""
        report(channel, "StepFailed", f"enter namespaces{path}: {str(error.strerror).lower()}")
    except BaseException as error:
        report(channel, "StepFailed", f"enter namespaces: {type(error).__name__}: {error}")


def told(trace: "Trace | None", step: str, what: str, manual: str) -> AbstractContextManager[None]:
    """What the entrance does is part of a step, or of none: for a trace it gets a name."""
    return trace.telling(step, what, manual) if trace else nullcontext()


def report(channel: Channel, kind: str, text: str) -> NoReturn:
    """Tell the outside, and end."""
    try:
        channel.send(Failed(kind, text))
    finally:
        os._exit(1)


def end(pid: int) -> None:
    """Kill the process, and return when it has ended (it may be nobody's child, or somebody else's)."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        ended = poll()
        ended.register(descriptor, POLLIN)
        ended.poll()
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
