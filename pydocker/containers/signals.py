"""Signals by the names that users write, sent so that no other process can be hit."""

import os
import re
import signal
from collections.abc import Callable

from pydocker.errors import Conflict, InvalidParameter
from pydocker.model.container import Container
from pydocker.monitor.pids import start_time

_NAME = re.compile(r"(?:SIG)?(RTMIN|RTMAX)([+-]\d{1,2})?", re.ASCII)


def number(text: str) -> int:
    """`KILL`, `sigterm`, `9`, `RTMIN+3` -> its number. Raises InvalidParameter in Docker's words."""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit():
        found = int(name) if len(name) < 4 else 0
    elif match := _NAME.fullmatch(name):
        found = getattr(signal, f"SIG{match[1]}") + int(match[2] or 0)
    else:
        found = getattr(signal, f"SIG{name}", 0) if name.isalnum() else 0
    if found > signal.SIGRTMAX:
        raise InvalidParameter(f"the linux daemon does not support signal {found}")
    if found <= 0:
        raise InvalidParameter(f"invalid signal: {text[:40]}")
    return int(found)


def send(container: Container, signum: int, tell: Callable[[], None] = lambda: None) -> None:
    """Signal the container's init process: by pidfd, after comparing its start time, so a reused pid is never hit.

    It needs no monitor, so a stopped one does not keep a container alive. Conflict: it does not run. `tell` is called
    first, since the end that the signal brings about is told of by somebody else, and comes later.
    """
    try:
        fd = os.pidfd_open(container.state.pid) if container.state.pid else -1
    except ProcessLookupError:
        fd = -1
    try:
        if fd < 0 or start_time(container.state.pid) != container.state.start_time:
            raise not_running(container)
        tell()
        signal.pidfd_send_signal(fd, signum)
    except (ProcessLookupError, FileNotFoundError):
        raise not_running(container) from None
    finally:
        if fd >= 0:
            os.close(fd)


def not_running(container: Container) -> Conflict:
    """Docker's words."""
    return Conflict(f"container {container.record.id} is not running")
