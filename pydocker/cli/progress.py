"""Progress streams (pull, push, load) as a person sees them: a line for each layer that is drawn anew while it changes.

On a terminal, as Docker draws it:

    3.20: Pulling from library/alpine
    4abcf2066143: Downloading [=======>                    ]  1.2MB/3.6MB
    12bcf20661a8: Waiting

A layer keeps the line on which it appeared; lines that belong to no layer (`Digest:`, `Status:`) stand where they came.
rich draws them: it knows how wide characters are, and how to rewrite lines. It costs 50 ms to import, so that is done
when the first line has come, and only on a terminal. Everywhere else (a file, a pipe, TERM=dumb) each state is a plain
line, without the steps between, for which a log file has no use.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydocker.cli import phrases
from pydocker.cli.errors import CommandError, Interrupted
from pydocker.cli.session import Session, encoded, write_all
from pydocker.cli.terminal import handled
from pydocker.cli.visible import visible
from pydocker.client.answers import ProgressDetail, Told

if TYPE_CHECKING:
    from pydocker.cli.screen import Screen

_WIDEST_BAR = 50  # characters between the brackets, as Docker's
_NARROWEST_BAR = 10


class Row(NamedTuple):
    """One line on the screen; `changed` counts up with every line of the stream."""

    told: Told
    changed: int


def show(session: Session, lines: Iterator[Told], to: int, *, quiet: bool = False) -> None:
    """Show a progress stream to its end, on the descriptor `to`; with `quiet` nothing of it, but its error.

    Raises CommandError if the stream ends with an error.
    """
    if quiet:
        for line in lines:
            _raise_error(line)
    elif os.isatty(to) and session.environ.get("TERM", "dumb") != "dumb":
        _draw(lines, to)
    else:
        for line in lines:
            _raise_error(line)
            if not _has_bar(line):
                write_all(to, encoded("".join(f"{text}\n" for text in texts(line))))


def _draw(lines: Iterator[Told], to: int) -> None:
    """Start drawing when there is something to draw: whoever waits for a registry sees its error no later."""
    screen: Screen | None = None
    try:
        # a signal that ends this process leaves the lines as they are, and the shell's prompt below them
        with handled((signal.SIGTERM, signal.SIGHUP), _interrupt):
            for line in lines:
                _raise_error(line)
                screen = screen or _screen(to)
                screen.show(line)
    finally:
        if screen is not None:
            screen.close()


def _screen(to: int) -> "Screen":
    from pydocker.cli.screen import Screen

    return Screen(to)


def _interrupt(number: int) -> None:
    raise Interrupted(number)


def _raise_error(line: Told) -> None:
    if line.error:
        raise CommandError(line.error)  # without "Error response from daemon", as in Docker: the answer was a good one


def texts(line: Told) -> list[str]:
    """What a line of the stream says, without its bar; nothing for one that is for programs (`aux`)."""
    before = f"{line.id}: " if line.id else ""
    said = visible(line.status or line.stream).expandtabs(1).rstrip().splitlines()
    return [f"{visible(before)}{text}" for text in said]


def _has_bar(line: Told) -> bool:
    return line.detail is not None and line.detail.current > 0


def drawn(line: Told, columns: int) -> list[str]:
    """The same with its bar, if it has one; as wide as fits into `columns`."""
    found = texts(line)
    if not found or not line.detail or not _has_bar(line):
        return found
    return [*found[:-1], f"{found[-1]} {bar(line.detail, columns - len(found[-1]) - 1)}"]


def bar(detail: ProgressDetail, columns: int = 100) -> str:
    """`[=====>     ]  1.2MB/4.5MB`; only the bytes where the total is not known, or where there is no room for more."""
    current = phrases.decimal_size(detail.current, 4)
    if detail.total <= 0:
        return f"{current:>8}"
    figures = f"{current:>8}/{phrases.decimal_size(detail.total, 4)}"
    width = min(_WIDEST_BAR, columns - len(figures) - 3)
    if width < _NARROWEST_BAR:
        return figures
    done = min(detail.current * width // detail.total, width)
    return f"[{'=' * done}{'>' if done < width else ''}{' ' * (width - done - 1)}] {figures}"


def chosen(rows: Sequence[Row], room: int) -> tuple[list[Row], str]:
    """The rows to draw where there are `room` lines, in their order; and one line about those that do not fit.

    What has a bar goes first, then what changed last.
    """
    if len(rows) <= room:
        return list(rows), ""
    order = sorted(range(len(rows)), key=lambda at: (_has_bar(rows[at].told), rows[at].changed), reverse=True)
    kept = set(order[:max(room - 1, 0)])
    left_out: dict[str, int] = {}
    for at, row in enumerate(rows):
        if at not in kept:
            left_out[row.told.status] = left_out.get(row.told.status, 0) + 1
    summary = ", ".join(f"{count} {visible(status)}" for status, count in left_out.items())
    return [rows[at] for at in sorted(kept)], f"… and {summary}"
