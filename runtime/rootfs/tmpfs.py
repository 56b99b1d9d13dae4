"""A tmpfs that takes the place of a directory: with its mode, and by `tmpcopyup` with its content.

The image's directory may be anything (a /tmp of mode 1777, a /run of mode 755 with files in it), and programs expect
it so. All is done by descriptors, before the tmpfs is attached: nobody can swap a path in between, no link is followed.
"""

import errno
import os
import stat
from typing import ClassVar

from runtime.linux import mounts as m
from runtime.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from runtime.rootfs import target
from runtime.rootfs.mounts import NewFilesystem, attach
from runtime.stage import Inside
from runtime.step import Step

INSIDE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS


class InPlaceOf(Step[Inside], frozen=True):
    """A tmpfs with the mode of the directory that it covers."""

    why: ClassVar[str] = "a new tmpfs may be written by everybody; the image's directory there may be stricter"
    manual: ClassVar[str] = "tmpfs(5)"
    tmpfs: NewFilesystem

    @property
    def path(self) -> str:
        return self.tmpfs.path

    def describe(self) -> str:
        return f"{self.tmpfs.describe()}, with the mode of the directory there"

    def shell(self) -> str:
        place = target.words(self.path)
        return f"mode=$(stat -c %a {place} 2>/dev/null || echo 1777); {self.tmpfs.shell()}; chmod $mode {place}"

    def apply(self, at: Inside) -> None:
        try:
            there = openat2(at.root, self.path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            self.tmpfs.apply(at)
            return
        try:
            mount = m.detached("tmpfs", self.tmpfs.source, self.tmpfs.data, self.tmpfs.attributes.set)
            os.chmod(f"/proc/self/fd/{mount}", stat.S_IMODE(os.fstat(there).st_mode))
        finally:
            os.close(there)
        where = target.directory(at.root, self.path)
        try:
            attach(mount, where, self.tmpfs.propagation)
        finally:
            os.close(where)


class CopiedUp(Step[Inside], frozen=True):
    """A tmpfs with a copy of what it covers."""

    why: ClassVar[str] = "asked for by tmpcopyup: what the image has there can be read on, and changed without a trace"
    manual: ClassVar[str] = "tmpfs(5), copy_file_range(2)"
    tmpfs: NewFilesystem

    @property
    def path(self) -> str:
        return self.tmpfs.path

    def describe(self) -> str:
        return f"{self.tmpfs.describe()}, with a copy of the directory there"

    def shell(self) -> str:
        place = target.words(self.path)
        return (f"mkdir -p {place}; copy=$(mktemp -d); cp -a {place}/. $copy; {self.tmpfs.shell()}; "
                f"cp -a $copy/. {place}; rm -r $copy")

    def apply(self, at: Inside) -> None:
        where = target.directory(at.root, self.path)
        try:
            mount = m.detached("tmpfs", self.tmpfs.source, self.tmpfs.data, self.tmpfs.attributes.set)
            at.await_cgroup()  # an image may have much there: it takes the container's memory, not the host's
            source = openat2(where, ".", os.O_RDONLY | os.O_DIRECTORY)
            copy_directory(source, os.open(f"/proc/self/fd/{mount}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            attach(mount, where, self.tmpfs.propagation)
        finally:
            os.close(where)


def copy_directory(source: int, to: int) -> None:
    """All that is in the directory, and its own attributes; both descriptors are closed."""
    try:
        for name in os.listdir(source):
            copy(source, to, name)
        copy_attributes(source, to)
    finally:
        os.close(source)
        os.close(to)


def copy(source: int, to: int, name: str) -> None:
    """One entry, of whatever kind."""
    status = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        os.mkdir(name, 0o700, dir_fd=to)
        copy_directory(inside(source, name, os.O_RDONLY | os.O_DIRECTORY), inside(to, name, os.O_RDONLY))
    elif stat.S_ISREG(status.st_mode):
        copy_file(inside(source, name, os.O_RDONLY | os.O_NONBLOCK),
                  os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=to))
    else:
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=to)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=to)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=to, follow_symlinks=False)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=to, follow_symlinks=False)


def inside(directory: int, name: str, flags: int) -> int:
    return openat2(directory, name, flags | os.O_NOFOLLOW, resolve=INSIDE)


def copy_file(source: int, to: int) -> None:
    try:
        while os.sendfile(to, source, None, 1 << 24):
            continue
        copy_attributes(source, to)
    finally:
        os.close(source)
        os.close(to)


def copy_attributes(source: int, to: int) -> None:
    """Owner, mode, extended attributes, times: in this order, as chown clears set-id bits and file capabilities."""
    status = os.fstat(source)
    os.fchown(to, status.st_uid, status.st_gid)
    os.fchmod(to, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        try:
            os.setxattr(to, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # a tmpfs has no `user.` attributes before Linux 6.6
                raise
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
