"""How far a copy is: a line on the terminal that is drawn anew, and the last word about it. To stderr, as Docker."""

import os
import time
from collections.abc import Iterator

from pydocker.cli import phrases
from pydocker.cli.session import Session, encoded, write_all
from pydocker.cli.visible import visible

_FIRST, _EVERY = 0.1, 0.1  # seconds: a short copy is over before there is something to see


class Counter:
    """Counts an archive's bytes as they pass. A context manager: at its end the line is gone."""

    def __init__(self, session: Session, title: str, *, quiet: bool) -> None:
        self._session, self._title, self._quiet = session, title, quiet
        self._size = 0
        self._draws = not quiet and os.isatty(session.stderr)
        self._next = time.monotonic() + _FIRST
        self._drawn = False

    def __enter__(self) -> "Counter":
        return self

    def __exit__(self, *error: object) -> None:
        if self._drawn:
            self._write("\r\x1b[K")

    def counted(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces."""
        for piece in content:
            self._size += len(piece)
            if self._draws and time.monotonic() >= self._next:
                self._next, self._drawn = time.monotonic() + _EVERY, True
                self._write(f"\r\x1b[K{self._title} - {phrases.decimal_size(self._size)}")
            yield piece

    def done(self, target: str) -> None:
        """It was copied there."""
        if not self._quiet:
            size = phrases.decimal_size(self._size)
            self._session.warn(f"Successfully copied {size} to {visible(target)}")

    def _write(self, text: str) -> None:
        write_all(self._session.stderr, encoded(text))
