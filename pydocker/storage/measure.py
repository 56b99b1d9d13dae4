"""How many bytes lie below a directory: the sizes of its regular files, one with several names counted once.

This is what `du --apparent-size` adds up, without the directories themselves, whose size is the file system's own
affair. Nothing is opened but directories, no link is followed, and what vanishes meanwhile counts nothing.

A container's directories may be nested deeper than any path is long (PATH_MAX), and than descriptors can be held open.
So a directory is opened by its path below an *anchor*, an open directory above it; where that path grows long, the
directory becomes the anchor of what is in it. What is too deep even for that counts nothing.
"""

import contextlib
import os
import stat
from pathlib import Path

from runtime.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_LONG = 2048  # bytes of a path: half of what the kernel takes

Visit = tuple[int, bytes]  # a path below an anchor


def content(top: Path) -> int:
    """The bytes of all regular files below `top`; 0 if it is not there."""
    try:
        root = os.open(top, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return _Walk(root).total


class _Walk:
    """Depth first, without recursion: what has to be visited lies on a stack, an anchor to be closed below it."""

    def __init__(self, root: int) -> None:
        self.total = 0
        self._seen: set[tuple[int, int]] = set()
        self._pending: list[Visit | int] = [root, (root, b".")]
        while self._pending:
            following = self._pending.pop()
            if isinstance(following, int):
                os.close(following)
            else:
                with contextlib.suppress(OSError):  # gone meanwhile, or too deep
                    self._visit(*following)

    def _visit(self, anchor: int, path: bytes) -> None:
        fd = openat2(anchor, path, _DIRECTORY, resolve=_INSIDE)
        if len(path) > _LONG:
            anchor, path = fd, b"."
            self._pending.append(fd)
        try:
            self._read(fd, anchor, path)
        finally:
            if anchor != fd:
                os.close(fd)

    def _read(self, fd: int, anchor: int, path: bytes) -> None:
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._pending.append((anchor, path + b"/" + os.fsencode(entry.name)))
                    continue
                with contextlib.suppress(FileNotFoundError):
                    self._count(entry.stat(follow_symlinks=False))

    def _count(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            return
        if found.st_nlink > 1:
            file = found.st_dev, found.st_ino
            if file in self._seen:
                return
            self._seen.add(file)
        self.total += found.st_size
