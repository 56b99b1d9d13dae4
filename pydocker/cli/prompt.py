"""Asking a person: a line, and a line that nobody else should read (termios(3), ECHO)."""

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from pydocker.cli.errors import CommandError, Interrupted
from pydocker.cli.session import Session
from pydocker.cli.terminal import handled

_LONGEST = 64 * 1024  # bytes


def line(session: Session, question: str) -> str:
    """What the person answers, without blanks around it. Raises CommandError at the end of the input."""
    session.write(question)
    return _read(session.stdin).strip()


def secret(session: Session, question: str) -> str:
    """The same, while the terminal shows nothing of it; blanks count."""
    with _unseen(session.stdin):  # before the question: whoever answers fast is not seen either
        session.write(question)
        answer = _read(session.stdin)
    session.write("\n")  # the person's own was not shown either
    return answer


def _read(fd: int) -> str:
    """One line, byte by byte: what comes behind it is not ours."""
    found = bytearray()
    while len(found) < _LONGEST and (byte := os.read(fd, 1)) != b"\n":
        if not byte:
            if not found:
                raise CommandError("Error: no answer: end of input")
            break
        found += byte
    return found.decode("utf-8", "surrogateescape").rstrip("\r")


@contextmanager
def _unseen(fd: int) -> Iterator[None]:
    """No echo for a while. Whatever ends us, the terminal gets its echo back before."""
    before = termios.tcgetattr(fd)
    silent = list(before)
    assert isinstance(before[3], int)
    silent[3] = before[3] & ~termios.ECHO
    with handled((signal.SIGTERM, signal.SIGHUP), _interrupt):
        termios.tcsetattr(fd, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSAFLUSH, before)


def _interrupt(number: int) -> None:
    raise Interrupted(number)
