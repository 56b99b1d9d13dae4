"""One attached client: its socket, what it has not taken yet, and what it types.

A half-closed connection (shutdown(2) for writing) is end of input, not the end of the client: `echo x | docker run -i`
closes its writing side and then reads the output.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from pydocker.monitor import detachkeys
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.backlog import Backlog
from pydocker.monitor.loop import GONE, READ, WRITE, Loop
from pydocker.wire.stdcopy import STDERR, STDOUT, frame

STUCK = 60.0  # seconds; who holds up others, or the end, that long without taking a byte is let go
_PIECE = 1 << 16


class Process(Protocol):
    """What a client is attached to: streams.Streams."""

    tty: bool

    @property
    def accepting(self) -> bool: ...

    def feed(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def client_changed(self, client: "Client") -> None: ...


class Client:
    """An attached connection. `end_input`: its end of input closes the process's (Docker's StdinOnce)."""

    def __init__(self, loop: Loop, fd: int, request: AttachRequest, process: Process, *, end_input: bool, spill: str,
                 gone: Callable[["Client"], None]) -> None:
        self.closed = False
        self.detached = False  # by its detach keys
        self._loop = loop
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._process = process
        self._wanted = {STDOUT: request.stdout, STDERR: request.stderr}
        self._reading = request.stdin
        self._end_input = end_input
        self._watch = detachkeys.Watch(detachkeys.parse(request.detach_keys)) if process.tty else None
        self._backlog = Backlog(spill)
        self._gone = gone
        self._finishing = False
        self._taken = self._taken_before = 0
        self._timing = False
        self._leftover = request.leftover if request.stdin else b""

    def begin(self) -> None:
        """Start reading; what the server had read already comes first."""
        if self._leftover:
            self._input(self._leftover)
            self._leftover = b""
        self._rewatch()

    @property
    def full(self) -> bool:
        return self._backlog.full

    def send(self, stream: int, data: bytes) -> None:
        """Output of the process: framed, unless it has a terminal."""
        if not self.closed and not self._finishing and self._wanted[stream]:
            try:
                self._backlog.push(data if self._process.tty else frame(stream, data))
            except OSError:  # no room for what it has not taken: better an end than a gap
                self.close()
                return
            self._flush()

    def _flush(self) -> None:
        try:
            while piece := self._backlog.first():
                count = self._socket.send(piece, socket.MSG_NOSIGNAL)
                self._backlog.taken(count)
                self._taken += count
        except BlockingIOError:
            self._time()
        except OSError:  # EPIPE, ECONNRESET: it is gone
            self.close()
            return
        if self._finishing and not len(self._backlog):
            self.close()
        else:
            self._rewatch()

    def _rewatch(self) -> None:
        if self.closed:
            return
        reading = READ if self._reading and self._process.accepting else 0
        self._loop.watch(self._socket.fileno(), reading | (WRITE if len(self._backlog) else 0), self._ready)

    def read_again(self) -> None:
        """The process takes input again."""
        self._rewatch()

    def _ready(self, events: int) -> None:
        if events & READ:
            self._read()
        if events & WRITE and not self.closed:
            was_full = self.full
            self._flush()
            if was_full and not self.full and not self.closed:
                self._process.client_changed(self)
        if events & GONE and not events & READ and not self.closed:  # both directions are closed
            self.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if data:
            self._input(data)
        else:
            self._reading = False
            if self._end_input:
                self._process.close_stdin()
        self._rewatch()

    def _input(self, data: bytes) -> None:
        detached = False
        if self._watch is not None:
            data, detached = self._watch.feed(data)
        if data:
            self._process.feed(data)
        if detached:
            self.detached = True
            self.close()

    def finish(self) -> None:
        """Close as soon as everything was taken."""
        self._finishing = True
        self._reading = False
        self._flush()

    def _time(self) -> None:
        if not self._timing:
            self._timing = True
            self._taken_before = self._taken
            self._loop.after(STUCK, self._check)

    def _check(self) -> None:
        self._timing = False
        if self.closed or not len(self._backlog):
            return
        if self._taken == self._taken_before and (self.full or self._finishing):
            self.close()
        else:
            self._time()

    def close(self) -> None:
        """Let go of the connection.

        The other copies of the descriptor are closed already, so the peer reads the end.
        """
        if self.closed:
            return
        self.closed = True
        self._loop.forget(self._socket.fileno())
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
            # Input that nobody read would turn the peer's clean end into ECONNRESET.
            while self._socket.recv(_PIECE):
                pass
        self._socket.close()
        self._backlog.close()
        self._process.client_changed(self)
        self._gone(self)
