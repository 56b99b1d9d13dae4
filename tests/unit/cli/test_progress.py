"""What the lines of a progress stream say, and which of them are drawn where there is little room."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from pydocker.cli import progress
from pydocker.cli.errors import CommandError
from pydocker.cli.progress import Row
from pydocker.cli.session import Session
from pydocker.client.answers import ProgressDetail, Told


@pytest.mark.parametrize(("detail", "drawn"), [
    (ProgressDetail(1500, 0), "1.5kB"),
    (ProgressDetail(5, 10), f"[{'=' * 25}>{' ' * 24}]       5B/10B"),
    (ProgressDetail(10, 10), f"[{'=' * 50}]      10B/10B"),
    (ProgressDetail(20, 10), f"[{'=' * 50}]      20B/10B"),
])
def test_bars(detail: ProgressDetail, drawn: str) -> None:
    assert progress.bar(detail).strip() == drawn


@pytest.mark.parametrize("columns", [28, 40, 60, 80, 200])
def test_a_bar_is_as_wide_as_there_is_room(columns: int) -> None:
    line = Told(id="abcdef", status="Extracting", detail=ProgressDetail(5_000_000, 10_000_000))
    [text] = progress.drawn(line, columns)
    assert len(text) <= max(columns, len("abcdef: Extracting      5MB/10MB"))
    assert ("[===" in text) == (columns > 40)
    assert text.endswith("5MB/10MB")


@pytest.mark.parametrize(("line", "texts"), [
    (Told(id="aa", status="Waiting"), ["aa: Waiting"]), (Told(stream="Loaded image: x\n"), ["Loaded image: x"]),
    (Told(), []), (Told(stream="a\tb\nc\n"), ["a b", "c"]), (Told(status="\x1b[2Jx", id="\x07"), [r"\x07: \x1b[2Jx"]),
])
def test_texts(line: Told, texts: list[str]) -> None:
    assert progress.texts(line) == texts


def rows(*statuses: str) -> list[Row]:
    return [Row(Told(id=str(at), status=status, detail=ProgressDetail(1, 2) if status == "bar" else None), at)
            for at, status in enumerate(statuses)]


def test_all_rows_where_there_is_room() -> None:
    given = rows("a", "bar", "c")
    assert progress.chosen(given, 3) == (given, "")


def test_bars_and_what_changed_last_are_drawn_first() -> None:
    given = rows("old", "bar", "old", "bar", "new", "newer")
    kept, rest = progress.chosen(given, 5)
    assert [row.told.id for row in kept] == ["1", "3", "4", "5"]
    assert rest == "… and 2 old"
    kept, rest = progress.chosen(given, 2)
    assert [row.told.id for row in kept] == ["3"]
    assert rest == "… and 2 old, 1 bar, 1 new, 1 newer"
    assert progress.chosen(given, 0)[0] == []


def read_to_end(terminal: int) -> Iterator[str]:
    """What was written to a pty, whose other side is closed: the kernel passes it on in pieces, then fails with EIO."""
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 10000):
            yield piece.decode()


def shown(lines: list[Told], **environment: str) -> str:
    ours, theirs = os.openpty()
    os.set_blocking(theirs, True)
    try:
        progress.show(Session(environment), iter(lines), theirs)
    finally:
        os.close(theirs)
        text = "".join(read_to_end(ours))
        os.close(ours)
    return text


LINES = [Told(id="aa", status="Waiting"), Told(id="bb", status="Waiting"), Told(status="Digest: x"),
         Told(id="aa", status="Downloading", detail=ProgressDetail(5, 10)), Told(id="aa", status="Pull complete")]


def test_a_terminal_is_left_with_a_line_for_each_layer() -> None:
    text = shown(LINES, TERM="xterm")
    assert text.endswith("aa: Pull complete\r\nbb: Waiting\r\nDigest: x\r\n")
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_a_dumb_terminal_gets_plain_lines() -> None:
    for text in (shown(LINES, TERM="dumb"), shown(LINES)):
        assert text == "aa: Waiting\r\nbb: Waiting\r\nDigest: x\r\naa: Pull complete\r\n"


def test_an_error_is_raised_from_a_terminal_too() -> None:
    with pytest.raises(CommandError, match="no space"):
        shown([*LINES, Told(error="no space")], TERM="xterm")
