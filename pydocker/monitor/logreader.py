"""Reading a log that may be rotated, and compressed, at the same time.

Open files are followed, not names: a rotation renames the file that is being read, and its reader goes on with
it to the end, then looks which name it has by now; the file that is one newer is the next one.
Files are opened from the newest to the oldest: a rotation in between shows a file twice (dropped by its inode number,
which a compressed file remembers), never hides one.
"""

import contextlib
import os
import zlib
from collections.abc import Iterator

from pydocker.monitor.logfile import PACKED, origin_of
from pydocker.monitor.logformat import Entry, Format

_BLOCK = 1 << 18


class _File:
    """One file of the log, open. `origin`: the inode number that it has, or had before it was compressed."""

    def __init__(self, fd: int, *, packed: bool) -> None:
        self.fd = fd
        self._packed = packed
        self.inode = os.fstat(fd).st_ino
        self.origin = (packed and origin_of(fd)) or self.inode
        self.skip = 0  # so many entries are not wanted
        self._rest = b""
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def read(self, format: Format) -> Iterator[list[Entry]]:
        """What is there now, in batches; whole records only. May be called again later."""
        while block := os.read(self.fd, _BLOCK):
            data = self._rest + (self._unpacked(block) if self._packed else block)
            end = format.whole(data)
            self._rest = data[end:]
            if end and (entries := format.decode(data[:end])):
                yield self._wanted(entries)

    def _unpacked(self, block: bytes) -> bytes:
        """Of a damaged file, what comes before the damage (a power cut's, most likely); it hides no newer one."""
        try:
            return self._unpacker.decompress(block)
        except zlib.error:
            os.lseek(self.fd, 0, os.SEEK_END)
            return b""

    def _wanted(self, entries: list[Entry]) -> list[Entry]:
        passed, self.skip = min(self.skip, len(entries)), max(self.skip - len(entries), 0)
        return entries[passed:] if passed else entries

    def skip_to_tail(self, format: Format, lines: int) -> int:
        """Go to where only so many entries follow; how many an older file has to give besides."""
        if not self._packed and format.start_of_tail is not None:
            at, lines = format.start_of_tail(self.fd, lines)
            os.lseek(self.fd, at, os.SEEK_SET)
            return lines
        count = sum(map(len, self.read(format)))
        os.lseek(self.fd, 0, os.SEEK_SET)
        self._rest, self._unpacker = b"", zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.skip = max(count - lines, 0)
        return lines - count

    def close(self) -> None:
        os.close(self.fd)


class LogReader:
    """The files of one log, oldest first, from some place on."""

    def __init__(self, path: str, files: int, format: Format) -> None:
        self._format = format
        self._names = [path] + [f"{path}.{number}" for number in range(1, files)]
        self._open = self._open_all()

    def _open_all(self) -> list[_File]:
        found: dict[int, _File] = {}
        for name in self._names:
            file = _opened(name)
            if file is not None and found.setdefault(file.origin, file) is not file:
                file.close()
        return list(found.values())[::-1]

    def reopen(self) -> None:
        """Look for the file again if there was none at first."""
        if not self._open:
            self._open = self._open_all()

    def skip_to_tail(self, lines: int) -> None:
        """Go to where only `lines` lines follow (none: to the end)."""
        kept: list[_File] = []
        for file in reversed(self._open):
            lines = file.skip_to_tail(self._format, lines)
            kept.insert(0, file)
            if lines <= 0:
                break
        for file in self._open[:-len(kept)] if kept else []:
            file.close()
        self._open = kept

    def read(self) -> Iterator[list[Entry]]:
        """What is there now, in batches. May be called again later, for what has come since."""
        while self._open:
            yield from self._open[0].read(self._format)
            if len(self._open) == 1:
                following = self._successor(self._open[0])
                if following is None:
                    return
                yield from self._open[0].read(self._format)  # what came between the last read and the rotation
                self._open.append(following)
            self._open.pop(0).close()

    def _successor(self, file: _File) -> _File | None:
        numbers = [_number(name) for name in self._names]
        if numbers[0] in (file.inode, 0):
            return None
        # Not found: rotated away altogether; then the oldest one that is left is the next.
        there = [at for at, number in enumerate(numbers) if number]
        at = next((at for at in there if numbers[at] in (file.inode, file.origin)), there[-1] + 1)
        return _opened(self._names[at - 1])  # None: rotated meanwhile, or removed; the next look tells which

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            self._open.pop().close()


def _opened(name: str) -> _File | None:
    """By this name, or compressed by its other one. While it is being compressed it has both."""
    for suffix in ("", PACKED):
        with contextlib.suppress(FileNotFoundError):
            return _File(os.open(name + suffix, os.O_RDONLY | os.O_CLOEXEC), packed=bool(suffix))
    return None


def _number(name: str) -> int:
    """The inode number of the file with this name, or of the one that it was made of; 0: there is none."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(name).st_ino
    return origin_of(name + PACKED)
