"""The spawner: a thin, single-threaded process with everything imported that monitors need, which forks them.

Starting Python and importing takes 40 ms, forking a warm process one; and a process with threads (the server) must not
fork and go on in Python. Its executable is a read-only mount of the interpreter (SECURITY R5): what is forked from it
can become a container without having been a writable file.

`Spawner` is the server's handle; the process runs `nursery`, which imports nothing that monitors do not need. When
either dies, running containers and their monitors go on.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydocker.errors import Unavailable
from pydocker.monitor import control, pids
from pydocker.monitor.attach import Attachment
from pydocker.monitor.launch import Spawn
from runtime.linux.interpreter import bootstrap, read_only_copy

_HALTED = 1.0  # seconds without an answer until it is looked whether the process is stopped


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
               waits: Sequence[tuple[socket.socket, bool]] = (), kept: Mapping[str, int] | None = None) -> None:
        """Start the container whose launch.json lies in `run`; returns when it runs. `lock`: monitor.lock, held;
        `kept`: descriptors that the monitor gets a copy of, by what they are.

        Raises StartFailed and what else the monitor answers.
        """
        kept = kept or {}
        message = Spawn(str(run), tuple(one.request() for one in clients), tuple(removed for _, removed in waits),
                        kept=tuple(kept))
        self._ask(message, lock, [*(one.socket.fileno() for one in clients), *(end.fileno() for end, _ in waits),
                                  *kept.values()])

    def clean(self, run: Path, lock: int) -> None:
        """Take down what a killed monitor left: processes, cgroup, the runtime's state; and record the end."""
        self._ask(Spawn(str(run), clean=True), lock, [])

    def _ask(self, message: Spawn, lock: int, fds: Sequence[int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                self._send(message, [theirs.fileno(), lock, *fds])
            while not control.answered(ours, _HALTED):
                self._go_on()
            control.expect_done(ours, f"monitor for {message.run}")

    def _go_on(self) -> None:
        """Wake the process, if somebody has stopped it (SIGSTOP): nobody is served by that."""
        with self._lock, contextlib.suppress(OSError):
            if self._process is not None and self._process.poll() is None and pids.is_stopped(self._process.pid):
                self._process.send_signal(signal.SIGCONT)

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
                    [sys.executable, *bootstrap("pydocker.monitor.nursery:main"), str(theirs.fileno()), str(python)],
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
