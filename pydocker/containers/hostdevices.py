"""The host's device nodes, for --privileged: all of /dev but what the container has of its own."""

import os
import stat

from runtime.spec import LinuxDevice

_OWN = frozenset({
    "pts", "shm", "fd", "mqueue", "console", "ptmx", "null", "zero", "full", "random", "urandom", "tty",
    ".lxc", ".lxd-mounts", ".udev",
})


def nodes(directory: str = "/dev") -> tuple[LinuxDevice, ...]:
    """Character and block devices below `directory`, with mode and owner."""
    found: list[LinuxDevice] = []
    for entry in os.scandir(directory):
        if directory == "/dev" and entry.name in _OWN:
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            found += nodes(entry.path)
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found.append(LinuxDevice(
                path=entry.path, type="c" if stat.S_ISCHR(status.st_mode) else "b", uid=status.st_uid,
                gid=status.st_gid, major=os.major(status.st_rdev), minor=os.minor(status.st_rdev),
                file_mode=stat.S_IMODE(status.st_mode)))
    return tuple(found)
