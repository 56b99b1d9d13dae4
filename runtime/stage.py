"""The stages on which steps are applied: what exists only while a plan runs.

`Outside` is the process that was called (`create`, `exec`): it stays in the host's namespaces. `Inside` is the process
that becomes the container's, from the entrance on. Everything that can be known beforehand is in the steps.

`Placed` is for what has steps at several places of a plan (hooks, a seccomp filter), and in most plans none.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from runtime.state import start_time
from runtime.step import Step
from runtime.sync import EARLY, Attached, Channel

if TYPE_CHECKING:
    from runtime.trace import Trace


class Inside:
    """Seen from init, or from a process that joins."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.root = -1  # the container's root directory (O_PATH), once its mount exists
        self.fifo = -1  # exec.fifo
        self.answer = -1  # where `start` hears how the last hooks went, if there are any
        self.console_socket = -1  # where the terminal's master is to be sent
        self.terminal = -1  # the terminal's slave side
        self.program = ""  # what was found for args[0]
        self.filter = b""  # the seccomp program
        self.listener = -1  # where its notifications come
        self.home = ""  # HOME, where the environment has none
        self.trace: Trace | None = None
        self.user_namespace = -1  # the container's, until it was entered
        self.trees: dict[int, int] = {}  # mounts that the leaving steps made, to be attached: number, descriptor
        self.attached = False
        self.started = False  # after that, nobody listens to the channel

    def await_cgroup(self) -> None:
        """Return when this process is in its cgroup. Raises Disconnected if the process outside dies."""
        if not self.attached:
            message = self.channel.receive()
            assert isinstance(message, Attached), message
            self.attached = True


class Outside:
    """Seen from the process that was called. In the new process, `leave` runs the steps before it leaves the host's
    namespaces, and `become` the inner ones; that never returns."""

    def __init__(self, leave: Callable[[Inside], None], become: Callable[[Inside], NoReturn]) -> None:
        self.leave = leave
        self.become = become
        self.channel: Channel | None = None
        self.pid = 0
        self.entrance = 0  # the process that forked `pid`, until it is reaped
        self.console_socket = -1
        self.filter = b""  # the seccomp program
        self.trace: Trace | None = None
        self.lost: Callable[[], str] = lambda: EARLY  # why the process ended before it was ready, if it did not say so
        self.remember: Callable[[], None] = lambda: None  # writes the pid to state.json
        self.user_namespace = -1  # the container's, made or opened
        self.keep: tuple[int, ...] = ()  # descriptors that the program inherits (--preserve-fds)

    def hear(self) -> None:
        """Raise what the process said before it ended, if it has ended: that is why a step on it fails."""
        if self.channel is not None and start_time(self.pid) is None:
            self.channel.receive()

    def reap(self) -> None:
        """Wait for the entrance. Its end takes some milliseconds, so this comes when all else is done."""
        if self.entrance:
            os.waitpid(self.entrance, 0)
            self.entrance = 0

    def close(self) -> None:
        """Hang up, and leave nothing open: who called may be a process that lives on."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        self.leave_user_namespace()
        if self.console_socket >= 0:
            os.close(self.console_socket)
            self.console_socket = -1

    def leave_user_namespace(self) -> None:
        """Close it: it lives on as long as a process is in it."""
        if self.user_namespace >= 0:
            os.close(self.user_namespace)
            self.user_namespace = -1


class Placed(msgspec.Struct, frozen=True):
    """The steps of one thing, by their place in the plan."""

    before: tuple[Step[Outside], ...] = ()  # the process exists
    outside: tuple[Step[Outside], ...] = ()  # when it is in its cgroup
    leaving: tuple[Step[Inside], ...] = ()  # first of all, still in the host's namespaces
    mounted: tuple[Step[Inside], ...] = ()  # when the mounts are made, and the root is not yet changed
    ready: tuple[Step[Inside], ...] = ()  # last of all, before the process waits for `start`
    started: tuple[Step[Inside], ...] = ()  # between `start` and the program
    later: tuple[Step[Any], ...] = ()  # in `start`, and in `delete`
    held: tuple[str, ...] = ()  # capabilities that `ready` needs, if not the program
