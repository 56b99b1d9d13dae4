"""The lines of a progress stream on a terminal, drawn by rich ten times a second, whatever comes in between.

`progress` decides what the lines say. What is done here is what a terminal needs besides: its size is asked for at each
drawing, as a window may be resized; where it became narrower, the terminal has wrapped the lines that stood there, and
so many more have to be taken away.
"""

import os
import threading
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from pydocker.cli.progress import Row, chosen, drawn
from pydocker.cli.session import encoded, write_all
from pydocker.client.answers import Told

_PER_SECOND = 10


class Screen:
    """A live area below the cursor, which is left as plain lines."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rows: dict[str | int, Row] = {}
        self._count = 0
        self._closing = False
        self._drawn: list[str] = []
        self._measured = (0, 0, 0)
        self._guard = threading.Lock()
        # Without colours, and without rich's ideas of what in a text is markup, a number or an emoji
        self._console = Console(
            file=open(fd, "w", encoding="utf-8", errors="replace", closefd=False),  # noqa: SIM115 - as long as this
            force_terminal=True, force_interactive=True, color_system=None, legacy_windows=False, markup=False,
            emoji=False, highlight=False)
        self._live = _Live(self._console, self._measure, self._area)
        self._live.start()
        # the cursor stays: whoever stops or kills this process has one afterwards
        self._console.show_cursor(True)

    def show(self, line: Told) -> None:
        """Take over one line of the stream; it is on the screen a moment later."""
        with self._guard:
            self._count += 1
            self._rows[line.id or self._count] = Row(line, self._count)

    def close(self) -> None:
        """Take the area away, and write what it said as plain lines: they wrap and are copied like any others."""
        self._closing = True
        self._live.stop()
        last = [text for row in self._rows.values() for text in drawn(row.told, self._console.width)]
        write_all(self._fd, encoded("".join(f"{text}\n" for text in last)))

    def _measure(self) -> bool:
        """How large the terminal is, and how many lines of the last drawing it has wrapped. False: all is as it was."""
        columns, lines = os.get_terminal_size(self._fd)
        now = (columns or 80, lines or 24, self._count)  # 0: a terminal that nobody has told its size
        if now == self._measured and not self._closing:
            return False
        self._measured = now
        self._console.size = now[:2]
        wrapped = sum(max(0, cell_len(text) - 1) // self._console.width for text in self._drawn)
        if wrapped:
            up = (ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, *(up * wrapped)))
        return True

    def _area(self) -> Group:
        return Group(*(Text(text, no_wrap=True, overflow="crop") for text in self._lines()))

    def _lines(self) -> list[str]:
        """What to draw now. The empty line at the end is the cursor's, as long as it goes on."""
        width, height = self._console.size
        with self._guard:
            rows = list(self._rows.values())
        if self._closing:
            return []
        kept, rest = chosen(rows, height - 1)
        self._drawn = [text[:width] for row in kept for text in drawn(row.told, width)]
        return [*self._drawn, *([rest] if rest else []), ""]


class _Live(Live):
    """rich's live area, drawn by its own thread where `measure` says that there is something new."""

    def __init__(self, console: Console, measure: Callable[[], bool], area: Callable[[], Group]) -> None:
        self._measure = measure
        super().__init__(console=console, refresh_per_second=_PER_SECOND, redirect_stdout=False,
                         redirect_stderr=False, transient=True, get_renderable=area)

    def refresh(self) -> None:
        with self._lock:
            if self._measure():
                super().refresh()
