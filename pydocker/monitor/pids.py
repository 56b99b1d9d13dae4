"""What proc(5) tells of a process: /proc/<pid>/stat. Raises FileNotFoundError, ProcessLookupError: it is gone."""

import os
from pathlib import Path


def sign(lock: int) -> None:
    """Say in the lock file, which is open as `lock`, which process works with it: this one."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {start_time(os.getpid())}".encode(), 0)


def signer(path: Path) -> int:
    """The live process that has signed a lock file last, 0 if there is none. Whether it holds the lock is not said."""
    try:
        pid, _, began = path.read_text().partition(" ")
        return int(pid) if began and start_time(int(pid)) == int(began) else 0
    except (FileNotFoundError, ProcessLookupError):
        return 0


def start_time(pid: int) -> int:
    """When it began, in clock ticks since boot (field 22): that tells it from a later one with the same pid."""
    return int(_fields(pid)[19])


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped it (field 3; not a debugger, which is `t`)."""
    return _fields(pid)[0] == b"T"


def _fields(pid: int) -> list[bytes]:
    """Field 3 and those after it. The name in field 2 may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()
