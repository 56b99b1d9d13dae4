"""Owner, mode, xattrs and times of one entry, in the only order that works.

    owner     first: chown(2) takes setuid, setgid and file capabilities away
    mode      then
    xattrs    then, as security.capability is one
    times     last: everything before changes them, or could
"""

import os
import stat
from collections.abc import Iterator

from pydocker.layers.tar import Entry

OPAQUE = "trusted.overlay.opaque"  # overlayfs.rst, "whiteouts and opaque directories"
# other labels name the policy of the machine that packed them; overlayfs' own would steer this machine's mount
_KEPT_XATTRS = (b"user.", b"trusted.", b"security.capability", b"system.posix_acl_")
_REFUSED_XATTRS = (b"trusted.overlay.", b"user.overlay.")


def give(fd: int, entry: Entry) -> None:
    """To an open file or directory, all of them."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    finish(fd, entry)


def finish(fd: int, entry: Entry) -> None:
    """To an open file that has its owner and its mode already."""
    for key, value in wanted(entry):
        os.setxattr(fd, key, value)
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def give_name(parent: int, name: bytes, entry: Entry) -> None:
    """To what cannot be opened: a link, a device, a FIFO, by its name in the directory `parent`."""
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.chmod(name, entry.mode, dir_fd=parent)
    for key, value in wanted(entry):
        os.setxattr(b"/proc/self/fd/%d/%s" % (parent, name), key, value, follow_symlinks=False)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)


def set_opaque(parent: int, name: bytes) -> None:
    """Let the directory `name` hide what the layers below have in it."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.setxattr(fd, OPAQUE, b"y")
    finally:
        os.close(fd)


def is_whiteout(there: os.stat_result) -> bool:
    """A character device 0:0 is overlayfs' whiteout."""
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def wanted(entry: Entry) -> Iterator[tuple[bytes, bytes]]:
    """The extended attributes that a file gets of those that its entry has."""
    for key, value in entry.xattrs.items():
        if key.startswith(_KEPT_XATTRS) and not key.startswith(_REFUSED_XATTRS):
            yield key, value
