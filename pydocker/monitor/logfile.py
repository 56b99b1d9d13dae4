"""A file of records that only grows, bounded by rotation: PATH, PATH.1 (older), PATH.2 (older still).

With `compress` the older ones are PATH.1.gz, PATH.2.gz. Whoever reads a file while it is rotated and compressed follows
it by its inode number, so a compressed file remembers (as the comment of its gzip header, RFC 1952) the number of the
file that it was made of, and no new file is given a number that is still remembered.

Every step of a rotation is one rename or unlink, and what is there between two of them is a whole log: a monitor may be
killed at any of them.
"""

import contextlib
import os
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

_BLOCK = 1 << 18
_LEVEL = 1  # the container waits: text packs well at any level
_COMMENTED = b"\x1f\x8b\x08\x10" + bytes(5) + b"\x03"  # deflate, with a comment, no time, Unix
PACKED = ".gz"
_HEAD = 64  # bytes: enough for the header of a file of ours


class LogFile(ABC):
    """`max_size` in bytes: the file that has reached it is rotated before the next write. `files` counts all.

    What a record is, its subclasses know: where one ends, and what becomes of one that was cut off.
    """

    def __init__(self, path: str, max_size: int, files: int, *, compress: bool = False) -> None:
        self._path = path
        self._max_size = max_size
        self._files = files
        self._compress = compress and files > 1
        self._fd, self._size = _open(path)
        self._begin()

    def append(self, content: bytes) -> None:
        """Whole records only, into as many files as it takes: a file ends with the record that reaches its size.

        OSError: what is not written yet is lost.
        """
        at = 0
        while at < len(content):
            if self._size >= self._max_size and self._whole():
                self._rotate()
            room = max(self._max_size - self._size, 1)
            end = len(content) if len(content) - at <= room else self._end(content, at, at + room - 1)
            self._write(content[at:end])
            at = end

    @abstractmethod
    def _begin(self) -> None:
        """The file has been opened: it may end within a record, whose writer was killed, or whose disk was full."""

    @abstractmethod
    def _whole(self) -> bool:
        """Whether it ends with a whole record."""

    @abstractmethod
    def _end(self, content: bytes, start: int, at: int) -> int:
        """Where the record ends that `at` lies in; one begins at `start`."""

    @abstractmethod
    def _cut_off(self, piece: bytes, done: int) -> None:
        """Of `piece` only `done` bytes could be written."""

    def _write(self, piece: bytes) -> None:
        left = memoryview(piece)
        try:
            while left:
                written = os.write(self._fd, left)
                self._size += written
                left = left[written:]
        except OSError:
            self._cut_off(piece, len(piece) - len(left))
            raise

    def _rotate(self) -> None:
        """The new file is made first: where that fails, everything is as it was, and the next write tries again."""
        fresh = f"{self._path}.new"
        fd, size = self._unremembered(fresh)
        try:
            self._shift()
            os.rename(fresh, self._path)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._size = fd, size
        if self._compress:
            with contextlib.suppress(OSError):  # no room: then it stays as it is
                pack(f"{self._path}.1")

    def _unremembered(self, path: str) -> tuple[int, int]:
        """A new file with a number of its own; those that it cannot have are kept in use until it is there."""
        taken: list[int] = []
        remembered = self._remembered() if self._compress else frozenset()
        try:
            while True:
                fd, size = _open(path)
                if os.fstat(fd).st_ino not in remembered:
                    return fd, size
                taken.append(fd)
                os.unlink(path)
        finally:
            for fd in taken:
                os.close(fd)

    def _remembered(self) -> frozenset[int]:
        names = (f"{self._path}.{number}{PACKED}" for number in range(1, self._files))
        return frozenset(origin for name in names if (origin := origin_of(name)))

    def _shift(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            there = [suffix for suffix in ("", PACKED) if os.path.exists(newer + suffix)]
            for suffix in ("", PACKED):
                if suffix in there:
                    os.rename(newer + suffix, older + suffix)
                elif there:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(older + suffix)

    def close(self) -> None:
        os.close(self._fd)


class LineFile(LogFile):
    """Its records are lines. One that a full disk has cut off is completed first: programs that read the file along
    with us see no line that is half a line.
    """

    def _begin(self) -> None:
        torn = self._size > 0 and os.pread(self._fd, 1, self._size - 1) != b"\n"
        self._unfinished = b"\n" if torn else b""  # what the last line still lacks

    def _whole(self) -> bool:
        return not self._unfinished

    def _end(self, content: bytes, start: int, at: int) -> int:
        return content.index(b"\n", at) + 1

    def _write(self, piece: bytes) -> None:
        super()._write(self._unfinished + piece if self._unfinished else piece)
        self._unfinished = b""

    def _cut_off(self, piece: bytes, done: int) -> None:
        begun = piece[done - 1] != ord("\n") if done else bool(self._unfinished)
        self._unfinished = piece[done:].partition(b"\n")[0] + b"\n" if begun else b""


def pack(path: str) -> None:
    """PATH becomes PATH.gz. A reader that has it open goes on reading it."""
    fresh = f"{path}.packing"
    with open(path, "rb") as plain, open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o640)) as packed:
        try:
            for piece in _packed(plain.fileno()):
                packed.write(piece)
        except OSError:
            os.unlink(fresh)
            raise
    os.rename(fresh, path + PACKED)
    os.unlink(path)


def _packed(fd: int) -> Iterator[bytes]:
    """RFC 1952: header, comment, deflated data, CRC-32, length."""
    yield _COMMENTED + b"%d\0" % os.fstat(fd).st_ino
    packer, crc, size = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS), 0, 0
    while block := os.read(fd, _BLOCK):
        crc, size = zlib.crc32(block, crc), size + len(block)
        yield packer.compress(block)
    yield packer.flush() + struct.pack("<LL", crc, size & 0xFFFFFFFF)


def origin_of(packed: str | int) -> int:
    """The inode number of the file that this one was made of; 0: it is not there, or not ours."""
    try:
        fd = os.open(packed, os.O_RDONLY | os.O_CLOEXEC) if isinstance(packed, str) else packed
    except FileNotFoundError:
        return 0
    head = os.pread(fd, _HEAD, 0)
    if isinstance(packed, str):
        os.close(fd)
    comment = head[len(_COMMENTED):].partition(b"\0")[0] if head.startswith(_COMMENTED) else b""
    return int(comment) if comment.isdigit() else 0


def _open(path: str) -> tuple[int, int]:
    """The descriptor, and the size so far."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    return fd, os.fstat(fd).st_size
