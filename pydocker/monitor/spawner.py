"""The spawner: a thin, single-threaded process with everything imported that monitors need, which forks them.

Starting Python and importing takes 40 ms, forking a warm process one; and a process with threads (the server) must not
fork and go on in Python. Its executable is a read-only mount of the interpreter (SECURITY R5): what is forked from it
can become a container without having been a writable file.

`Spawner` is the server's handle, `main` the process. When either dies, running containers and their monitors go on.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError, Unavailable
from pydocker.monitor import control
from pydocker.monitor.attach import Attachment, AttachRequest
from pydocker.monitor.launch import FILE, Launch
from pydocker.monitor.monitor import run
from pydocker.monitor.reaper import sweep_up
from pydocker.storage import documents
from runtime.linux import prctl
from runtime.linux.interpreter import bootstrap, read_only_copy

MOST = 60  # descriptors in one request; the kernel allows 253 (SCM_MAX_FD)


class Spawn(msgspec.Struct, frozen=True, array_like=True):
    """Make a monitor for the container in `run`: to start it, or to clean up after a monitor that was killed.

    Descriptors: the server's end for the reply, monitor.lock (held), the clients', the waits'.
    """

    run: str
    clients: tuple[AttachRequest, ...] = ()
    waits: tuple[bool, ...] = ()
    clean: bool = False


class Spawner:
    """The server's handle.

    May be used by several threads. `log` gets what the spawner and the monitors have to complain about.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def begin(self) -> None:
        """Start the process now, so that the first container need not wait for it."""
        with self._lock:
            self._connected()

    def launch(self, run: Path, lock: int, clients: Sequence[Attachment] = (),
               waits: Sequence[tuple[socket.socket, bool]] = ()) -> None:
        """Start the container whose launch.json lies in `run`; returns when it runs. `lock`: monitor.lock, held.

        Raises StartFailed and what else the monitor answers.
        """
        message = Spawn(str(run), tuple(one.request() for one in clients), tuple(removed for _, removed in waits))
        self._ask(message, lock, [one.socket.fileno() for one in clients] + [end.fileno() for end, _ in waits])

    def clean(self, run: Path, lock: int) -> None:
        """Take down what a killed monitor left: processes, cgroup, the runtime's state; and record the end."""
        self._ask(Spawn(str(run), clean=True), lock, [])

    def _ask(self, message: Spawn, lock: int, fds: Sequence[int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                self._send(message, [theirs.fileno(), lock, *fds])
            control.expect_done(ours, f"monitor for {message.run}")

    def _send(self, message: Spawn, fds: Sequence[int]) -> None:
        for last in (False, True):
            with self._lock:
                connection = self._connected()
                try:
                    control.send(connection, message, fds)
                    return
                except OSError as error:  # the spawner was killed: the next one takes over
                    self._abandon()
                    if last:
                        raise Unavailable(f"spawner: {error}") from error

    def _connected(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._abandon()
        if self._socket is None:
            self._socket = self._start()
        return self._socket

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        python = read_only_copy()
        try:
            with theirs, open(self._log, "ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *bootstrap("pydocker.monitor.spawner:main"), str(theirs.fileno()), str(python)],
                    executable=f"/proc/self/fd/{python}", pass_fds=(python, theirs.fileno()), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd="/", start_new_session=True)
        finally:
            os.close(python)
        return ours

    def _abandon(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the process; monitors go on."""
        with self._lock:
            self._abandon()


def main() -> int:
    """The spawner's whole life: fork a monitor for every message, until the server's end is closed."""
    number = int(sys.argv[1])
    connection = socket.socket(fileno=number)
    os.set_inheritable(number, False)
    os.close(int(sys.argv[2]))
    os.umask(0o022)
    prctl.set_dumpable(False)
    prctl.set_name("pydocker-spawn")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # monitors are not waited for (waitpid(2), ECHILD)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_DFL)
    while True:
        message, fds = control.receive(connection, Spawn)
        if message is None:
            return 0
        if os.fork() == 0:
            connection.close()
            _be_monitor(message, fds)
        control.close(fds)


def _be_monitor(message: Spawn, fds: list[int]) -> None:
    """Never returns."""
    code = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        server, lock = socket.socket(fileno=fds[0]), fds[1]
        split = 2 + len(message.clients)
        clients = list(zip(message.clients, fds[2:split], strict=True))
        waits = [(socket.socket(fileno=fd), removed) for fd, removed in zip(fds[split:], message.waits, strict=True)]
        _dispatch(message, server, lock, clients, waits)
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _dispatch(message: Spawn, server: socket.socket, lock: int, clients: list[tuple[AttachRequest, int]],
              waits: list[tuple[socket.socket, bool]]) -> None:
    try:
        launch = documents.read(Path(message.run) / FILE, Launch)
    except (PydockerError, OSError) as error:
        control.send(server, control.Failed(f"{message.run}/{FILE}: {error}"))
        return
    if message.clean:
        sweep_up(launch, server)
    else:
        run(launch, server, lock, clients, waits)
