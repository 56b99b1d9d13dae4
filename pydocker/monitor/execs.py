"""Exec sessions: further processes in a running container, each with its own streams.

A session is a file, `execs/<id>.json` in the container's run directory: the engine writes it when the session is
created, the monitor when its process begins and ends. The runtime joins the container in a forked child while
everything else goes on; when it is through, its pid file names the process, which the kernel has made a child of the
monitor (subreaper).
"""

import contextlib
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from pydocker.errors import Conflict, NotFound, PydockerError, StartFailed
from pydocker.model.container import ExecConfig, ExecId, ExecSession
from pydocker.monitor import console, users
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.clients import Client
from pydocker.monitor.happenings import Happenings
from pydocker.monitor.launch import EXECS, Launch
from pydocker.monitor.loop import Loop
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.plan import as_user
from pydocker.monitor.streams import Streams, pipes
from pydocker.monitor.subgroups import Subgroup, Subgroups, hidden
from pydocker.storage import documents
from runtime.linux import capabilities
from runtime.spec import LinuxCapabilities, Process, encode

Heard = Callable[[int, bytes], None]
Finished = Callable[[int, str], None]
Answer = Callable[[PydockerError | None], None]
KEPT = 300.0  # seconds for which the exit code of an ended session can be asked, as in Docker


class Probe(NamedTuple):
    """What a session of the monitor's own is told: its output, and its exit code (or an error instead)."""

    hear: Heard
    finish: Finished


@dataclass
class _Session:
    """One session on its way. `stack` undoes what only the start needs."""

    session: ExecSession
    directory: Path
    answer: Answer
    attached: tuple[AttachRequest, int] | None
    stack: ExitStack
    stdio: tuple[int, ...] = ()
    stdin: int | None = None
    outputs: dict[int, int] | None = None
    terminal: console.Console | None = None
    streams: Streams | None = None
    probe: Probe | None = None
    group: Subgroup | None = None
    unwanted: bool = False  # killed, maybe before its process is there

    def file(self, suffix: str) -> Path:
        return self.directory / f"{self.session.id}{suffix}"

    def save(self, **changes: object) -> None:
        self.session = msgspec.structs.replace(self.session, **changes)
        if self.probe is None:
            with contextlib.suppress(FileNotFoundError):  # the container has ended, and nobody can ask for it any more
                documents.write(self.file(".json"), self.session, durable=False)


