"""Entering namespaces: the one fork that nobody gets around, and the containers for which it is done twice.

Nobody moves into another pid namespace: one begins, or is joined, with the next child. For most containers that is one
call, clone3(2): a child that is the first process of a new pid namespace, made in its cgroup at once, and that enters
all other namespaces itself (`Clone`).

It is not enough where the pid namespace has to belong to a user namespace, or is somebody else's: who is in there could
look at a process that still has the host's files and powers. So there is an *entrance* (`Enter`, and `Join` of exec): a
short-lived process that changes all namespaces and forks the process that stays. It tells the outside which pid that
got, and ends; the orphan is adopted by the nearest subreaper above (the container's monitor), which is thereby the one
that learns its exit status.

Leaving is the last thing that is done as the host's root. What only that root can do (open the sources of mounts that a
mapped root could not reach, make device nodes) are the plan's `leaving` steps; they are applied here before.

Before anything of the container can be seen, the process is made unreadable for it: not dumpable, so that nobody inside
can ptrace it or look into its /proc (CVE-2016-9962), without descriptors of the host's (CVE-2024-21626; /dev/null as a
standard stream is exchanged for one that has no power over the host's file), and unable to import (CVE-2019-14271).
"""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from select import POLLIN, poll
from shlex import quote
from typing import TYPE_CHECKING, ClassVar, NoReturn

from runtime.cgroups import Cgroup
from runtime.cgroups.branch import write
from runtime.cgroups.steps import braces
from runtime.errors import Fault, StepFailed
from runtime.linux import clone, null, prctl
from runtime.linux import namespaces as n
from runtime.linux.descriptors import close_all_but
from runtime.linux.namespaces import KINDS, become_its_root, join, set_clocks
from runtime.process.guard import forbid_imports
from runtime.process.joined import Joined
from runtime.stage import Inside, Outside
from runtime.state import start_time
from runtime.step import Step
from runtime.sync import Attached, Channel, Disconnected, Failed, Pid, pair

if TYPE_CHECKING:
    from runtime.trace import Trace


class Enter(Step[Outside], frozen=True):
    """Fork a process into new namespaces, and into those of others that were named by a path."""

    why: ClassVar[str] = (
        "namespaces are what makes a process a container: its own mounts, process numbers, names, network. A new pid "
        "namespace begins with the next child, hence two forks; the second one is the container's pid 1")
    manual: ClassVar[str] = "unshare(2), setns(2), namespaces(7), pid_namespaces(7)"
    new: tuple[str, ...]
    joined: tuple[Joined, ...] = ()
    user: bool = False  # whether a user namespace was made or opened before, to be entered first
    offsets: tuple[tuple[str, int, int], ...] = ()  # of the clocks of a new time namespace: name, seconds, nanoseconds

    def describe(self) -> str:
        joined = ", ".join([*(["the user namespace"] if self.user else []),
                            *(f"the {one.kind} namespace {one.path}" for one in self.joined)])
        new = f"new namespaces: {', '.join(self.new)}" if self.new else ""
        clocks = ", ".join(f"{clock} {seconds:+} s {nanoseconds} ns" for clock, seconds, nanoseconds in self.offsets)
        found = " and ".join(filter(None, (joined, new))) or "no other namespaces"
        return f"fork a process into {found}{' (clocks: ' + clocks + ')' if clocks else ''}"

    def shell(self) -> str:
        enter = [*(["--user=/proc/self/fd/8"] if self.user else []),
                 *(f"--{KINDS[one.kind][1].replace('mnt', 'mount')}={quote(one.path)}" for one in self.joined)]
        unshare = " ".join(["unshare", *(KINDS[kind][2] for kind in self.new if kind != "cgroup"),
                            *(f"--{quote(clock)} {seconds}" for clock, seconds, _ in self.offsets),
                            *(["--fork"] if {"pid", "time"} & {*self.new} else []), "--propagation unchanged"])
        return f"nsenter {' '.join(enter)} {unshare} \\" if enter else f"{unshare} \\"

    def apply(self, at: Outside) -> None:
        fork(at, lambda: self.opened(at.user_namespace))

    @property
    def own(self) -> int:
        """The flags of what the process leaves by itself.

        The cgroup namespace begins later, when the process is in its cgroup (NewCgroupNamespace).
        """
        return sum(KINDS[kind][0] for kind in self.new if kind != "cgroup")

    def opened(self, user: int) -> Callable[[], None]:
        """In the entrance: what is to be joined, by the names that it has here.

        The `leaving` steps may go into a copy of this mount namespace: names of mount namespaces are not copied.
        """
        joined = [(one, one.opened()) for one in self.joined]
        return lambda: self.enter(user, joined)

    def enter(self, user: int, joined: list[tuple[Joined, int]]) -> None:
        """What is joined comes before what is new, and the user namespace between.

        The host's root may join anybody's namespaces; the mapped root only those that its user namespace owns. What is
        new belongs to the user namespace that the process is in.
        """
        clocks = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC) if self.offsets else -1
        for one, descriptor in joined:
            one.enter(descriptor)
        if self.user:
            join(user, n.CLONE_NEWUSER, "user")
            become_its_root()
        n.unshare(self.own)
        if self.offsets:
            set_clocks(clocks, self.offsets)

    def undo(self, at: Outside) -> None:
        end(at.pid)
        at.reap()
        bury(at.pid)


