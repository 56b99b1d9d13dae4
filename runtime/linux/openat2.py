"""openat2(2): opening a path below a directory, such that the kernel itself keeps the walk inside.

Whatever lies in a container's file system is under the attacker's control: a symbolic link may point anywhere, and may
be swapped while we look. Joining strings and checking them (realpath) loses that race; RESOLVE_IN_ROOT does not: `/`
and `..` and absolute links are taken relative to the given directory, as if by chroot(2), in one system call.
"""

import ctypes
import errno
import os
import stat

from runtime.linux.calls import syscall, text

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

MOST_LINKS = 40  # as many as the kernel follows (path_resolution(7))


class OpenHow(ctypes.Structure):
    """struct open_how."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0,
            resolve: int = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) -> int:
    """Open `path` relative to `dirfd`; the descriptor is close-on-exec. Raises OSError with the path.

    The kernel answers EAGAIN when somebody renames while it walks `..`; trying again is then right (openat2(2)).
    """
    how = OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(1000):
        try:
            return syscall("openat2", dirfd, text(path), how, ctypes.sizeof(how), path=path)
        except BlockingIOError:
            continue
    raise BlockingIOError("openat2(2): the path was renamed all the while", path)


def make_directories(root: int, path: str, mode: int = 0o755, links: int = MOST_LINKS) -> int:
    """`mkdir -p` below the directory `root`; returns the last directory, opened with O_PATH.

    Links inside are followed within the root (an image's /var/run -> /run is legitimate, also where it has no /run);
    what is made is made in a directory that is held open, never by a path that could have been swapped meanwhile
    (CVE-2024-45310).
    """
    current, missing = deepest(root, path)
    walked = path[:len(path) - len(missing)]
    try:
        for part in filter(None, missing.split("/")):
            walked = f"{walked}/{part}"
            following = descend(root, current, walked, part, mode, links)
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    return current


def deepest(root: int, path: str) -> tuple[int, str]:
    """The last directory on the path that exists, opened with O_PATH, and the rest of the path: most often one name."""
    there = path
    while True:
        try:
            return openat2(root, there or "/", os.O_PATH | os.O_DIRECTORY), path[len(there):]
        except FileNotFoundError:
            if not there:
                raise
            there = there.rstrip("/").rpartition("/")[0]


def descend(root: int, parent: int, walked: str, name: str, mode: int, links: int) -> int:
    """Open the directory `walked` (which is `name` in `parent`), making it if there is nothing."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return openat2(root, walked, flags)
    except FileNotFoundError:
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            # A link that leads to nothing: what it says is looked up from the root once more, and made there.
            if links == 0:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), walked) from None
            target = os.path.join(os.path.dirname(walked), os.readlink(name, dir_fd=parent))
            return make_directories(root, target, mode, links - 1)
        return openat2(parent, name, flags | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)


def is_device(fd: int, major: int, minor: int) -> bool:
    """Whether the descriptor is that character device, and not something that was put in its place."""
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(major, minor)
