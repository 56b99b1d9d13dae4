"""mode=non-blocking: a process of its own writes the log, so that a slow disk never holds the container up.

What it has not taken yet waits in the monitor's memory, up to max-buffer-size; what comes then is lost to the log, as
in Docker. It ends when the monitor's end is closed, so a killed monitor loses nothing that it had sent.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Protocol

from pydocker.monitor.loop import Loop
from pydocker.monitor.outbox import Outbox
from runtime.linux import prctl
from runtime.linux.descriptors import close_all_but

_PATIENCE = 10.0  # seconds for the rest at the end, as in Docker
_LARGEST = 1 << 17  # bytes of a message: more than a piece of output
_TAKEN = b"."


class Writer(Protocol):
    """A log that is written to. While it is `full`, the container should wait; what has been written has been written
    for all to see when `settle` returns.
    """

    @property
    def full(self) -> bool: ...

    def settle(self) -> None: ...

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None: ...

    def close(self) -> None: ...


class WriterAside:
    """The monitor's side. `more` is called whenever something has been written."""

    full = False  # it loses, and does not wait

    def __init__(self, make: Callable[[], Writer], limit: int, loop: Loop, more: Callable[[], None]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sent = self._taken = 0
        self._more = more
        if os.fork() == 0:
            _be_writer(make, theirs)
        theirs.close()
        self._outbox: Outbox | None = Outbox(loop, ours, limit, lambda: None, self._heard)

    def _heard(self, said: bytes) -> None:
        self._taken += len(said)
        if said:
            self._more()
        else:
            self._lost()

    def _lost(self) -> None:
        if self._outbox is not None:
            self._outbox.lose()
            self._outbox = None

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """OSError: the process was killed."""
        if self._outbox is None:
            raise BrokenPipeError("the process that writes it was killed")
        self._sent += self._outbox.send([bytes([stream]) + data])

    def settle(self) -> None:
        """Everything that was not lost is written when this returns."""
        if self._outbox is not None:
            self._outbox.wait(lambda: self._outbox is None or self._taken >= self._sent, _PATIENCE)

    def close(self) -> None:
        """It ends, by itself."""
        self.settle()
        self._lost()


def _be_writer(make: Callable[[], Writer], connection: socket.socket) -> None:
    """Never returns. Nothing of the monitor's may stay open here, its lock above all."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        prctl.set_name("pydocker-log")
        close_all_but({connection.fileno()})
        _serve(make(), connection)
        code = 0
    except OSError as error:
        _complain(error)
    finally:
        os._exit(code)


def _serve(writer: Writer, connection: socket.socket) -> None:
    failed = False
    while message := _next(connection):
        try:
            writer.write(message[0], message[1:], last=len(message) == 1)
        except OSError as error:
            if not failed:
                failed = True
                _complain(error)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the monitor was killed: the rest is here
            connection.send(_TAKEN, socket.MSG_NOSIGNAL)
    writer.close()


def _next(connection: socket.socket) -> bytes:
    """The next message; empty at the end. That a killed monitor had not read all is told once, before the rest."""
    try:
        return connection.recv(_LARGEST)
    except ConnectionResetError:
        return connection.recv(_LARGEST)


def _complain(error: OSError) -> None:
    print(f"write {error.filename or 'log'}: {error.strerror}: output is lost to the log", file=sys.stderr, flush=True)
