"""A directory as the entries of an archive, for `Place`, without an archive: the kernel copies what is in the files.

copy_file_range(2) brings no byte into this process, and where a file system can (btrfs, XFS) two files share what is
written until one of them changes. Holes stay holes. Between two file systems it is read(2) and write(2), as ever.
"""

import errno
import os
from collections.abc import Iterator

from pydocker.layers.tar import Entry
from pydocker.layers.walk import Content, Walk

_NOT_HERE = frozenset((errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS))  # the two are not of its kind


class Copying:
    """All below the directory `handle` (O_PATH), and the directory itself, which comes first."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._content: Content | None = None
        self._by_kernel = True
        self.root: Entry | None = None

    def __iter__(self) -> Iterator[Entry]:
        for entry, content in Walk(holes=True).tree(self._handle, b"./"):
            self.root = self.root or entry
            self._content = content if isinstance(content, Content) else None
            yield entry

    def write(self, fd: int, entry: Entry) -> None:
        """Copy the current entry's content to a new, empty file. Raises OSError, PydockerError (it became shorter)."""
        assert self._content is not None
        for offset, length in self._content.parts:
            at = offset + self._copied(self._content.fd, fd, offset, length)
            for piece in self._content.part(at, offset + length - at):
                at += _written(fd, piece, at)
        os.ftruncate(fd, entry.length)

    def _copied(self, source: int, target: int, offset: int, length: int) -> int:
        """How many bytes the kernel has copied; what is left is to be read."""
        done = 0
        while self._by_kernel and done < length:
            try:
                count = os.copy_file_range(source, target, length - done, offset + done, offset + done)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                self._by_kernel = False
                break
            if not count:
                break
            done += count
        return done


def _written(fd: int, piece: bytes, at: int) -> int:
    """All of it: its length."""
    done = 0
    while done < len(piece):
        done += os.pwrite(fd, memoryview(piece)[done:], at + done)
    return done
