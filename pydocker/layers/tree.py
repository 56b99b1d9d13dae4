"""The directory that a layer is unpacked into: every change goes through a descriptor below its root.

A path in an archive is the attacker's. It is resolved by the kernel with the tree as its root (openat2(2),
RESOLVE_IN_ROOT), so links and ".." in it end inside whatever they say; the last component is then made with
O_EXCL, mkdirat, symlinkat, mknodat or linkat, none of which follows a link (SECURITY.md, R1).

What is remembered on the way:
- open parents, because entries come directory by directory; forgotten whenever a directory or link is replaced;
- directories' owners, modes, xattrs and times (see `directories`): applied last, because every file made in one changes
  its times, because a default ACL or a setgid bit would be inherited, and because one may not be writable;
- *implied* directories, which the archive walks through but never names: they look as in the layer below (`inherit`).

To be used in a process with umask 0.
"""

import os
import shutil
import stat
from collections.abc import Iterator

from pydocker.layers import sparse
from pydocker.layers.attributes import finish, give, give_name, is_whiteout, set_opaque
from pydocker.layers.directories import Directories
from pydocker.layers.limits import MOST_DEPTH, ArchiveError
from pydocker.layers.tar import Entry
from runtime.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
_MOST_PARENTS = 64
_PARENT = os.O_PATH | os.O_DIRECTORY


def split(path: bytes, *, what: str = "path") -> tuple[bytes, bytes]:
    """The parent and the last component, without "." and "..": both empty for the root itself.

    Raises ArchiveError for a path that leaves the root lexically.
    """
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if not parts:
                raise ArchiveError(f"{path!r}: {what} leads outside of the archive")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    if b"\0" in path:
        raise ArchiveError(f"{path!r}: {what} has a NUL")
    return (b"/".join(parts[:-1]), parts[-1]) if parts else (b"", b"")


def _fill(fd: int, entry: Entry, content: Iterator[memoryview]) -> None:
    if entry.sparse is not None:
        sparse.write(fd, entry.sparse, content)
        return
    for piece in content:
        while piece:
            piece = piece[os.write(fd, piece):]


