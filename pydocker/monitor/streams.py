"""The standard streams of one process (the container's, or an exec session's): pipes, or a terminal.

Output goes to the log and to every client that wants it; input comes from the clients. Everything is non-blocking. When
a client has fallen too far behind (see backlog.py), reading stops until it has caught up: then the process waits, as it
would for a slow terminal.
"""

import contextlib
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Callable, Mapping

from pydocker.monitor.clients import Client
from pydocker.monitor.loop import GONE, READ, WRITE, Loop
from pydocker.wire.stdcopy import STDERR, STDOUT

_PIECE = 1 << 16
_INPUT = 1 << 16  # bytes of input that may wait before clients are no longer read
Sink = Callable[[int, bytes], None]


class Streams:
    """Our ends.

    `outputs` maps descriptors to stream numbers; `sink` sees all output, and `b""` at the end of a stream. While it is
    `full`, nothing is read.
    """

    def __init__(self, loop: Loop, *, stdin: int | None, outputs: Mapping[int, int], tty: bool,
                 sink: Sink, full: Callable[[], bool] = lambda: False) -> None:
        self.tty = tty
        self.clients: list[Client] = []
        self._loop = loop
        self._stdin = stdin
        self._outputs = dict(outputs)
        self._sink = sink
        self._full = full
        self._ended: Callable[[], None] | None = None
        self._input = bytearray()
        self._close_after_input = False
        self._paused = False
        for fd in {*self._outputs, *([] if stdin is None else [stdin])}:
            os.set_blocking(fd, False)
        self._rewatch()

    @property
    def open(self) -> bool:
        """Whether output may still come."""
        return bool(self._outputs)

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call `then` when the last output has ended."""
        self._ended = then

    def _rewatch(self) -> None:
        """Watch each descriptor for exactly what can be done with it now.

        A terminal is one descriptor for both ways.
        """
        for fd in self._outputs:
            events = (0 if self._paused else READ) | (WRITE if fd == self._stdin and self._input else 0)
            if events:
                self._loop.watch(fd, events, lambda got, fd=fd: self._ready(fd, got))  # type: ignore[misc]
            else:
                self._loop.forget(fd)  # a watched descriptor would report its hang-up again and again
        if self._stdin is not None and self._stdin not in self._outputs:
            self._loop.watch(self._stdin, WRITE if self._input else 0, self._input_ready)

    def _ready(self, fd: int, events: int) -> None:
        if events & WRITE:
            self._write_input()
        if events & (READ | GONE) and not self._paused:
            self._read(fd)

    def _read(self, fd: int) -> bool:
        """Take one piece; whether there may be more."""
        try:
            data = os.read(fd, _PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal's master, when its last slave is closed
                raise
            data = b""
        stream = self._outputs[fd]
        self._sink(stream, data)
        if not data:
            self._close_output(fd)
            return False
        for client in tuple(self.clients):
            client.send(stream, data)
        self.throttle()
        return True

    def throttle(self) -> None:
        """Read on, or no more, after somebody has taken or not taken what there was."""
        paused = self._full() or any(client.full for client in self.clients)
        if paused != self._paused:
            self._paused = paused
            self._rewatch()

    def client_changed(self, client: Client) -> None:
        """A client has caught up, or is gone."""
        if client.closed and client in self.clients:
            self.clients.remove(client)
        self.throttle()

    def _close_output(self, fd: int) -> None:
        del self._outputs[fd]
        self._loop.forget(fd)
        if fd == self._stdin:
            self._stdin = None
            self._input.clear()
        os.close(fd)
        if not self._outputs and self._ended is not None:
            self._ended()

    def drain(self) -> None:
        """Read what is there:

        everything that the process wrote before it ended. What descendants write later is not waited for.
        """
        self._paused = False
        for fd in tuple(self._outputs):
            while self._read(fd):
                pass

    def feed(self, data: bytes) -> None:
        """Input from a client; dropped when nobody can read it any more."""
        if self._stdin is not None:
            self._input += data
            self._write_input()

    @property
    def accepting(self) -> bool:
        """Whether clients should be read."""
        return len(self._input) < _INPUT

    def close_stdin(self) -> None:
        """The process reads end of file, after all that was fed. A terminal stays open."""
        if self._stdin is not None and not self.tty:
            self._close_after_input = True
            self._write_input()

    def _input_ready(self, events: int) -> None:
        if events & WRITE:
            self._write_input()
        elif events & GONE:  # a pipe whose reader is gone
            self._drop_stdin()

    def _write_input(self) -> None:
        was_accepting = self.accepting
        try:
            while self._input and self._stdin is not None:
                del self._input[:os.write(self._stdin, self._input)]
        except BlockingIOError:
            pass
        except OSError:  # EPIPE, EIO: the reader is gone; its exit is what counts
            self._drop_stdin()
        if self._close_after_input and not self._input:
            self._drop_stdin()
        self._rewatch()
        if self.accepting and not was_accepting:
            for client in tuple(self.clients):
                client.read_again()

    def _drop_stdin(self) -> None:
        self._input.clear()
        if self._stdin is not None and self._stdin not in self._outputs:
            self._loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = None

    def resize(self, height: int, width: int) -> None:
        """Tell the terminal its size; the kernel sends SIGWINCH (ioctl_tty(2), TIOCSWINSZ). Pipes have none."""
        if self.tty:
            for fd in self._outputs:
                fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def finish(self) -> None:
        """Nothing more will come: clients are closed as soon as they have taken what is theirs."""
        self._drop_stdin()
        for client in tuple(self.clients):
            client.finish()

    def discard(self) -> None:
        """Close everything at once."""
        for fd in tuple(self._outputs):
            self._loop.forget(fd)
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._stdin is not None and self._stdin not in self._outputs:
            self._drop_stdin()
        self._outputs.clear()
        self._stdin = None


def pipes(stdin: bool) -> tuple[tuple[int, int, int], int | None, dict[int, int]]:
    """Pipes for a process: its three ends, our end of its input (without `stdin` it reads /dev/null), our ends of its
    output.

    Pipes and not sockets, because programs open /dev/stdout, which fails on a socket (ENXIO).
    """
    made: list[int] = []

    def pipe() -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        made.extend(ends)
        return ends

    try:
        (out_reading, out_writing), (err_reading, err_writing) = pipe(), pipe()
        theirs, ours = pipe() if stdin else (os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), None)
    except OSError:  # EMFILE, most likely: and what there is by then is not lost
        for fd in made:
            os.close(fd)
        raise
    return (theirs, out_writing, err_writing), ours, {out_reading: STDOUT, err_reading: STDERR}
