"""Ending a wait from another thread: a descriptor that becomes readable when the client has gone (eventfd(2))."""

import os
import select
from typing import Protocol


class HasFd(Protocol):
    def fileno(self) -> int: ...


class Cancel:
    """Set once, seen by whoever polls it beside what he is really waiting for."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        os.eventfd_write(self._fd, 1)

    def wait_for(self, ready: HasFd) -> bool:
        """Block until `ready` is readable (True) or the client has gone (False)."""
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        poll.register(self, select.POLLIN)
        return any(fd != self._fd for fd, _ in poll.poll())

    def within(self, seconds: float) -> bool:
        """Sleep so long; True at once when the client has gone."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def __del__(self) -> None:
        os.close(self._fd)
