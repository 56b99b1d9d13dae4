"""Progress on a terminal that a person looks at: tmux, which wraps, scrolls and reflows as terminals do."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0

FEED = """
import json, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pydocker.cli.progress import show
from pydocker.cli.session import Session
from pydocker.client.answers import Told
import msgspec
lines = open(sys.argv[1], buffering=1)
try:
    show(Session(os.environ), (msgspec.json.decode(line, type=Told) for line in lines), 1)
except KeyboardInterrupt:
    sys.exit(130)
"""


class Window:
    """A tmux window in which the program above draws what is written to `pipe`."""

    def __init__(self, directory: Path, columns: int, lines: int) -> None:
        self._tmux = ("tmux", "-S", str(directory / "tmux"), "-f", "/dev/null")
        pipe = directory / "pipe"
        os.mkfifo(pipe)
        (directory / "feed.py").write_text(FEED)
        shell = f"cd {CHECKOUT}; echo before; {sys.executable} {directory}/feed.py {pipe}; echo code $?; cat"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), shell)
        self._pipe = pipe.open("w", buffering=1)

    def tmux(self, *words: str) -> str:
        return subprocess.run((*self._tmux, *words), check=True, capture_output=True, text=True).stdout

    def say(self, id: str, status: str, current: int = 0, total: int = 0) -> None:
        detail = f', "progressDetail": {{"current": {current}, "total": {total}}}' if total else ""
        self._pipe.write(f'{{"id": "{id}", "status": "{status}"{detail}}}\n')

    def columns(self) -> int:
        """Of the terminal, as the kernel has it."""
        terminal = os.open(self.tmux("display-message", "-p", "#{pane_tty}").strip(), os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.get_terminal_size(terminal).columns
        finally:
            os.close(terminal)

    def lines(self, history: int = 0) -> list[str]:
        return [line.rstrip() for line in self.tmux("capture-pane", "-p", "-S", str(-history)).splitlines()]

    def until(self, test: Callable[[list[str]], bool], history: int = 0) -> list[str]:
        """The lines on the screen (and `history` above), once they are as they should be."""
        deadline = time.monotonic() + PATIENCE
        while not test(found := self.lines(history)):
            assert time.monotonic() < deadline, "\n".join(found)
            time.sleep(0.02)
        return found

    def close(self) -> None:
        self._pipe.close()
        self.tmux("kill-server")


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux: make setup-tests")
    window = Window(tmp_path, 90, 12)
    yield window
    window.close()


def test_lines_are_rewritten_in_place_and_the_window_may_become_narrow(window: Window) -> None:
    window.say("aa", "Waiting")
    window.say("bb", "Downloading", 5_000_000, 10_000_000)
    window.until(lambda lines: lines[:2] == ["before", "aa: Waiting"] and lines[2].endswith("]      5MB/10MB"))
    window.tmux("resize-window", "-x", "40", "-y", "12")
    wait_until(lambda: window.columns() == 40)  # tmux itself tells the size a quarter of a second later
    window.say("aa", "Pull complete")
    window.say("bb", "Downloading", 6_000_000, 10_000_000)
    # what was above may have been scrolled away by tmux, to make room for the wrapped lines
    window.until(lambda lines: [line for line in lines if line not in ("", "before")]
                 == ["aa: Pull complete", "bb: Downloading      6MB/10MB"])


def test_more_layers_than_lines(window: Window) -> None:
    for at in range(30):
        window.say(f"l{at:02}", "Waiting")
    for at in (3, 20):
        window.say(f"l{at:02}", "Downloading", 1, 2)
    seen = window.until(lambda lines: sum("Downloading" in line for line in lines) == 2)
    assert len([line for line in seen if line]) == 11
    assert seen[10] == "… and 20 Waiting"
    window._pipe.close()
    everything = window.until(lambda lines: "code 0" in lines, history=50)
    start = everything.index("before")
    assert [line[:3] for line in everything[start + 1:start + 31]] == [f"l{at:02}" for at in range(30)]
    assert everything[start + 31] == "code 0"


def test_ctrl_c_leaves_the_lines_and_a_sane_terminal(window: Window) -> None:
    window.say("aa", "Downloading", 1, 2)
    window.until(lambda lines: lines[1].startswith("aa: Downloading ["))
    window.tmux("send-keys", "C-c")
    seen = window.until(lambda lines: "code 130" in lines)
    assert seen[1].startswith("aa: Downloading [")
    assert seen[2] == "code 130"
    assert window.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"
    window.tmux("send-keys", "echoed")
    window.until(lambda lines: "echoed" in lines)
