"""The person's terminal, and the signals that reach this process while a container has the person's attention.

With `-t` the terminal goes raw (termios(3), cfmakeraw): no echo, no line editing, no signals from keys, so that ctrl-c
is a byte for the container's own terminal, which makes it a signal there. Without `-t` a ctrl-c is a signal here, and
is sent on to the container (`--sig-proxy`). Handlers run in the main thread between two instructions, also while a
system call waits (PEP 475 then repeats the call), so they may simply ask the server, over a connection of their own.
"""

import os
import signal
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NamedTuple

from pydocker.cli.errors import Interrupted


class Size(NamedTuple):
    """In characters."""

    height: int
    width: int


# Faults of this very process, what nobody can catch, and what only concerns this process and its own children, pipes,
# sockets and job control.
_OWN = frozenset({
    signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT,
    signal.SIGTRAP, signal.SIGSYS, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGTTIN, signal.SIGTTOU,
})
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def size(fd: int) -> Size | None:
    """The terminal's size; None if `fd` is no terminal, or one that does not know."""
    try:
        columns, lines = os.get_terminal_size(fd)
    except OSError:
        return None
    return Size(lines, columns) if lines and columns else None


def in_foreground(fd: int, job: int) -> bool:
    """Whether what is typed at the terminal `fd` is for the process `job`, and not for its shell or another job.

    Read from outside (proc(5), stat): a warm process has no controlling terminal, so that its reads would take what is
    meant for others, where the kernel would stop the job itself (SIGTTIN).
    """
    try:
        with open(f"/proc/{job}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        typed_at = os.fstat(fd).st_rdev
    except OSError:
        return True
    group, controlling, foreground = (int(fields[index]) for index in (2, 4, 5))
    return foreground == group or typed_at not in (controlling, os.makedev(5, 0))


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """The terminal `fd` raw for a while; a no-op for anything else. A signal that ends us puts it back before."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    with handled(_ENDING, _interrupt):
        termios.tcsetattr(fd, termios.TCSANOW, _made_raw(before))
        try:
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _interrupt(number: int) -> None:
    raise Interrupted(number)


_Attributes = list[int | list[bytes | int]]


def _made_raw(before: _Attributes) -> _Attributes:
    """What cfmakeraw(3) does to termios attributes, and read(2) returns from one byte on."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, cc = before
    assert isinstance(iflag, int) and isinstance(oflag, int) and isinstance(cflag, int) and isinstance(lflag, int)
    assert isinstance(cc, list)
    t = termios
    keys = list(cc)
    keys[t.VMIN], keys[t.VTIME] = 1, 0
    return [
        iflag & ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON),
        oflag & ~t.OPOST, (cflag & ~(t.CSIZE | t.PARENB)) | t.CS8,
        lflag & ~(t.ECHO | t.ECHONL | t.ICANON | t.ISIG | t.IEXTEN), ispeed, ospeed, keys,
    ]


@contextmanager
def handled(numbers: Iterable[int], act: Callable[[int], None]) -> Iterator[None]:
    """`act(number)` on each of these signals, for a while."""

    def handler(number: int, frame: FrameType | None) -> None:
        act(number)

    with ExitStack() as restored:
        for number in numbers:
            restored.callback(signal.signal, number, signal.signal(number, handler))
        yield


def forwarded() -> list[int]:
    """The signals that mean the container's program, when there is no terminal between."""
    return sorted(signal.valid_signals() - _OWN)


def name(number: int) -> str:
    """`SIGTERM`, as the API wants it; a real-time signal has a number only."""
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)
