"""Reading a log that may be rotated at the same time.

Open files are followed, not names: a rotation renames the file that is being read, and its reader goes on with
it to the end, then looks which name it has by now; the file that is one newer is the next one.
Files are opened from the newest to the oldest: a rotation in between shows a file twice (dropped by its inode), never
hides one.
"""

import contextlib
import os
from collections.abc import Iterator

import msgspec

_BLOCK = 1 << 18


class Entry(msgspec.Struct, frozen=True):
    """One line of the log file. `time` is RFC 3339 with nine digits, in UTC."""

    log: str
    stream: str
    time: str


_decoder = msgspec.json.Decoder(Entry)


class LogReader:
    """The files of one log, oldest first, from some place on."""

    def __init__(self, path: str, files: int) -> None:
        self._names = [path] + [f"{path}.{number}" for number in range(1, files)]
        self._open = self._open_all()
        self._rest = b""

    def _open_all(self) -> list[int]:
        found: dict[int, int] = {}
        for name in self._names:
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
                if found.setdefault(os.fstat(fd).st_ino, fd) != fd:
                    os.close(fd)
        return list(found.values())[::-1]

    def reopen(self) -> None:
        """Look for the file again if there was none at first."""
        if not self._open:
            self._open = self._open_all()

    def skip_to_tail(self, lines: int) -> None:
        """Go to where only `lines` lines follow (none: to the end)."""
        kept: list[int] = []
        for fd in reversed(self._open):
            at, lines = _start_of_tail(fd, lines)
            os.lseek(fd, at, os.SEEK_SET)
            kept.insert(0, fd)
            if lines <= 0:
                break
        for fd in self._open[:-len(kept)] if kept else []:
            os.close(fd)
        self._open = kept

    def read(self) -> Iterator[list[Entry]]:
        """What is there now, in batches. May be called again later, for what has come since."""
        while self._open:
            yield from self._read_file(self._open[0])
            if len(self._open) == 1:
                following = self._successor(self._open[0])
                if following is None:
                    return
                yield from self._read_file(self._open[0])  # what came between the last read and the rotation
                self._open.append(following)
            os.close(self._open.pop(0))
            self._rest = b""

    def _read_file(self, fd: int) -> Iterator[list[Entry]]:
        while block := os.read(fd, _BLOCK):
            whole, newline, self._rest = (self._rest + block).rpartition(b"\n")
            if newline:
                yield _decoder.decode_lines(whole)

    def _successor(self, fd: int) -> int | None:
        inode = os.fstat(fd).st_ino
        inodes = [_inode(name) for name in self._names]
        if inodes[0] in (inode, 0):
            return None
        # Not found: rotated away altogether; then the oldest one that is left is the next.
        at = inodes.index(inode) if inode in inodes else len([found for found in inodes if found])
        try:
            return os.open(self._names[at - 1], os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # rotated meanwhile, or removed: the next look tells which
            return None

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            os.close(self._open.pop())


def _inode(name: str) -> int:
    try:
        return os.stat(name).st_ino
    except FileNotFoundError:
        return 0


def _start_of_tail(fd: int, lines: int) -> tuple[int, int]:
    """The offset from which `lines` lines follow, and how many more an older file has to give."""
    end = at = os.fstat(fd).st_size
    if lines <= 0:
        return end, 0
    while at > 0:
        start = max(0, at - _BLOCK)
        block = os.pread(fd, at - start, start)
        position = len(block) - (1 if at == end else 0)  # the last newline ends the last line, and begins none
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            lines -= 1
            if lines == 0:
                return start + position + 1, 0
        at = start
    return 0, lines - (1 if end else 0)

