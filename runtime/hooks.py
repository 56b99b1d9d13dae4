"""Hooks: programs of the caller's that run at fixed moments of a container's life (runtime-spec, config.md "Hooks").

    prestart, createRuntime   in the host's namespaces     mounts are made, the root is not yet changed
    createContainer           in the container's           then; from the host's files, in the root's directory
    startContainer            in the container's           `start` was called; all privileges are gone; its own files
    poststart                 in the host's                the program runs
    poststop                  in the host's                the container is gone

Each gets the container's state as JSON on its standard input, and nothing else of ours: its environment and arguments
are those of config.json, exactly (CVE-2024-0132: never the container's environment); descriptors above 2 are closed.
The state's pid is as whoever asks sees it: inside the container's own pid namespace init is 1. The order,
the status in the state, the working directories and the words of errors are runc's; a failing poststart stops the
container, a failing poststop is a warning (runtime.md, "Lifecycle").

Inside the container nothing can be imported any more, so a hook is started here by fork and execve, without the
`subprocess` module, and awaited by poll(2). It is a process group of its own: the time-out kills that as a whole.
"""

import os
import signal
import time
from contextlib import suppress
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
from shlex import quote
from typing import Any, ClassVar, NamedTuple, NoReturn

import msgspec

from runtime import log
from runtime.errors import StepFailed
from runtime.linux.descriptors import close_range
from runtime.spec import OCI_VERSION, Hook, Hooks, State, Status
from runtime.spec.values import Document
from runtime.stage import Inside, Outside
from runtime.step import Stage, Step
from runtime.sync import HooksDone, HooksDue

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
UNKNOWN = 2**31 - 1  # no process has this number (proc_sys_kernel(5), pid_max); in a script it gives way to a variable
HEARD = 4096  # bytes of each output that an error repeats
NAP = 10  # milliseconds; only where a hook has closed its outputs, or left them to somebody who lives on


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


def of_kind(hooks: Hooks | None, kind: str) -> tuple[Hook, ...]:
    """The hooks of one kind, by the specification's name."""
    if hooks is None:
        return ()
    return {"prestart": hooks.prestart, "createRuntime": hooks.create_runtime, "createContainer":
            hooks.create_container, "startContainer": hooks.start_container, "poststart": hooks.poststart,
            "poststop": hooks.poststop}[kind]


class Placed(NamedTuple):
    """The steps of all hooks, by the place where the plan has them."""

    outside: tuple[Step[Outside], ...] = ()
    first: tuple[Step[Inside], ...] = ()
    mounted: tuple[Step[Inside], ...] = ()
    last: tuple[Step[Inside], ...] = ()
    later: tuple[Step[State], ...] = ()


def placed(hooks: Hooks, answer: str, about: Subject) -> Placed:
    """Where hooks stand in the plan: `about` is the container, still without pid, `answer` the FIFO to `start`."""
    def steps(make: type[HookStep[Any]], kind: str, about: Subject) -> tuple[Any, ...]:
        return tuple(make(kind, number, hook, about) for number, hook in enumerate(of_kind(hooks, kind)))

    created = msgspec.structs.replace(about, status=Status.CREATED)
    running = msgspec.structs.replace(about, status=Status.RUNNING)
    stopped = msgspec.structs.replace(about, status=Status.STOPPED)
    runtime = (*steps(RuntimeHook, "prestart", about), *steps(RuntimeHook, "createRuntime", about))
    container = steps(ContainerHook, "createContainer", about)
    start = steps(ContainerHook, "startContainer", created)
    return Placed(
        outside=((RememberProcess(),) if runtime or container else ()) +
                ((AwaitMounts(), *runtime, LetGoOn()) if runtime else ()),
        first=(OpenAnswer(answer),) if start else (),
        mounted=((AwaitRuntimeHooks(),) if runtime else ()) + ((GoToRoot(), *container) if container else ()),
        last=(*start, TellStarted()) if start else (),
        later=(*steps(LaterHook, "poststart", running), *steps(LaterHook, "poststop", stopped)))


def later(hooks: Hooks | None, kind: str, about: Subject) -> tuple[LaterHook, ...]:
    """The steps of poststart, or of poststop."""
    return tuple(LaterHook(kind, number, hook, about) for number, hook in enumerate(of_kind(hooks, kind)))


def after_start(hooks: Hooks | None, state: State) -> None:
    """The poststart hooks. Raises StepFailed at the first that fails."""
    for step in later(hooks, "poststart", subject(state)):
        step.apply(state)


def after_end(hooks: Hooks | None, state: State) -> None:
    """The poststop hooks: all of them; one that fails is a warning."""
    gone = msgspec.structs.replace(state, status=Status.STOPPED, pid=0)
    for step in later(hooks, "poststop", subject(gone)):
        try:
            step.apply(gone)
        except StepFailed as error:
            log.warning(str(error))