class Execs:
    """All sessions of one container. `gone` is told of every client that has left."""

    def __init__(self, launch: Launch, runtime: Runtime, loop: Loop, gone: Callable[[Client], None],
                 tell: Happenings) -> None:
        self._launch = launch
        self._runtime = runtime
        self._loop = loop
        self._gone = gone
        self._tell = tell
        self._sessions: dict[str, _Session] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # that came before the terminal
        self._groups = Subgroups(launch.cgroup)

    def start(self, id: str, attached: tuple[AttachRequest, int] | None, answer: Answer) -> None:
        """Begin; `answer` is called once the process runs (None) or cannot. Raises PydockerError, OSError at once."""
        session = self._session(id)
        if id in self._sessions or session.exit_code is not None:
            raise Conflict(f"Error: Exec command {id} has already run")
        with ExitStack() as undo:
            one = _Session(session, self._launch.run_path / EXECS, answer, attached, undo)
            try:
                self._fork(one)
            except (PydockerError, OSError) as error:
                self._groups.leave(one.group)
                one.save(exit_code=_failure_code(error))
                raise
            one.stack = undo.pop_all()

    def _session(self, id: str) -> ExecSession:
        try:
            return documents.read(self._launch.run_path / EXECS / f"{id}.json", ExecSession)
        except FileNotFoundError:
            raise NotFound(f"No such exec instance: {id}") from None

    def run(self, argv: tuple[str, ...], hear: Heard, finish: Finished) -> Callable[[], None]:
        """A session of the monitor's own, which nobody else sees; what it returns kills it."""
        session = ExecSession(id=ExecId(os.urandom(32).hex()), container=self._launch.id, config=ExecConfig(cmd=argv))
        with ExitStack() as undo:
            one = _Session(session, self._launch.run_path / EXECS, lambda error: None, None, undo,
                           probe=Probe(hear, finish))
            try:
                one.directory.mkdir(0o700, exist_ok=True)
                self._fork(one)
            except (PydockerError, OSError) as error:
                text = str(error)
                self._groups.leave(one.group)
                self._loop.after(0, lambda: finish(_failure_code(StartFailed(text, 126)), text))
            one.stack = undo.pop_all()
        return lambda: _kill(one)

    def _fork(self, one: _Session) -> None:
        config = one.session.config
        one.file(".process").write_bytes(encode(self._process(config)))
        words = ["exec", "--detach", "--process", str(one.file(".process")), "--pid-file", str(one.file(".pid"))]
        if not self._runtime.command:  # others place processes otherwise, or nowhere
            one.group = self._groups.make(one.session.id)
        if one.group:
            words += ["--cgroup", one.group.asked, *(["--cgroupns"] if hidden(self._launch.spec) else [])]
        keep: tuple[int, ...] = ()
        if config.tty:
            one.terminal = one.stack.enter_context(console.listening(one.directory, f"{one.session.id}.sock"))
            words += ["--console-socket", one.terminal.path]
            keep = (one.terminal.directory,)
            one.stdio = (os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC),) * 3
        else:
            one.stdio, one.stdin, one.outputs = pipes(config.attach_stdin)
        runtime = replace(self._runtime, log=one.file(".log"))
        pid = _forked(runtime, [*words, self._launch.id], one, keep)
        self._sessions[one.session.id] = one
        self._loop.on_exit(pid, lambda status: self._joined(one, runtime, os.waitstatus_to_exitcode(status)))

    def _process(self, config: ExecConfig) -> Process:
        assert self._launch.spec.process is not None
        process = process_for(self._launch.spec.process, config, capabilities.held())
        root = os.open(self._launch.rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return as_user(process, users.resolve(root, config.user or self._launch.user, self._launch.groups))
        finally:
            os.close(root)

    def _joined(self, one: _Session, runtime: Runtime, code: int) -> None:
        """The runtime has ended: the process runs, or there is none."""
        for fd in set(one.stdio):
            os.close(fd)
        try:
            if code != 0:
                raise runtime.failure("exec", code)
            pid = int(one.file(".pid").read_bytes())
            if one.terminal is not None:
                one.stdin = one.terminal.receive()
                one.outputs = {one.stdin: 1}
        except PydockerError as error:
            self._failed(one, error)
        else:
            self._runs(one, pid)
        finally:
            one.stack.close()
            for suffix in (".process", ".pid", ".log"):
                with contextlib.suppress(FileNotFoundError):
                    one.file(suffix).unlink()

    def _failed(self, one: _Session, error: PydockerError) -> None:
        for fd in {*(one.outputs or {}), *([] if one.stdin is None else [one.stdin])}:
            os.close(fd)
        if one.attached is not None:
            os.close(one.attached[1])
        one.save(exit_code=_failure_code(error))
        self._forget(one)
        one.answer(error)
        if one.probe is not None:
            one.probe.finish(_failure_code(error), str(error))

    def _runs(self, one: _Session, pid: int) -> None:
        one.streams = Streams(self._loop, stdin=one.stdin, outputs=one.outputs or {}, tty=one.session.config.tty,
                              sink=one.probe.hear if one.probe else lambda stream, data: None)
        if size := self._sizes.pop(one.session.id, None):
            one.streams.resize(*size)
        one.save(running=True, pid=pid)
        if one.attached is not None:
            client = Client(self._loop, one.attached[1], one.attached[0], one.streams, end_input=True,
                            spill=self._launch.data, gone=lambda client: self._left(one, client))
            one.streams.clients.append(client)
            client.begin()
        if one.probe is None:
            self._tell(f"exec_start: {' '.join(one.session.config.cmd)}", execID=one.session.id)
        self._loop.on_exit(pid, lambda status: self._ended(one, status))
        one.answer(None)
        if one.unwanted:
            _kill(one)

    def _left(self, one: _Session, client: Client) -> None:
        """Its client is gone. Nobody will ever hear of the session again: it ends, unless it was let go on purpose."""
        if client.detached:
            self._tell("exec_detach", execID=one.session.id)
        else:
            _kill(one)
        self._gone(client)

    def _ended(self, one: _Session, status: int) -> None:
        """The process is gone; descendants that hold its pipes may go on, unheard."""
        assert one.streams is not None
        one.streams.drain()
        one.save(running=False, pid=0, exit_code=exit_code(status))
        one.streams.finish()
        self._forget(one)
        if one.probe is None:
            self._tell("exec_die", execID=one.session.id, exitCode=str(one.session.exit_code))
        else:
            one.streams.discard()  # what it has left running may write on, to nobody
            one.probe.finish(exit_code(status), "")

    def _forget(self, one: _Session) -> None:
        self._sessions.pop(one.session.id, None)
        self._sizes.pop(one.session.id, None)
        self._groups.leave(one.group)
        if one.probe is None:
            file = one.file(".json")  # and no more of the session: the rest of it takes 4 kB, all that time
            self._loop.after(KEPT, lambda: file.unlink(missing_ok=True))

    def resize(self, id: str, height: int, width: int) -> None:
        """The size of a session's terminal, which may be still to come: a client tells it while the session begins.

        NotFound: there is no such session, or it has ended.
        """
        one = self._sessions.get(id)
        if one is not None and one.streams is not None:
            one.streams.resize(height, width)
        elif one is not None or self._session(id).exit_code is None:
            self._sizes[id] = (height, width)
        else:
            raise NotFound(f"No such exec instance: {id}")

    def end_all(self) -> None:
        """The container has ended, and with its pid namespace every process in it."""
        for one in tuple(self._sessions.values()):
            if one.streams is not None:
                self._ended(one, 9)


def process_for(container: Process, config: ExecConfig, every: tuple[str, ...] = capabilities.NAMES) -> Process:
    """The session's process:

    the container's, with other arguments; `every` capability if it is privileged. An entry of `env` without `=` removes
    the variable.
    """
    asked = tuple(config.env or ())
    names = {entry.partition("=")[0] for entry in asked}
    kept = tuple(entry for entry in container.env if entry.partition("=")[0] not in names)
    terminal = ("TERM=xterm",) if config.tty and not any(entry.startswith("TERM=") for entry in (*kept, *asked)) else ()
    return msgspec.structs.replace(
        container, args=config.cmd, terminal=config.tty, console_size=None, cwd=config.working_dir or container.cwd,
        env=(*kept, *terminal, *(entry for entry in asked if "=" in entry)),
        capabilities=LinuxCapabilities(bounding=every, effective=every, permitted=every) if config.privileged
        else container.capabilities)


def _forked(runtime: Runtime, words: list[str], one: _Session, keep: tuple[int, ...]) -> int:
    """The runtime's pid. PydockerError (there are too many processes): none of the session's descriptors is left."""
    try:
        return runtime.fork(words, one.stdio, keep)
    except PydockerError:
        for fd in {*one.stdio, *(one.outputs or {}), *([] if one.stdin is None else [one.stdin])}:
            os.close(fd)
        raise


def _kill(one: _Session) -> None:
    """SIGKILL to its process, a child of ours (until it is reaped, its pid is no other process's), and to all that this
    has started.

    One that is not there yet, because the runtime is still joining the container, gets it as soon as it is.
    """
    one.unwanted = True
    if one.session.running:
        if one.group is not None:
            one.group.kill()
        os.kill(one.session.pid, signal.SIGKILL)


def _failure_code(error: Exception) -> int:
    """The exit code of a session that never ran: 127 without a program, 126 for all else (128 is a container's)."""
    return 127 if isinstance(error, StartFailed) and error.exit_code == 127 else 126


def exit_code(status: int) -> int:
    """A wait status as Docker's exit code: 128 + n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
