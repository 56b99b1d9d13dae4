"""Exec sessions: further processes in a running container, each with its own streams.

A session is a file, `execs/<id>.json` in the container's run directory: the engine writes it when the session is
created, the monitor when its process begins and ends. The runtime joins the container in a forked child while
everything else goes on; when it is through, its pid file names the process, which the kernel has made a child of the
monitor (subreaper).
"""

import contextlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pydocker.errors import Conflict, NotFound, PydockerError, StartFailed
from pydocker.model.container import ExecConfig, ExecSession
from pydocker.monitor import console, users
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.clients import Client
from pydocker.monitor.launch import EXECS, Launch
from pydocker.monitor.loop import Loop
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.plan import as_user
from pydocker.monitor.streams import Streams, pipes
from pydocker.storage import documents
from runtime.linux import capabilities
from runtime.spec import LinuxCapabilities, Process, encode

Answer = Callable[[PydockerError | None], None]
KEPT = 300.0  # seconds for which the exit code of an ended session can be asked, as in Docker


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

    def file(self, suffix: str) -> Path:
        return self.directory / f"{self.session.id}{suffix}"

    def save(self, **changes: object) -> None:
        self.session = msgspec.structs.replace(self.session, **changes)
        documents.write(self.file(".json"), self.session, durable=False)


class Execs:
    """All sessions of one container. `gone` is told of every client that has left."""

    def __init__(self, launch: Launch, runtime: Runtime, loop: Loop, gone: Callable[[Client], None]) -> None:
        self._launch = launch
        self._runtime = runtime
        self._loop = loop
        self._gone = gone
        self._sessions: dict[str, _Session] = {}

    def start(self, id: str, attached: tuple[AttachRequest, int] | None, answer: Answer) -> None:
        """Begin; `answer` is called once the process runs (None) or cannot. Raises PydockerError, OSError at once."""
        directory = self._launch.run_path / EXECS
        try:
            session = documents.read(directory / f"{id}.json", ExecSession)
        except FileNotFoundError:
            raise NotFound(f"No such exec instance: {id}") from None
        if id in self._sessions or session.exit_code is not None:
            raise Conflict(f"Error: Exec command {id} has already run")
        with ExitStack() as undo:
            one = _Session(session, directory, answer, attached, undo)
            try:
                self._fork(one)
            except (PydockerError, OSError) as error:
                one.save(exit_code=_failure_code(error))
                raise
            one.stack = undo.pop_all()

    def _fork(self, one: _Session) -> None:
        config = one.session.config
        one.file(".process").write_bytes(encode(self._process(config)))
        words = ["exec", "--detach", "--process", str(one.file(".process")), "--pid-file", str(one.file(".pid"))]
        keep: tuple[int, ...] = ()
        if config.tty:
            one.terminal = one.stack.enter_context(console.listening(one.directory, f"{one.session.id}.sock"))
            words += ["--console-socket", one.terminal.path]
            keep = (one.terminal.directory,)
            one.stdio = (os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC),) * 3
        else:
            one.stdio, one.stdin, one.outputs = pipes(config.attach_stdin)
        runtime = replace(self._runtime, log=one.file(".log"))
        pid = runtime.fork([*words, self._launch.id], one.stdio, keep)
        self._sessions[one.session.id] = one
        self._loop.on_exit(pid, lambda status: self._joined(one, runtime, os.waitstatus_to_exitcode(status)))

    def _process(self, config: ExecConfig) -> Process:
        assert self._launch.spec.process is not None
        process = process_for(self._launch.spec.process, config)
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

    def _runs(self, one: _Session, pid: int) -> None:
        one.streams = Streams(self._loop, stdin=one.stdin, outputs=one.outputs or {}, tty=one.session.config.tty,
                              sink=lambda stream, data: None)
        one.save(running=True, pid=pid)
        if one.attached is not None:
            client = Client(self._loop, one.attached[1], one.attached[0], one.streams, end_input=True,
                            spill=self._launch.data, gone=self._gone)
            one.streams.clients.append(client)
            client.begin()
        self._loop.on_exit(pid, lambda status: self._ended(one, status))
        one.answer(None)

    def _ended(self, one: _Session, status: int) -> None:
        """The process is gone; descendants that hold its pipes may go on, unheard."""
        assert one.streams is not None
        one.streams.drain()
        one.save(running=False, pid=0, exit_code=exit_code(status))
        one.streams.finish()
        self._forget(one)

    def _forget(self, one: _Session) -> None:
        self._sessions.pop(one.session.id, None)
        self._loop.after(KEPT, lambda: one.file(".json").unlink(missing_ok=True))

    def resize(self, id: str, height: int, width: int) -> None:
        """The size of a session's terminal. NotFound: no such session runs."""
        one = self._sessions.get(id)
        if one is None or one.streams is None:
            raise NotFound(f"No such exec instance: {id}")
        one.streams.resize(height, width)

    def end_all(self) -> None:
        """The container has ended, and with its pid namespace every process in it."""
        for one in tuple(self._sessions.values()):
            if one.streams is not None:
                self._ended(one, 9)


def process_for(container: Process, config: ExecConfig) -> Process:
    """The session's process:

    the container's, with other arguments. An entry of `env` without `=` removes the variable.
    """
    asked = tuple(config.env or ())
    names = {entry.partition("=")[0] for entry in asked}
    kept = tuple(entry for entry in container.env if entry.partition("=")[0] not in names)
    terminal = ("TERM=xterm",) if config.tty and not any(entry.startswith("TERM=") for entry in (*kept, *asked)) else ()
    every = capabilities.NAMES
    return msgspec.structs.replace(
        container, args=config.cmd, terminal=config.tty, console_size=None, cwd=config.working_dir or container.cwd,
        env=(*kept, *terminal, *(entry for entry in asked if "=" in entry)),
        capabilities=LinuxCapabilities(bounding=every, effective=every, permitted=every) if config.privileged
        else container.capabilities)


def _failure_code(error: Exception) -> int:
    """The exit code of a session that never ran: 127 without a program, 126 for all else (128 is a container's)."""
    return 127 if isinstance(error, StartFailed) and error.exit_code == 127 else 126


def exit_code(status: int) -> int:
    """A wait status as Docker's exit code: 128 + n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
