"""Where something is mounted: a descriptor inside the container's root, made if it is missing (SECURITY R1, R2, R3)."""

import contextlib
import errno
import os
from shlex import quote

from runtime.errors import StepFailed
from runtime.linux.mounts import PROC_SUPER_MAGIC, filesystem
from runtime.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, make_directories, openat2

MOST_LINKS = 40  # as many as the kernel follows (path_resolution(7))

# What lxcfs and its like put over single files of /proc; anything else there could fake what later steps rely on
# (CVE-2019-16884, CVE-2019-19921).
OVER_PROC = frozenset(
    f"/proc/{name}" for name in ("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
                                 "net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"))


def words(path: str) -> str:
    """The place as a shell's word: `inside` is a function that finds it as the container would (`runtime.script`)."""
    return f'"$(inside {quote(path)})"'


def made(source: str, place: str) -> str:
    """The shell's command that makes the place of a bind mount, of what its source is. Both are words."""
    return (f"if [ -d {source} ]; then mkdir -p {place}; "
            f"elif [ ! -e {place} ]; then mkdir -p \"$(dirname {place})\"; touch {place}; fi")


def below(command: str, place: str) -> str:
    """The shell's command for every mount at and below the place, which is a word."""
    return f"findmnt -Rrno TARGET {place} | while read -r mount; do {command} \"$(printf %b \"$mount\")\"; done"


def directory(root: int, path: str) -> int:
    """The directory at `path` inside the root, made with its parents if missing. Raises OSError."""
    try:
        return guarded(make_directories(root, path), path)
    except FileNotFoundError:
        _refuse_procfs(root, path)
        raise


def file(root: int, path: str) -> int:
    """The file at `path` inside the root, made empty if missing. Raises OSError."""
    try:
        return guarded(openat2(root, path, os.O_PATH), path)
    except FileNotFoundError:
        try:
            return guarded(new_file(root, path), path)
        except FileNotFoundError:
            _refuse_procfs(root, path)
            raise


def new_file(root: int, path: str) -> int:
    """Make it, where a link that leads to nothing says: an image's /etc/resolv.conf may be one to /run/….

    The link is read and not followed: what it says is looked up from the root once more, by the kernel.
    """
    for _ in range(MOST_LINKS):
        directory, name = os.path.split(path)
        parent = make_directories(root, directory)
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, 0o644,
                             dir_fd=parent))
            return openat2(parent, name, os.O_PATH | os.O_NOFOLLOW)
        except FileExistsError:
            path = os.path.join(directory, os.readlink(name, dir_fd=parent))
        finally:
            os.close(parent)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def ordinary_directory(root: int, path: str) -> int:
    """The directory at `path`, to which no symbolic link may lead: for /proc and /sys, whose content steps trust.

    An image that ships /proc as a link would have us mount, and later write, somewhere else (CVE-2023-27561).
    """
    os.close(make_directories(root, path))
    return openat2(root, path, os.O_PATH | os.O_DIRECTORY,
                   resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)


def _refuse_procfs(root: int, path: str) -> None:
    """Who makes something in procfs is told ENOENT, by which a caller would take the program for missing (127)."""
    above = path
    while above not in ("", "/"):
        above = os.path.dirname(above)
        with contextlib.suppress(FileNotFoundError):
            os.close(guarded(openat2(root, above or "/", os.O_PATH), path))
            return


def guarded(fd: int, path: str) -> int:
    """The descriptor, unless it lies in procfs and is not one of the files that may be covered."""
    if filesystem(fd) != PROC_SUPER_MAGIC or os.path.normpath(path) in OVER_PROC:
        return fd
    os.close(fd)
    raise StepFailed(f"{path} cannot be mounted because it is inside /proc")
