"""How Python speaks to the kernel where `os` has no word for it: ctypes, and errno made into OSError.

The newer system calls (since Linux 5.2) have the same number on every architecture, because one table was agreed on;
the few older ones that libc does not wrap are listed by architecture. libc itself is already mapped into the process:
`CDLL(None)` opens no file.

Every call goes through `syscall` or `call`, which note it where `made` is a list (`--trace`, see `runtime.trace`): what
is told of a step is thereby what the kernel was asked, and nothing that somebody wrote down beside it.
"""

import ctypes
import os
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)

# What the process inside a container calls is found here, once: ctypes looks for a function at its first use, and that
# would be anew in each fork.
for _name in ("capset", "fstatfs", "pivot_root", "prctl", "sethostname", "socket", "syscall", "umount2", "unshare"):
    getattr(libc, _name)

Argument = int | bytes | None | ctypes.Array[Any] | ctypes.Structure

Made = tuple[str, tuple[object, ...]]  # a call's name and its arguments

made: list[Made] | None = None  # None: nobody is tracing

_OLDER = {  # x86-64, arm64 and the others that share its table, ppc64le, s390x, arm, i386
    "keyctl": (250, 219, 271, 280, 311, 288),
    "ioprio_set": (251, 30, 273, 282, 314, 289),
    "sched_setattr": (314, 274, 355, 345, 380, 351),
    "seccomp": (317, 277, 358, 348, 383, 354),
}
_COLUMN = {"x86_64": 0, "aarch64": 1, "riscv64": 1, "loongarch64": 1, "ppc64le": 2, "s390x": 3, "armv7l": 4, "i686": 5}
_OURS = _COLUMN.get(os.uname().machine)

NUMBERS = {
    **{name: -1 if _OURS is None else numbers[_OURS] for name, numbers in _OLDER.items()},  # -1 answers ENOSYS
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
}


def check(result: int, path: str | bytes | None = None) -> int:
    """The result of a call, or the OSError that its errno stands for, with the path it was about."""
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if path is None:
        raise OSError(number, os.strerror(number))
    raise OSError(number, os.strerror(number), path)


def syscall(name: str, *arguments: Argument, path: str | bytes | None = None) -> int:
    """A system call by its name in NUMBERS. Raises OSError."""
    if made is not None:
        made.append((name, arguments))
    return check(libc.syscall(ctypes.c_long(NUMBERS[name]), *map(register, arguments)), path)


def call(name: str, *arguments: Argument, path: str | bytes | None = None) -> int:
    """A system call by libc's function of that name. Raises OSError."""
    if made is not None:
        made.append((name, arguments))
    return check(getattr(libc, name)(*map(register, arguments)), path)


def note(name: str, *arguments: object) -> None:
    """Note a call that somebody else makes: Python's `os`, a library."""
    if made is not None:
        made.append((name, arguments))


def register(value: Argument) -> object:
    """As one machine word: a variadic C function would take Python's int as a 32-bit one."""
    if isinstance(value, int):
        return ctypes.c_long(value)
    if value is None:
        return ctypes.c_long(0)
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    return value


def text(value: str | bytes | None) -> bytes | None:
    """A C string, or NULL. File names are bytes to the kernel."""
    return None if value is None else os.fsencode(value)
