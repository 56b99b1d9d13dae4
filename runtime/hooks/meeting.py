"""Who waits for whom: hooks run on either side, at a moment that the other side has to keep.

    outside                                    inside
    RememberProcess   the pid, in state.json
    AwaitMounts       <──── HooksDue ────────  AwaitRuntimeHooks
    the hooks                                       │
    LetGoOn           ───── HooksDone ──────>       │
                                               GoToRoot   and the createContainer hooks
    `start`           ───── exec.fifo ──────>  the startContainer hooks
                      <──── answer.fifo ─────  TellStarted
"""

import os
from shlex import quote
from typing import ClassVar

from runtime.stage import Inside, Outside
from runtime.step import Step
from runtime.sync import HooksDone, HooksDue


class RememberProcess(Step[Outside], frozen=True):
    """Write state.json with the pid, before anything of the caller's runs."""

    why: ClassVar[str] = "hooks find the container by its pid, and may call `state` for it"
    manual: ClassVar[str] = "runtime-spec runtime.md"

    def describe(self) -> str:
        return "write the process's number to state.json"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Outside) -> None:
        at.remember()


class AwaitMounts(Step[Outside], frozen=True):
    """Wait until the process inside has made its mounts."""

    why: ClassVar[str] = "hooks may look at the mounts, and add to them"
    manual: ClassVar[str] = "pipe(7)"

    def describe(self) -> str:
        return "wait for the mounts"

    def script(self) -> str:
        return "read -r pid < \"$meeting\"/due"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Outside) -> None:
        assert at.channel is not None, "the process exists"
        message = at.channel.receive()
        assert isinstance(message, HooksDue), message


class LetGoOn(Step[Outside], frozen=True):
    """Tell the process inside that the hooks are done."""

    why: ClassVar[str] = "it must not change its root, and leave the host's tree, before"
    manual: ClassVar[str] = "pipe(7)"

    def describe(self) -> str:
        return "tell the process that the hooks are done"

    def script(self) -> str:
        return "echo done > \"$meeting\"/done"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Outside) -> None:
        assert at.channel is not None, "the process exists"
        at.channel.send(HooksDone())


class AwaitRuntimeHooks(Step[Inside], frozen=True):
    """Say that the mounts are made, and wait for the hooks in the host's namespaces."""

    why: ClassVar[str] = "prestart and createRuntime hooks come when all is mounted, and before the root changes"
    manual: ClassVar[str] = "pipe(7)"

    def describe(self) -> str:
        return "tell the outside that the mounts are made, and wait for its hooks"

    def script(self) -> str:
        # The host's /proc is still there, and knows this process by the host's number.
        return "read -r self _ < /proc/self/stat; echo $self > \"$meeting\"/due; read -r _ < \"$meeting\"/done"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Inside) -> None:
        at.await_cgroup()
        at.channel.send(HooksDue())
        message = at.channel.receive()
        assert isinstance(message, HooksDone), message


class GoToRoot(Step[Inside], frozen=True):
    """The working directory of createContainer hooks."""

    why: ClassVar[str] = "createContainer hooks start in the directory that will be /, as runc's do"
    manual: ClassVar[str] = "fchdir(2)"

    def describe(self) -> str:
        return "change to the container's root, still a directory of the host's"

    def shell(self) -> str:
        return "cd ."

    def apply(self, at: Inside) -> None:
        os.fchdir(at.root)


class OpenAnswer(Step[Inside], frozen=True):
    """Open answer.fifo, at which `start` awaits how the startContainer hooks went."""

    why: ClassVar[str] = "as exec.fifo: while the host's directory of the container can still be reached"
    manual: ClassVar[str] = "fifo(7)"
    path: str

    def describe(self) -> str:
        return f"open {self.path}"

    def shell(self) -> str:
        return f"mkfifo {quote(self.path)}; exec 8<>{quote(self.path)}"

    def script(self) -> str:
        return ":  # nobody else will call start: left out"

    def apply(self, at: Inside) -> None:
        at.answer = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)


class TellStarted(Step[Inside], frozen=True):
    """Tell `start` that the startContainer hooks are done."""

    why: ClassVar[str] = "`start` waits for them, as their failure is its own"
    manual: ClassVar[str] = "fifo(7)"

    def describe(self) -> str:
        return "tell `start` that the hooks are done"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Inside) -> None:
        os.write(at.answer, b"\n")