def run(kind: str, number: int, hook: Hook, content: bytes, directory: str = "") -> None:
    """Run one hook with `content` on its standard input. Raises StepFailed in runc's words."""
    name = f"error running {kind} hook #{number}"
    try:
        process = Process(hook, content, directory)
    except OSError as error:
        raise StepFailed(f"{name}: fork/exec {hook.path}: {str(error.strerror).lower()}") from error
    status = process.wait(hook.timeout)
    if status is None:
        raise StepFailed(f"{name}: hook ran past specified timeout of {float(hook.timeout or 0):.1f}s")
    if status:
        code = os.waitstatus_to_exitcode(status)
        how = f"exit status {code}" if code >= 0 else f"signal: {str(signal.strsignal(-code)).lower()}"
        said = ", ".join(f"{stream}: {one_line(output)}" for stream, output in process.said())
        raise StepFailed(f"{name}: {how}, {said}")


def one_line(output: bytes) -> str:
    return " ".join(output.decode(errors="replace").split())


class Process:
    """A hook that runs: our ends of its three pipes, and what it said so far."""

    def __init__(self, hook: Hook, content: bytes, directory: str) -> None:
        """Raises OSError if it cannot be executed."""
        theirs_in, self.stdin = os.pipe()
        self.stdout, theirs_out = os.pipe()
        self.stderr, theirs_err = os.pipe()
        report, failure = os.pipe()
        self.heard = {self.stdout: b"", self.stderr: b""}
        self.content = content
        self.pid = os.fork()
        if self.pid == 0:
            execute(hook, directory, (theirs_in, theirs_out, theirs_err), failure)
        for descriptor in (theirs_in, theirs_out, theirs_err, failure):
            os.close(descriptor)
        refused = os.read(report, 16)  # empty when execve has closed the other end
        os.close(report)
        if refused:
            os.waitpid(self.pid, 0)
            for descriptor in (self.stdin, self.stdout, self.stderr):
                os.close(descriptor)
            raise OSError(int(refused), os.strerror(int(refused)))

    def wait(self, timeout: int | None) -> int | None:
        """Its wait status; None if it had to be killed at the time-out (in seconds)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        ready = poll()
        for descriptor, events in ((self.stdin, POLLOUT), (self.stdout, POLLIN), (self.stderr, POLLIN)):
            os.set_blocking(descriptor, False)
            ready.register(descriptor, events)
        open_ends = {self.stdin, self.stdout, self.stderr}
        try:
            while True:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.drain(open_ends)
                    return status
                if deadline is not None and time.monotonic() >= deadline:
                    self.kill()
                    return None
                for descriptor, event in ready.poll(NAP):
                    if self.serve(descriptor, event):
                        ready.unregister(descriptor)
                        open_ends.discard(descriptor)
                        os.close(descriptor)
        finally:
            for descriptor in open_ends:
                os.close(descriptor)

    def serve(self, descriptor: int, event: int) -> bool:
        """Write or read what can be; True when this end is done with."""
        if descriptor == self.stdin:
            try:
                self.content = self.content[os.write(self.stdin, self.content):]
            except BrokenPipeError:
                return True
            return not self.content or bool(event & (POLLERR | POLLHUP))
        piece = os.read(descriptor, 1 << 16)
        self.heard[descriptor] = (self.heard[descriptor] + piece)[:HEARD]
        return not piece

    def drain(self, open_ends: set[int]) -> None:
        """What it wrote at last. Somebody whom it left behind may hold the other end: nobody waits for that one."""
        for descriptor in open_ends - {self.stdin}:
            with suppress(BlockingIOError):
                while not self.serve(descriptor, POLLIN):
                    pass

    def kill(self) -> None:
        """It, and its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def said(self) -> list[tuple[str, bytes]]:
        return [("stdout", self.heard[self.stdout]), ("stderr", self.heard[self.stderr])]


def execute(hook: Hook, directory: str, streams: tuple[int, int, int], failure: int) -> NoReturn:
    """In the forked process: become the hook, or tell errno through `failure`."""
    try:
        os.setpgid(0, 0)
        if directory:
            os.chdir(directory)
        os.umask(os.umask(0o022) or 0o022)  # init has none, which a program of the caller's does not expect
        # Standard streams that were closed may have become pipes of ours: first out of their way.
        streams = tuple(os.dup(one) if one < 3 else one for one in streams)  # type: ignore[assignment]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        close_range(3, on_exec=True)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(hook.path, hook.args or (hook.path,), dict(line.split("=", 1) for line in hook.env))
    except OSError as error:
        os.write(failure, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)
