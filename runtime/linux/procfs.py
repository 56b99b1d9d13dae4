"""A procfs that nobody can have put something else over (CVE-2019-16884, CVE-2025-52881).

Labels are given to a process by writing to its own files in /proc. If that /proc were the container's, with a file
of the image's mounted over the right place, the write would go nowhere, and the process would run without its label.
"""

import os

from runtime.errors import StepFailed
from runtime.linux import mounts as m
from runtime.linux.openat2 import RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2


def opened() -> int:
    """The root of a procfs of this process's pid namespace: a new one, mounted nowhere, so that it has no covers.

    In a user namespace the kernel refuses a new one where the visible one has covers; then it is the visible one, and
    every step of a walk in it is checked to stay on it (`attribute`).
    """
    try:
        return m.detached("proc", "proc")
    except PermissionError:
        descriptor = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if m.filesystem(descriptor) != m.PROC_SUPER_MAGIC:
            os.close(descriptor)
            raise StepFailed("/proc: is no procfs (fstatfs(2))") from None
        return descriptor


def write_attribute(names: tuple[str, ...], value: str) -> None:
    """Write to the first of these files of /proc/self/attr that exists. Raises OSError with its name."""
    proc = opened()
    try:
        attribute = first(proc, names)
        try:
            os.write(attribute, os.fsencode(value))
        finally:
            os.close(attribute)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/self/attr/{names[0]}") from error
    finally:
        os.close(proc)


def first(proc: int, names: tuple[str, ...]) -> int:
    """`self` is a link of procfs's own, to a number; what follows it may be no link, and no other mount."""
    number = os.readlink("self", dir_fd=proc)
    for name in names:
        try:
            return openat2(proc, f"{number}/attr/{name}", os.O_WRONLY,
                           resolve=RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
        except FileNotFoundError:
            if name == names[-1]:
                raise
    raise AssertionError("no names")
