"""An archive put into a directory that lives: a container's (`cp` into it), or the caller's own (`cp` out of one).

Both the archive and the directory may be the attacker's, and the directory may change while we work: links and
directories are swapped between two steps (CVE-2018-15664), archives name links first and then paths through them
(CVE-2026-17106). So every parent is opened by the kernel, which keeps the walk inside (openat2(2): RESOLVE_IN_ROOT in a
container, whose links mean its own root; RESOLVE_BENEATH in the caller's directory, where a link that leaves it is
refused); what is made in it is made new, by a call that follows no link; and attributes are given by descriptor, never
by path (CVE-2021-41089). A file that is in the way is unlinked, so that nothing is ever written *into* what was there:
no FIFO, no device, no other name of somebody's file.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from pydocker.errors import InvalidParameter, PydockerError
from pydocker.layers import tar
from pydocker.layers.attributes import wanted
from pydocker.layers.limits import MOST_DEPTH, MOST_ENTRIES, ArchiveError
from pydocker.layers.tar import Entry
from pydocker.layers.tree import split
from runtime.linux.openat2 import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV, openat2

IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
BENEATH = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS

_PARENT = os.O_PATH | os.O_DIRECTORY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {tar.CHARACTER: stat.S_IFCHR, tar.DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}
_MOST_PARENTS = 64

Inode = tuple[int, int]


class Files(Protocol):
    """What is put: an archive's reader, or `Copying`."""

    def __iter__(self) -> Iterator[Entry]: ...
    def write(self, fd: int, entry: Entry) -> None: ...


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the files are, and what may be in the way.

    Without `keep_owner` they belong to whoever makes them, and have nothing that would give away his rights: no setuid
    or setgid bit, no capabilities, and devices are refused. `owner` is given instead of the archive's.
    """

    keep_owner: bool = True
    owner: tuple[int, int] | None = None
    replace_directories: bool = True

    def applied(self, entry: Entry) -> Entry:
        if not self.keep_owner:
            return msgspec.structs.replace(entry, uid=os.geteuid(), gid=os.getegid(), mode=entry.mode & 0o1777,
                                           xattrs={})
        if self.owner is not None:
            return msgspec.structs.replace(entry, uid=self.owner[0], gid=self.owner[1])
        return entry


class Place:
    """The directory `base` below `root` (a descriptor, which stays the caller's). A context manager."""

    def __init__(self, root: int, base: bytes = b"", *, rules: Rules, resolve: int = IN_ROOT) -> None:
        self._root, self._base, self._rules, self._resolve = root, base.strip(b"/"), rules, resolve
        self._parents: dict[bytes, int] = {}
        self._directories: dict[bytes, tuple[Entry, Inode]] = {}

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *error: object) -> None:
        self._forget()

    def take(self, files: Files, name: Callable[[bytes], bytes] = lambda path: path) -> None:
        """Make everything that the archive has; `name` says how its paths are called here.

        Raises ArchiveError for a wrong archive, InvalidParameter for what is in the way, PydockerError with the path
        where the kernel refuses.
        """
        try:
            for count, entry in enumerate(files):
                if count > MOST_ENTRIES:
                    raise ArchiveError(f"more than {MOST_ENTRIES} entries in one archive")
                link = name(entry.link) if entry.kind == tar.HARD_LINK else entry.link
                self._told(msgspec.structs.replace(entry, path=name(entry.path), link=link), files)
        finally:
            self._finish()

    def _told(self, entry: Entry, files: Files) -> None:
        try:
            self._put(self._rules.applied(entry), files)
        except OSError as error:
            raise PydockerError(f"{os.fsdecode(entry.path[:256])}: {_reason(error)}") from error

    def _put(self, entry: Entry, files: Files) -> None:
        above, name = split(entry.path)
        if not name:  # the directory itself, which stays as it is
            return
        fd = self._parent(above)
        if entry.kind == tar.DIRECTORY:
            self._directory(fd, above, name, entry)
            return
        self._make_room(fd, above, name, is_directory=False)
        if entry.kind == tar.REGULAR:
            self._file(fd, name, entry, files)
        elif entry.kind == tar.HARD_LINK:
            target_above, target = split(entry.link, what="link target")
            os.link(target, name, src_dir_fd=self._parent(target_above), dst_dir_fd=fd, follow_symlinks=False)
        elif entry.kind == tar.SYMLINK:
            os.symlink(entry.link, name, dir_fd=fd)
            os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
            os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)
        else:
            self._node(fd, name, entry)

    def _parent(self, path: bytes) -> int:
        """A descriptor of the directory `path`; missing ones are made."""
        fd = self._parents.get(path)
        if fd is None:
            if len(self._parents) >= _MOST_PARENTS:
                self._forget()
            fd = self._parents[path] = self._opened(path)
            if path in self._directories and _inode(fd) != self._directories[path][1]:
                raise PydockerError(f"{os.fsdecode(path[:256])}: was replaced while files were put into it")
        return fd

    def _opened(self, path: bytes) -> int:
        if path.count(b"/") >= MOST_DEPTH:
            raise ArchiveError(f"{path[:64]!r}…: more than {MOST_DEPTH} directories inside each other")
        try:
            return self._open(path, _PARENT)
        except FileNotFoundError:
            pass
        walked = b""
        fd = self._open(b"", _PARENT)
        for part in path.split(b"/"):
            above, walked = fd, walked + b"/" + part if walked else part
            try:
                fd = self._entered(above, part, walked)
            finally:
                os.close(above)
        return fd

    def _entered(self, above: int, name: bytes, path: bytes) -> int:
        try:
            return self._open(path, _PARENT)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=above)
            return os.open(name, _PARENT | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)

    def _open(self, path: bytes, flags: int) -> int:
        whole = b"/".join(filter(None, (self._base, path))) or b"."
        try:
            return openat2(self._root, whole, flags, resolve=self._resolve)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise InvalidParameter(f"{os.fsdecode(path[:256])}: leads outside of the destination") from error
            raise

    def _directory(self, fd: int, above: bytes, name: bytes, entry: Entry) -> None:
        self._make_room(fd, above, name, is_directory=True)
        with contextlib.suppress(FileExistsError):  # it is merged with what is there
            os.mkdir(name, 0o700, dir_fd=fd)
        made = os.open(name, _PARENT | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            self._directories[above + b"/" + name if above else name] = entry, _inode(made)
        finally:
            os.close(made)

    def _make_room(self, fd: int, above: bytes, name: bytes, *, is_directory: bool) -> None:
        """Take away what is in the way; directories are merged."""
        try:
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        directory_there = stat.S_ISDIR(there.st_mode)
        if directory_there and is_directory:
            return
        if directory_there != is_directory and not self._rules.replace_directories:
            raise self._in_the_way(above, name, directory_there)
        if directory_there:
            _remove(fd, name, 0)
        else:
            _unlink(fd, name)
        self._forget(kept=above)

    def _in_the_way(self, above: bytes, name: bytes, directory_there: bool) -> InvalidParameter:
        base = "/" + os.fsdecode(self._base)
        path = os.path.join(base, os.fsdecode(above), os.fsdecode(name))
        if directory_there:
            return InvalidParameter(f'cannot overwrite directory "{path}" with non-directory "{base}"')
        return InvalidParameter(f'cannot overwrite non-directory "{path}" with directory "{base}"')

    def _file(self, fd: int, name: bytes, entry: Entry, files: Files) -> None:
        new = os.open(name, _NEW, 0o600, dir_fd=fd)
        try:
            files.write(new, entry)
            give(new, entry)
        finally:
            os.close(new)

    def _node(self, fd: int, name: bytes, entry: Entry) -> None:
        if entry.kind != tar.FIFO and not self._rules.keep_owner:
            raise PydockerError(f"{os.fsdecode(entry.path)}: is a device, and its copy would open the machine's own to "
                                "others (--archive copies it)")
        os.mknod(name, _NODES[entry.kind] | 0o600, os.makedev(entry.major, entry.minor), dir_fd=fd)
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            if stat.S_IFMT(os.fstat(handle).st_mode) == _NODES[entry.kind]:
                give(f"/proc/self/fd/{handle}", entry)
        finally:
            os.close(handle)

    def _forget(self, kept: bytes | None = None) -> None:
        """Close the open parents, of which some may no longer be what their paths say."""
        for path, fd in list(self._parents.items()):
            if path != kept:
                os.close(fd)
                del self._parents[path]

    def _finish(self) -> None:
        """Give the directories their attributes, the deepest first: making files in them has changed their times."""
        self._forget()
        for path, (entry, inode) in sorted(self._directories.items(), reverse=True):
            try:
                fd = self._open(path, _DIRECTORY)
            except OSError:  # somebody else has taken it away
                continue
            try:
                if _inode(fd) == inode:
                    give(fd, entry)
            except OSError as error:
                raise PydockerError(f"{os.fsdecode(path[:256])}: {_reason(error)}") from error
            finally:
                os.close(fd)


def _remove(parent: int, name: bytes, depth: int) -> None:
    """`rm -r` that never enters another mount: a volume's files are not the directory's."""
    if depth > MOST_DEPTH:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    fd = _here(parent, name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for inner in map(os.fsencode, os.listdir(fd)):
            if stat.S_ISDIR(os.stat(inner, dir_fd=fd, follow_symlinks=False).st_mode):
                _remove(fd, inner, depth + 1)
            else:
                _unlink(fd, inner)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _unlink(parent: int, name: bytes) -> None:
    """unlink(2), but not of what something is mounted on: from outside of its namespace, that would take the mount
    away."""
    os.close(_here(parent, name, os.O_PATH))
    os.unlink(name, dir_fd=parent)


def _here(parent: int, name: bytes, flags: int) -> int:
    """Open a name that is no link and no mount point. Raises OSError, EBUSY for a mount point."""
    try:
        return openat2(parent, name, flags | os.O_NOFOLLOW, resolve=RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY)) from error
        raise


def give(file: int | str, entry: Entry) -> None:
    """Owner, mode, attributes, times, in this order (see `attributes`), to a descriptor or its name in /proc/self/fd.

    A file system that knows no extended attributes (a tmpfs, NFS) holds the file without them, as Docker leaves it.
    """
    os.chown(file, entry.uid, entry.gid)
    os.chmod(file, entry.mode)
    for key, value in wanted(entry):
        try:
            os.setxattr(file, key, value)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
    os.utime(file, ns=(entry.mtime, entry.mtime))


def _inode(fd: int) -> Inode:
    there = os.fstat(fd)
    return there.st_dev, there.st_ino


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
