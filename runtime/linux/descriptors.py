"""File descriptors: closing all of them at once, and what a small file holds."""

import os

from runtime.linux.calls import note, syscall

CLOSE_RANGE_CLOEXEC = 4
LAST = 2**32 - 1


def close_range(first: int, last: int = LAST, *, on_exec: bool = False) -> None:
    """Close every descriptor from `first` to `last`, or mark them to be closed by execve. close_range(2), Linux 5.9."""
    if first <= last:
        syscall("close_range", first, last, CLOSE_RANGE_CLOEXEC if on_exec else 0)


def read(path: str | bytes, limit: int = 1 << 20, *, dir_fd: int | None = None) -> bytes:
    """The first `limit` bytes of a file, without Python's codecs and buffers. Raises OSError with the path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return drain(fd, limit)
    finally:
        os.close(fd)


def drain(fd: int, limit: int = 1 << 20) -> bytes:
    """What can be read from the descriptor, up to `limit` bytes. One read(2) is not enough for seq files of /proc."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(fd, min(limit, 1 << 16))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def write(path: str | bytes, content: bytes, *, dir_fd: int | None = None) -> None:
    """Write to an existing file in one write(2), as the files of /proc and cgroups want it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        note("write", path, content)
        os.write(fd, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(fd)


def write_all(fd: int, content: bytes) -> None:
    """All of the content: a disk that is nearly full takes a part first, and says so only the next time. write(2)."""
    while content:
        content = content[os.write(fd, content):]


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor above 2 that is not in the set."""
    first = 3
    for descriptor in sorted(one for one in kept if one > 2):
        close_range(first, descriptor - 1)
        first = descriptor + 1
    close_range(first)