class Clone(Enter, frozen=True):
    """The same with a single fork, for who may still be the host's root in the new pid namespace: nobody else is there.

    `cgroup` is the directory in v2's hierarchy where the child is made.
    """

    why: ClassVar[str] = (
        "namespaces are what makes a process a container: its own mounts, process numbers, names, network. A pid "
        "namespace begins with a child; the others that child enters by itself. It is made in its cgroup of v2, since "
        "to be moved there it would have to wait for all processors")
    manual: ClassVar[str] = "clone3(2), unshare(2), setns(2), namespaces(7), pid_namespaces(7)"
    cgroup: str = ""

    def describe(self) -> str:
        return f"{super().describe()}{', in the cgroup ' + self.cgroup if self.cgroup else ''}"

    def apply(self, at: Outside) -> None:
        at.channel, there = pair()
        at.channel.lost = at.lost
        descriptor = os.open(self.cgroup, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if self.cgroup else -1
        try:
            at.pid = clone.fork(n.CLONE_NEWPID if "pid" in self.new else 0, descriptor)
            if at.pid == 0:
                inside(at, there, lambda: self.opened(-1), lambda: None)
        except OSError as error:
            # EBUSY: the cgroup passes controllers on; EAGAIN, ENOSPC: too many processes, or namespaces.
            raise StepFailed(f"{self.describe()}: {str(error.strerror).lower()} (clone3(2))") from error
        finally:
            there.close()
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def own(self) -> int:
        return super().own & ~n.CLONE_NEWPID


class EnterCgroup(Step[Inside], frozen=True):
    """The process enters the container's cgroup itself: `first` in hierarchies of v1; in `second`, v2's, it was made.

    That it is the process itself which writes 0, and the file v1's `tasks`, is what makes it fast: see `linux.clone`.
    """

    why: ClassVar[str] = (
        "what it and all its descendants use is counted there, and limited; first of all, as it has to be in its "
        "cgroup before a cgroup namespace begins, and while it can still see those files")
    manual: ClassVar[str] = "cgroups(7), tasks"
    first: tuple[str, ...]
    second: str = ""

    def describe(self) -> str:
        return f"enter the cgroup {', '.join(self.first)}" if self.first else f"be in the cgroup {self.second}"

    def shell(self) -> str:
        directories = braces((*self.first, *([self.second] if self.second else [])))
        return f"for cgroup in {directories}; do echo 0 > \"$cgroup\"/cgroup.procs; done  # 0: whoever writes"

    def apply(self, at: Inside) -> None:
        for directory in self.first:
            write(directory, "tasks", "0")
        at.attached = True


class MoveIntoCgroup(Step[Outside], frozen=True):
    """Move the new process into the container's cgroup: where it could not do so itself, or not at that moment."""

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
        directories = braces(tuple(self.directories()))
        return f"for cgroup in {directories}; do echo 0 > \"$cgroup\"/cgroup.procs; done  # 0: whoever writes"

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


def fork(at: Outside, opened: Callable[[], Callable[[], None]]) -> None:
    """Fork the entrance, which calls `opened`, leaves by what that returns, and forks the process that stays.

    Sets `at.channel` and `at.pid`.
    """
    at.channel, there = pair()
    at.channel.lost = at.lost
    try:
        at.entrance = os.fork()
        if at.entrance == 0:
            inside(at, there, opened, lambda: fork_who_stays(there))
    finally:
        there.close()
    try:
        message = at.channel.receive()
    except Fault:
        lost = end_late(at.channel)
        at.reap()
        bury(lost)
        raise
    assert isinstance(message, Pid), message
    at.pid = message.pid


def end_late(channel: Channel) -> int:
    """End the process that said that it failed before the entrance said which one it is; the entrance still will,

    unless it is the one that failed: then the channel is at its end. Returns the process, or 0.
    """
    try:
        message = channel.receive()
    except Disconnected:
        return 0
    if not isinstance(message, Pid):
        return 0
    end(message.pid)
    return message.pid


def bury(pid: int) -> None:
    """Reap a process that has ended, if it is ours: a subreaper adopted it when the entrance had gone.

    As a zombie it would be left to whoever adopts it next, and until that one waits, its pid namespace cannot end: the
    init, killed, waits for all others to be reaped, and is neither running nor gone (pid_namespaces(7)).
    """
    with suppress(ChildProcessError):
        if pid:
            os.waitpid(pid, os.WNOHANG)


def inside(at: Outside, channel: Channel, opened: Callable[[], Callable[[], None]],
           stay: Callable[[], None]) -> NoReturn:
    """In the new process, up to the namespaces and beyond: never returns, whatever happens.

    `stay` returns in the process that becomes the container's.
    """
    try:
        prctl.set_dumpable(False)
        forget_handlers()
        trace = at.trace.on("leaving") if at.trace else None
        with told(trace, "OwnNull", "open /dev/null anew, by way of a read-only mount", "open_tree(2), null(4)"):
            null.replace()
        close_all_but({channel.reading, channel.writing, at.console_socket, at.user_namespace, *at.keep,
                       trace.file if trace else -1})
        forbid_imports()
        stage = Inside(channel)
        stage.console_socket, stage.user_namespace, stage.trace = at.console_socket, at.user_namespace, trace
        enter = opened()
        at.leave(stage)
        with told(trace, "Enter", "enter the namespaces", "unshare(2), setns(2)"):
            enter()
        stay()
        stage.filter = at.filter
        stage.trace = trace and trace.on("inside")
        at.become(stage)
    except Fault as error:
        report(channel, type(error).__name__, str(error))
    except OSError as error:
        path = f" {error.filename}" if error.filename else ""
        report(channel, "StepFailed", f"enter namespaces{path}: {str(error.strerror).lower()}")
    except BaseException as error:
        report(channel, "StepFailed", f"enter namespaces: {type(error).__name__}: {error}")


def forget_handlers() -> None:
    """Who called us may handle signals, and be woken by a descriptor; its number will soon be another one's."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def fork_who_stays(channel: Channel) -> None:
    """The entrance's end: its child goes on."""
    pid = os.fork()
    if pid:
        channel.send(Pid(pid))
        os._exit(0)


def told(trace: "Trace | None", step: str, what: str, manual: str) -> AbstractContextManager[None]:
    """What is done before the plan's steps is part of a step, or of none: for a trace it gets a name."""
    return trace.telling(step, what, manual) if trace else nullcontext()


def report(channel: Channel, kind: str, text: str) -> NoReturn:
    """Tell the outside, and end."""
    try:
        channel.send(Failed(kind, text))
    finally:
        os._exit(1)


def end(pid: int, began: int | None = None) -> None:
    """Kill the process, and return when it has ended (it may be nobody's child, or somebody else's).

    With `began`, only if that is its start time: the number may have come to mean another process.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if began is not None and start_time(pid) != began:
            return
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        ended = poll()
        ended.register(descriptor, POLLIN)
        ended.poll()
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
