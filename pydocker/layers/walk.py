"""A directory as the entries of an archive: everything below a descriptor, in the order of names.

What is walked may be a running container's, which renames, swaps and removes while we look. So each name is opened
*once*, without following and without opening what it stands for (O_PATH), and all that is told and read of it is of
that very file (CVE-2018-15664): a link put in its place is a link, and no device or FIFO is ever opened. Directories
are entered through the same descriptor; `..` is never used. What vanishes meanwhile was not there.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pydocker.errors import PydockerError
from pydocker.layers import tar
from pydocker.layers.limits import MOST_DEPTH
from pydocker.layers.pack import Packed
from pydocker.layers.sparse import Sparse, holes
from pydocker.layers.tar import Entry

Inode = tuple[int, int]
Keep = Callable[[str], bool]

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PIECE = 1 << 20
_KINDS = {  # an archive has no word for a socket
    stat.S_IFREG: tar.REGULAR, stat.S_IFDIR: tar.DIRECTORY, stat.S_IFLNK: tar.SYMLINK, stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.DEVICE, stat.S_IFIFO: tar.FIFO}

_TAKEN = ("user.", "trusted.", "security.capability", "system.posix_acl_")
_OVERLAYS = ("trusted.overlay.", "user.overlay.")


def portable(name: str) -> bool:
    """Whether an extended attribute says something about the file: labels are the machine's, and overlayfs' its own."""
    return name.startswith(_TAKEN) and not name.startswith(_OVERLAYS)


class Level(NamedTuple):
    """A directory that is being walked: what to put before its names, and those that are left, the last one first."""

    fd: int
    above: bytes
    names: list[bytes]
    device: int


class Walk:
    """One walk: it remembers which files it has seen, for their other names (hard links).

    `enter` is asked, with a descriptor, at each directory that another file system is mounted on: what is not entered
    is told as an empty one. `keep` chooses extended attributes. With `holes`, those of sparse files are told as such:
    layers have none, and not everybody who reads an archive knows of them.
    """

    def __init__(self, enter: Callable[[int], bool] = lambda handle: True, keep: Keep = portable, *,
                 holes: bool = False) -> None:
        self._enter, self._keep, self._holes = enter, keep, holes
        self._seen: dict[Inode, bytes] = {}

    def tree(self, handle: int, path: bytes) -> Iterator[Packed]:
        """What `handle` stands for, under the name `path`, and all that is below it. `handle` stays the caller's.

        An empty path leaves out the directory itself; what is in it stands below `path` in any case.
        """
        there = os.fstat(handle)
        if not stat.S_ISDIR(there.st_mode):
            yield from self._one(handle, path, there)
            return
        if path:
            yield Packed(_entry(path if path.endswith(b"/") else path + b"/", there, xattrs=self._xattrs(handle)))
        pending = [self._listed(handle, path, there.st_dev, there)]
        try:
            while pending:
                self._deeper(pending)
                yield from self._next(pending)
        finally:
            for level in pending:
                os.close(level.fd)

    def _deeper(self, pending: list[Level]) -> None:
        if len(pending) > MOST_DEPTH:
            raise PydockerError(f"{pending[-1].above[:64]!r}…: more than {MOST_DEPTH} directories inside each other")

    def _next(self, pending: list[Level]) -> Iterator[Packed]:
        """The next name of the innermost directory; or leave it."""
        directory, above, names, device = pending[-1]
        if not names:
            os.close(directory)
            pending.pop()
            return
        name = names.pop()
        try:
            handle = os.open(name, _HANDLE, dir_fd=directory)
        except FileNotFoundError:
            return
        try:
            there, path = os.fstat(handle), above + name
            if stat.S_ISDIR(there.st_mode):
                yield Packed(_entry(path + b"/", there, xattrs=self._xattrs(handle)))
                pending.append(self._listed(handle, path, device, there))
            else:
                yield from self._one(handle, path, there)
        finally:
            os.close(handle)

    def _listed(self, handle: int, path: bytes, device: int, there: os.stat_result) -> Level:
        entered = there.st_dev == device or self._enter(handle)
        directory = os.open(".", _LIST, dir_fd=handle)
        names = sorted(map(os.fsencode, os.listdir(directory)), reverse=True) if entered else []
        return Level(directory, path + b"/" if path and not path.endswith(b"/") else path, names, there.st_dev)

    def _one(self, handle: int, path: bytes, there: os.stat_result) -> Iterator[Packed]:
        """Anything but a directory."""
        if stat.S_ISSOCK(there.st_mode):
            return
        file = there.st_dev, there.st_ino
        is_whiteout = stat.S_ISCHR(there.st_mode) and not there.st_rdev  # many names share one of them
        if there.st_nlink > 1 and not is_whiteout:
            if file in self._seen:
                yield Packed(_entry(path, there, kind=tar.HARD_LINK, link=self._seen[file]))
                return
            self._seen[file] = path
        if not stat.S_ISREG(there.st_mode):
            yield Packed(_entry(path, there, link=_link(handle, there)))
            return
        yield from self._file(handle, path)

    def _file(self, handle: int, path: bytes) -> Iterator[Packed]:
        fd = os.open(f"/proc/self/fd/{handle}", _READ)
        try:
            there = os.fstat(fd)
            found = holes(fd, there) if self._holes else None
            parts = ((0, there.st_size),) if found is None else found.parts
            size = sum(length for _, length in parts)
            entry = _entry(path, there, size=size, sparse=found, xattrs=_xattrs(fd, self._keep))
            yield Packed(entry, Content(fd, path, parts))
        finally:
            os.close(fd)

    def _xattrs(self, handle: int) -> dict[bytes, bytes]:
        return _xattrs(f"/proc/self/fd/{handle}", self._keep)


class Content:
    """The parts (offset, length) of an open file that may change meanwhile: exactly so many bytes, in pieces.

    Raises PydockerError if the file has become shorter.
    """

    def __init__(self, fd: int, path: bytes, parts: Iterable[tuple[int, int]]) -> None:
        self.fd, self.path, self.parts = fd, path, parts

    def __iter__(self) -> Iterator[bytes]:
        for offset, length in self.parts:
            yield from self.part(offset, length)

    def part(self, offset: int, length: int) -> Iterator[bytes]:
        """The bytes of one of them."""
        while length:
            piece = os.pread(self.fd, min(length, _PIECE), offset)
            if not piece:
                raise PydockerError(f"{os.fsdecode(self.path)}: became shorter while it was read")
            offset, length = offset + len(piece), length - len(piece)
            yield piece


def _entry(path: bytes, there: os.stat_result, *, kind: bytes | None = None, size: int = 0, link: bytes = b"",
           sparse: Sparse | None = None, xattrs: dict[bytes, bytes] | None = None) -> Entry:
    device = stat.S_ISCHR(there.st_mode) or stat.S_ISBLK(there.st_mode)
    return Entry(
        path=path, kind=kind or _KINDS[stat.S_IFMT(there.st_mode)], mode=stat.S_IMODE(there.st_mode), uid=there.st_uid,
        gid=there.st_gid, size=size, mtime=there.st_mtime_ns, link=link, xattrs=xattrs or {}, sparse=sparse,
        major=os.major(there.st_rdev) if device else 0, minor=os.minor(there.st_rdev) if device else 0)


def _link(handle: int, there: os.stat_result) -> bytes:
    return os.readlink(b"", dir_fd=handle) if stat.S_ISLNK(there.st_mode) else b""


def _xattrs(file: int | str, keep: Keep) -> dict[bytes, bytes]:
    """Those that `keep` chooses; one that vanishes meanwhile was not there."""
    found = {}
    for name in os.listxattr(file):
        if keep(name):
            try:
                found[os.fsencode(name)] = os.getxattr(file, name)
            except OSError:  # ENODATA
                continue
    return found
