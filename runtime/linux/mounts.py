"""The mount API, old and new: mount(2), umount2(2), pivot_root(2), and since Linux 5.2 mounts as descriptors.

The new calls split what mount(2) did in one go: make a file system (fsopen, fsconfig, fsmount) or copy a piece of the
tree (open_tree), set attributes on it while nobody can see it (mount_setattr), and attach it (move_mount) to a
*descriptor*, so that no path is walked at the moment of mounting. A path that an attacker swaps between check and use
is thereby harmless (CVE-2021-30465).
"""

import ctypes
import os

from runtime.linux.calls import call, check, libc, syscall, text

MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOVE_MOUNT_SET_GROUP = 0x100

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
FSCONFIG_CMD_RECONFIGURE = 7
FSPICK_CLOEXEC = 1
FSPICK_EMPTY_PATH = 8

MOUNT_ATTR_RDONLY = 0x00000001
MOUNT_ATTR_NOSUID = 0x00000002
MOUNT_ATTR_NODEV = 0x00000004
MOUNT_ATTR_NOEXEC = 0x00000008
MOUNT_ATTR_ATIME = 0x00000070  # a field, not a flag: relatime is 0
MOUNT_ATTR_RELATIME = 0x00000000
MOUNT_ATTR_NOATIME = 0x00000010
MOUNT_ATTR_STRICTATIME = 0x00000020
MOUNT_ATTR_NODIRATIME = 0x00000080
MOUNT_ATTR_IDMAP = 0x00100000
MOUNT_ATTR_NOSYMFOLLOW = 0x00200000


PROC_SUPER_MAGIC = 0x9FA0


class MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [("attr_set", ctypes.c_uint64), ("attr_clr", ctypes.c_uint64),
                ("propagation", ctypes.c_uint64), ("userns_fd", ctypes.c_uint64)]


def mount(source: str | None, target: str, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    call("mount", text(source), text(target), text(fstype), flags, text(data), path=target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2). MNT_DETACH takes the whole tree out of sight at once; it goes when nobody uses it any more."""
    call("umount2", text(target), flags, path=target)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2). With "." for both, the old root ends up stacked over the new one, and needs no directory."""
    call("pivot_root", text(new_root), text(put_old), path=new_root)


def open_tree(dirfd: int, path: str, flags: int) -> int:
    """A descriptor for the mount at `path`; with OPEN_TREE_CLONE a detached copy of it. open_tree(2)."""
    return syscall("open_tree", dirfd, text(path), flags | OPEN_TREE_CLOEXEC, path=path)


def move_mount(mount: int, target: int) -> None:
    """Attach the detached mount to the file or directory that `target` (O_PATH) stands for. move_mount(2)."""
    syscall("move_mount", mount, b"", target, b"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)


def join_group(source: int, target: int) -> None:
    """Have the private mount `target` spread as `source` does, which is one of the same file system (both O_PATH).

    move_mount(2), since Linux 5.15. EINVAL: `source` does not spread.
    """
    syscall("move_mount", source, b"", target, b"",
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP)


def mount_setattr(fd: int, path: str = "", *, attr_set: int = 0, attr_clr: int = 0, propagation: int = 0,
                  userns_fd: int = 0, recursive: bool = False) -> None:
    """Change attributes (MOUNT_ATTR_…) and propagation (MS_SHARED …) of a mount, or of a tree. mount_setattr(2)."""
    attributes = MountAttr(attr_set, attr_clr, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", fd, text(path), flags, attributes, ctypes.sizeof(attributes), path=path or None)


def fsopen(fstype: str) -> int:
    """A descriptor on which a file system of this type can be configured. fsopen(2)."""
    return syscall("fsopen", text(fstype), FSOPEN_CLOEXEC, path=fstype)


def fsconfig(fs: int, key: str, value: str | None) -> None:
    """Set one option: a string, or with None a flag. The error's detail is in `complaint`. fsconfig(2)."""
    if value is None:
        syscall("fsconfig", fs, FSCONFIG_SET_FLAG, text(key), None, 0, path=key)
    else:
        syscall("fsconfig", fs, FSCONFIG_SET_STRING, text(key), text(value), 0, path=f"{key}={value}")


def fsmount(fs: int, attributes: int = 0) -> int:
    """Create the configured file system, and return a detached mount of it with these MOUNT_ATTR_…. fsmount(2)."""
    syscall("fsconfig", fs, FSCONFIG_CMD_CREATE, None, None, 0)
    return syscall("fsmount", fs, FSMOUNT_CLOEXEC, attributes)


def reconfigure(mount: int, options: tuple[tuple[str, str | None], ...]) -> None:
    """Change options of the file system that the descriptor is a mount of. fspick(2), fsconfig(2)."""
    fs = syscall("fspick", mount, b"", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)
    try:
        for key, value in options:
            fsconfig(fs, key, value)
        syscall("fsconfig", fs, FSCONFIG_CMD_RECONFIGURE, None, None, 0)
    except OSError as error:
        raise OSError(error.errno, complaint(fs) or error.strerror, error.filename) from error
    finally:
        os.close(fs)


def filesystem(fd: int) -> int:
    """The magic number of the file system that the descriptor is on (PROC_SUPER_MAGIC …). fstatfs(2)."""
    buffer = (ctypes.c_long * 32)()  # struct statfs: the type is its first word; 32 words are more than all of it
    check(libc.fstatfs(fd, buffer))
    return buffer[0]


def complaint(fs: int) -> str:
    """What the file system says about the last failure ("e tmpfs: Bad value for 'size'"), or nothing. fsopen(2)."""
    try:
        return os.read(fs, 4096).decode(errors="replace").strip().removeprefix("e ")
    except OSError:  # ENODATA: it has nothing to say
        return ""


def detached(fstype: str, source: str, options: tuple[tuple[str, str | None], ...] = (), attributes: int = 0) -> int:
    """A new file system as a detached mount: fsopen, fsconfig for each option, fsmount."""
    fs = fsopen(fstype)
    try:
        fsconfig(fs, "source", source)
        for key, value in options:
            fsconfig(fs, key, value)
        return fsmount(fs, attributes)
    except OSError as error:
        reason = complaint(fs)
        if reason:
            raise OSError(error.errno, reason, error.filename) from error
        raise
    finally:
        os.close(fs)
