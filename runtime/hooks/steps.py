"""The hooks as steps, and what they read: the container's state, as far as it is known at each place."""

import os
from shlex import quote
from typing import ClassVar

import msgspec

from runtime.hooks.running import run
from runtime.spec import OCI_VERSION, Hook, State, Status
from runtime.spec.values import Document
from runtime.stage import Inside, Outside
from runtime.step import Stage, Step

UNKNOWN = 2**31 - 1  # no process has this number (proc_sys_kernel(5), pid_max); in a script it gives way to a variable


class Subject(Document, frozen=True, kw_only=True):
    """The state that a hook reads: what `state` answers, without runc's additions. No pid once the process is gone."""

    oci_version: str
    id: str
    status: Status
    pid: int = 0
    bundle: str
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


def subject(state: State) -> Subject:
    return Subject(oci_version=OCI_VERSION, id=state.id, status=state.status, pid=state.pid, bundle=state.bundle,
                   annotations=state.annotations)


class HookStep(Step[Stage], frozen=True):
    """One hook, the `number`th of its kind; `about` is the container, as far as the plan knows it."""

    kind: str
    number: int
    hook: Hook
    about: Subject

    def describe(self) -> str:
        return f"run the {self.kind} hook #{self.number}: {self.hook.path}"

    def shell(self) -> str:
        return self.words()

    def script(self) -> str:
        # In the script, $pid is set where the hooks of the host's side run; the others run in the process itself.
        return self.words(pid="${pid-$$}" if self.kind != "poststop" else "")

    def words(self, tools: str = "", before: str = "", *, pid: str = "", directory: str = "") -> str:
        """The command line; `tools` stands before its commands, `before` before the hook's own."""
        given = quote(msgspec.json.encode(msgspec.structs.replace(self.about, pid=UNKNOWN if pid else 0)).decode())
        given = given.replace(f'"pid":{UNKNOWN}', f"\"pid\":'\"{pid}\"'", 1)
        limit = f"{tools}timeout -s KILL {self.hook.timeout} " if self.hook.timeout else ""
        words = " ".join(map(quote, (*self.hook.env, self.hook.path, *self.hook.args[1:])))
        return f"printf %s {given} | {limit}{before}{tools}env -i{directory} {words}"

    def call(self, pid: int) -> None:
        """Raises StepFailed with runc's words."""
        content = msgspec.json.encode(msgspec.structs.replace(self.about, pid=pid))
        directory = self.about.bundle if self.kind in ("prestart", "createRuntime") else ""
        run(self.kind, self.number, self.hook, content, directory)


class RuntimeHook(HookStep[Outside], frozen=True):
    """A prestart or createRuntime hook."""

    why: ClassVar[str] = (
        "the caller's own setting up, from the host's side: networks are connected here, by the pid and its "
        "/proc/PID/ns/net; the mounts are there, and can still be reached from the host's tree")
    manual: ClassVar[str] = "runtime-spec config.md, execve(2)"

    def script(self) -> str:
        return f"cd {quote(self.about.bundle)}; {HookStep.script(self)}"

    def apply(self, at: Outside) -> None:
        self.call(at.pid)


class ContainerHook(HookStep[Inside], frozen=True):
    """A createContainer or startContainer hook."""

    why: ClassVar[str] = (
        "the caller's own setting up, from inside the namespaces: createContainer while the host's files are still "
        "there, startContainer as the last thing before the program, from the container's files, as its user")
    manual: ClassVar[str] = "runtime-spec config.md, execve(2)"

    def apply(self, at: Inside) -> None:
        self.call(os.getpid())


class LaterHook(HookStep[State], frozen=True):
    """A poststart or poststop hook: run by `start` and `delete`, which remember it in state.json."""

    why: ClassVar[str] = "the caller's own bookkeeping, once the program runs, and once everything is gone"
    manual: ClassVar[str] = "runtime-spec config.md, execve(2)"

    def apply(self, at: State) -> None:
        step = msgspec.structs.replace(self, about=subject(at))
        step.call(at.pid)
