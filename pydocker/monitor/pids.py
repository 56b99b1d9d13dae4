"""What proc(5) tells of a process: /proc/<pid>/stat. Raises FileNotFoundError, ProcessLookupError: it is gone."""


def start_time(pid: int) -> int:
    """When it began, in clock ticks since boot (field 22): that tells it from a later one with the same pid."""
    return int(_fields(pid)[19])


def parent(pid: int) -> int:
    """The pid of its parent (field 4)."""
    return int(_fields(pid)[1])


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped it (field 3; not a debugger, which is `t`)."""
    return _fields(pid)[0] == b"T"


def _fields(pid: int) -> list[bytes]:
    """Field 3 and those after it. The name in field 2 may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()
