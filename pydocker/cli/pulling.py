"""A pull and its progress: one line a layer that is rewritten in place on a terminal, plain lines everywhere else.

Drawn with control sequences (ECMA-48: cursor up and down, erase in line). A layer keeps the line on which it appeared;
lines that belong to no layer (`Pulling from`, `Digest:`, `Status:`) stand where they came.
"""

import os
from collections.abc import Iterator

from pydocker.cli import phrases
from pydocker.cli.credentials import header
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session, encoded, write_all
from pydocker.client import images
from pydocker.client.answers import ProgressDetail, Told
from pydocker.model import reference
from pydocker.model.reference import Reference

_BAR = 50  # characters between the brackets, as Docker's


def pull(session: Session, name: str, platform: str | None, *, quiet: bool, to: int) -> Reference:
    """Pull `name`, telling how it goes on descriptor `to`. Returns the complete reference.

    Raises InvalidParameter for a name that is none, ApiError or CommandError with what the server says.
    """
    complete = reference.parse(name).with_default_tag()
    tag = complete.digest or complete.tag or ""
    response = images.pull(session.client(), complete.familiar_name, tag, platform, header(session, complete.domain))
    show(images.told(response), to, quiet=quiet)
    return complete


def show(lines: Iterator[Told], to: int, *, quiet: bool = False) -> None:
    """Show a progress stream to its end. Raises CommandError if the stream ends with an error."""
    screen = _Screen(to) if os.isatty(to) else None
    for line in lines:
        if line.error:
            raise CommandError(f"Error response from daemon: {line.error}")
        if quiet:
            continue
        if screen is None:
            _show_plainly(line, to)
        else:
            screen.show(line)


def _show_plainly(line: Told, to: int) -> None:
    if not (line.detail and line.detail.current):  # a log file has no use for every step of a bar
        write_all(to, encoded(_line(line, "") + "\n"))


def _line(line: Told, bar: str) -> str:
    before = f"{line.id}: " if line.id else ""
    return f"{before}{line.status or line.stream.rstrip()}{' ' + bar if bar else ''}".rstrip()


class _Screen:
    """Lines below each other, of which those with an id are rewritten."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rows: dict[str, int] = {}
        self._count = 0

    def show(self, line: Told) -> None:
        text = self._cut(_line(line, bar(line.detail)))
        row = self._rows.get(line.id) if line.id else None
        if row is None:
            if line.id:
                self._rows[line.id] = self._count
            self._count += 1
            write_all(self._fd, encoded(text + "\n"))
        else:
            up = self._count - row
            write_all(self._fd, encoded(f"\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B"))

    def _cut(self, text: str) -> str:
        """A line that wraps would make every `up` wrong."""
        columns = os.get_terminal_size(self._fd).columns or 80  # 0: a terminal that nobody has told its size
        return text[: max(columns - 1, 20)]


def bar(detail: ProgressDetail | None) -> str:
    """`[=====>     ]  1.2MB/4.5MB`; only the bytes where the total is not known; nothing without any."""
    if detail is None or detail.current <= 0:
        return ""
    current = phrases.decimal_size(detail.current, 4)
    if detail.total <= 0:
        return f"{current:>8}"
    done = min(detail.current * _BAR // detail.total, _BAR)
    drawn = "=" * done + (">" if done < _BAR else "") + " " * (_BAR - done - 1)
    return f"[{drawn}] {current:>8}/{phrases.decimal_size(detail.total, 4)}"
