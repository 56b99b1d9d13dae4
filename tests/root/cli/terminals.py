"""A person at a terminal: a command on a pseudo-terminal of its own, typed at and read from (pty(7))."""

import codecs
import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

PATIENCE = 60.0


class Terminal:
    """`argv` with a terminal as its three streams and its controlling terminal. Leaving the context kills it."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], directory: str, rows: int = 24, columns: int = 80
    ) -> None:
        self._ours, self._theirs = os.openpty()
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in two pieces
        self.resize(rows, columns)
        self.at_first = self.settings()
        self.process = subprocess.Popen(
            argv, env=environment, cwd=directory, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def resize(self, rows: int, columns: int) -> None:
        """As a window manager does: the kernel sends SIGWINCH to the foreground."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def await_raw(self) -> None:
        """Return when the command has taken over every key: what was typed before may be thrown away by then."""
        wait_until(lambda: not termios.tcgetattr(self._theirs)[3] & termios.ICANON)

    def expect(self, text: str) -> str:
        """Read until `text` appears; what came before it. Fails with all that was seen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            if not select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{text!r} did not appear; seen: {self.seen!r}")
            self._read()
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self) -> int:
        """Wait for the command's end, reading on; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"the command does not end; seen: {self.seen!r}")
            if select.select([self._ours], [], [], 0.02)[0]:
                self._read()
        while select.select([self._ours], [], [], 0)[0]:
            self._read()
        return self.process.returncode

    def _read(self) -> None:
        self.seen += self._decoder.decode(os.read(self._ours, 65536))
