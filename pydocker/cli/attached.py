"""A person at a container's streams: bytes both ways until the container's side ends, or the person lets go.

    stdin ──(detach keys?)──> connection ──> stdout            with a terminal: raw bytes
                                        └──> stdout | stderr   without: stdcopy frames

Standard input is read only when all of the earlier input is sent, and output is read always: a container that echoes
what it reads would otherwise wait for us while we wait for it. At a terminal whose foreground is another job's, input
is left to that one: Docker's client tries to read it, over and over, and sends the container a SIGTTIN each time.
"""

import os
import select
import socket
from collections.abc import Callable
from typing import Protocol

from pydocker.cli import terminal
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session, write_all
from pydocker.client.api import Stream
from pydocker.errors import Unavailable
from pydocker.monitor.detachkeys import Watch
from pydocker.wire import stdcopy

_PIECE = 64 * 1024
_GLANCE = 200  # milliseconds: nobody is told that the terminal is his again
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Aside(Protocol):
    """Something else to look after meanwhile: `look` is called when `fileno` (-1: none) is readable."""

    def fileno(self) -> int: ...

    def look(self) -> None: ...


class Attached:
    """One attached connection. `stdin`: pass it on. `keys`: the bytes that let go, empty for none."""

    def __init__(self, session: Session, stream: Stream, *, stdin: bool, tty: bool, keys: bytes,
                 aside: Aside | None = None) -> None:
        self._session = session
        self._socket = stream.socket
        self._leftover = stream.leftover
        self._aside = aside
        self._show = self._show_raw if tty else self._show_frames(stdcopy.Reader())
        self._watch = Watch(keys) if keys else None
        self._terminal = stdin and os.isatty(session.stdin)
        self._reading = stdin  # whether more input may come
        self._unsent = b""
        self._closing = stdin  # whether the end of the input is still to be told

    def run(self) -> bool:
        """Pass bytes until the other side closes; True if the person let go by the detach keys instead."""
        self._socket.setblocking(False)
        with self._socket:
            self._show(self._leftover)
            while True:
                ready = self._wait()
                if self._aside is not None and self._aside.fileno() in ready:
                    self._aside.look()
                if ready.get(self._socket.fileno(), 0) & (select.POLLIN | _GONE) and not self._receive():
                    return False
                if self._session.stdin in ready and self._reading and self._is_asked() and self._read():
                    return True
                self._send()

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        wanted = self._reading and not self._unsent
        asked = self._is_asked()
        if wanted and asked:
            poll.register(self._session.stdin, select.POLLIN)
        if self._aside is not None and self._aside.fileno() >= 0:
            poll.register(self._aside.fileno(), select.POLLIN)
        return dict(poll.poll(_GLANCE if wanted and not asked else None))

    def _is_asked(self) -> bool:
        """Whether what may be read is meant for us. It may no longer be when the wait for it ends: a ctrl-z reaches us
        after the shell has its terminal back, and a wait that was stopped goes on in the background."""
        return not self._terminal or terminal.in_foreground(self._session.stdin, self._session.job)

    def _receive(self) -> bool:
        """Show what has come; False at the end of the stream."""
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self._show(data)
        return bool(data)

    def _read(self) -> bool:
        """Take some input; True if it held the detach keys."""
        try:
            data = os.read(self._session.stdin, _PIECE)
        except BlockingIOError:
            return False
        except OSError:  # EBADF: started without stdin; EIO: the terminal hung up. Either way, no more input
            data = b""
        if not data:
            self._reading = False
            return False
        self._unsent, detached = self._watch.feed(data) if self._watch else (data, False)
        return detached

    def _send(self) -> None:
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if self._closing and not self._reading and not self._unsent:
                self._closing = False
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more; there may still be output to show
            self._reading, self._unsent, self._closing = False, b"", False

    def _show_raw(self, data: bytes) -> None:
        write_all(self._session.stdout, data)

    def _show_frames(self, reader: stdcopy.Reader) -> Callable[[bytes], None]:
        return lambda data: show_frames(self._session, reader, data)


def show_frames(session: Session, reader: stdcopy.Reader, data: bytes) -> None:
    """Write the frames in `data` to where they belong. Raises CommandError for an error among them."""
    outputs = {stdcopy.STDIN: session.stdout, stdcopy.STDOUT: session.stdout, stdcopy.STDERR: session.stderr}
    try:
        for stream, piece in reader.feed(data):
            if stream == stdcopy.SYSTEM:
                raise CommandError(f"error from daemon in stream: {piece.decode('utf-8', 'replace')}")
            write_all(outputs[stream], piece)
    except stdcopy.FrameError as error:
        raise Unavailable(f"the container's stream is broken: {error}") from error