class Tree:
    """A directory under construction, a context manager. `root` is a descriptor of it, which stays the caller's."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._prefix = len(self._path(root))
        self._parents: dict[bytes, int] = {}
        self._directories = Directories(root)
        self._mine = (os.geteuid(), os.getegid())
        self.replaced = False  # whether something made before was removed for something that came later

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *error: object) -> None:
        self._keep_only(-1)
        self._directories.close()

    # -- places ------------------------------------------------------------------------------------

    def parent(self, path: bytes, *, make: bool = True) -> int:
        """A descriptor (O_PATH) of the directory `path`, made with all of its parents if it is missing.

        It stays open until `forget_some`, or until something on its path is replaced.
        """
        fd = self._parents.get(path)
        if fd is None:
            fd = self._open(path, make=make)
            self._parents[path] = fd
        return fd

    def _open(self, path: bytes, *, make: bool) -> int:
        try:
            return openat2(self._root, path or b".", _PARENT, resolve=_INSIDE)
        except (FileNotFoundError, NotADirectoryError):
            if not make:
                raise
        # from the top, one by one: a path may have two thousand components, and Python's stack has not
        fd = os.dup(self._root)
        walked = b""
        for name in path.split(b"/"):
            above, walked = fd, walked + b"/" + name if walked else name
            try:
                fd = self._imply(above, name, walked)
            finally:
                os.close(above)
        return fd

    def _imply(self, above: int, name: bytes, path: bytes) -> int:
        """Open `path`, whose last component is `name` in `above`; if it is missing or a whiteout, make it."""
        try:
            return openat2(self._root, path, _PARENT, resolve=_INSIDE)
        except NotADirectoryError:
            if not is_whiteout(os.stat(name, dir_fd=above, follow_symlinks=False)):
                raise
        except FileNotFoundError:
            pass
        self._make(above, name, None)
        return openat2(self._root, path, _PARENT, resolve=_INSIDE)

    def forget_some(self) -> None:
        """Between two entries: close the open parents if there are many."""
        if len(self._parents) >= _MOST_PARENTS:
            self._keep_only(-1)

    @staticmethod
    def _path(fd: int) -> bytes:
        return os.readlink(b"/proc/self/fd/%d" % fd)

    def _canonical(self, fd: int, name: bytes) -> bytes:
        """The path of `name` in the directory `fd`, below the root, with all links resolved."""
        path = (self._path(fd)[self._prefix:] + b"/" + name).strip(b"/")
        if path.count(b"/") >= MOST_DEPTH:
            raise ArchiveError(f"{path[:64]!r}…: more than {MOST_DEPTH} directories inside each other")
        return path

    # -- entries: `name` in the directory `above` ----------------------------------------------------

    def directory(self, above: bytes, name: bytes, entry: Entry) -> None:
        """Make a directory, or take over the one that is there; its attributes come with `finish`."""
        if name:
            self._make(self.parent(above), name, entry)
        else:
            self._directories.add(b"", entry)

    def _make(self, fd: int, name: bytes, entry: Entry | None) -> None:
        path = self._canonical(fd, name)
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                if entry is None and not is_whiteout(there):
                    raise ArchiveError(f"{path!r}: a dangling link, where a directory is needed") from None
                self._remove(fd, name, there)
                os.mkdir(name, 0o700, dir_fd=fd)
                # what was there before hid a directory of the layers below, whose content must not come back
                set_opaque(fd, name)
        self._directories.add(path, entry)

    def file(self, above: bytes, name: bytes, entry: Entry, content: Iterator[memoryview]) -> None:
        """Make a regular file."""
        fd = self._create(above, name, entry.mode & 0o777)
        try:
            _fill(fd, entry, content)
            if (entry.uid, entry.gid) == self._mine and not entry.mode & 0o7000:
                finish(fd, entry)  # a new file is ours already, as no directory here has its setgid bit yet
            else:
                give(fd, entry)
        finally:
            os.close(fd)

    def _create(self, above: bytes, name: bytes, mode: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if name:
                return os.open(name, flags, mode, dir_fd=self.parent(above))
        except FileExistsError:
            pass
        return os.open(name, flags, mode, dir_fd=self._room(above, name))

    def symlink(self, above: bytes, name: bytes, entry: Entry) -> None:
        """Make a symbolic link; what it says is never looked at."""
        fd = self._room(above, name)
        os.symlink(entry.link, name, dir_fd=fd)
        give_name(fd, name, entry)

    def node(self, above: bytes, name: bytes, entry: Entry, kind: int) -> None:
        """Make a device (`kind` is S_IFCHR or S_IFBLK) or a FIFO (S_IFIFO)."""
        fd = self._room(above, name)
        os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=fd)
        give_name(fd, name, entry)

    def hard_link(self, above: bytes, name: bytes, entry: Entry) -> None:
        """Give a file of this layer another name. Its attributes came with the first one, and stay."""
        target_above, target = split(entry.link, what="link target")
        if (above, name) == (target_above, target):
            return
        fd = self._room(above, name)
        try:
            source = self.parent(target_above, make=False)
            os.link(target, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise ArchiveError(f"{entry.path!r}: hard link to {entry.link!r}: {reason} (linkat(2))") from error

    def whiteout(self, above: bytes, name: bytes) -> None:
        """Hide `name` of the layers below; what this layer itself has under that name stays, and hides it as well."""
        fd = self.parent(above)
        try:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=fd)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                set_opaque(fd, name)

    def opaque(self, path: bytes) -> None:
        """Hide all that the layers below have in the directory `path`."""
        set_opaque(self.parent(path), b".")

    # -- how ---------------------------------------------------------------------------------------

    def _room(self, above: bytes, name: bytes) -> int:
        """The parent in which `name` can be made now: whatever had that name is removed."""
        if not name:
            raise ArchiveError("the root of an archive must be a directory")
        fd = self.parent(above)
        try:
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return fd
        self._remove(fd, name, there)
        return fd

    def _remove(self, fd: int, name: bytes, there: os.stat_result) -> None:
        self.replaced = True
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(name, dir_fd=fd)
            if stat.S_ISLNK(there.st_mode):
                self._keep_only(fd)
            return
        gone = self._canonical(fd, name)
        shutil.rmtree(name, dir_fd=fd)
        self._directories.forget(gone)
        self._keep_only(fd)

    def _keep_only(self, kept: int) -> None:
        """Forget the open parents, of which some may no longer be what their paths say; `kept` is still needed."""
        for path, fd in list(self._parents.items()):
            if fd != kept:
                os.close(fd)
                del self._parents[path]

    def finish(self) -> list[bytes]:
        """Give the directories their attributes, the deepest first; returns the implied ones, without any."""
        self._keep_only(-1)
        for path, entry in self._directories.named():
            fd = openat2(self._root, path or b".", os.O_RDONLY | os.O_DIRECTORY,
                         resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
            try:
                give(fd, entry)
            finally:
                os.close(fd)
        return sorted(self._directories.implied)
