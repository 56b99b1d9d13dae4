"""Waiting for a container, by a descriptor: it can be selected on beside the client's connection.

The other end is the monitor's (which answers at the exit) or, before a start, kept here until the monitor gets it. What
only this process can know (a container removed, a start that failed) it answers itself.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from pydocker.errors import PydockerError
from pydocker.monitor import control
from pydocker.monitor.attach import Attachment


class Waiter:
    """A subscription. `fileno()` becomes readable when `result()` would no longer block; `close()` gives it up."""

    def __init__(self, end: socket.socket, otherwise: Callable[[], int]) -> None:
        """`end` receives one Ended; when it is closed without one (a monitor was killed), `otherwise` finds the truth.
        """
        self._end = end
        self._otherwise = otherwise

    def fileno(self) -> int:
        return self._end.fileno()

    def result(self) -> int:
        """Block until it ended; the exit code. Raises PydockerError."""
        with self._end:
            reply, fds = control.receive(self._end, control.Reply)  # type: ignore[arg-type]
        control.close(fds)
        if isinstance(reply, control.Failed):
            raise control.error_of(reply)
        return reply.exit_code if isinstance(reply, control.Ended) else self._otherwise()

    def close(self) -> None:
        self._end.close()


def answer(end: socket.socket, exit_code: int) -> None:
    """Tell a waiter, and close our end."""
    with end, contextlib.suppress(OSError):  # a waiter that gave up needs no answer
        control.send(end, control.Ended(exit_code))


class Pending:
    """Who is here before the container is:

    clients and waits that its next start takes along, and waits for its removal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, list[Attachment]] = {}
        self._starts: dict[str, list[tuple[socket.socket, bool]]] = {}
        self._removals: dict[str, list[socket.socket]] = {}

    def attach(self, id: str, attachment: Attachment) -> None:
        """Keep a duplicate of the connection until the start."""
        copy = Attachment(attachment.socket.dup(), *(getattr(attachment, name) for name in Attachment.__slots__[1:]))
        with self._lock:
            waiting = self._clients.setdefault(id, [])
            if len(waiting) >= 20:
                copy.socket.close()
                raise PydockerError(f"container {id[:12]}: too many clients are attached before its start")
            waiting.append(copy)

    def for_start(self, id: str, end: socket.socket, *, removed: bool) -> None:
        """This wait is for the container's next run."""
        with self._lock:
            self._starts.setdefault(id, []).append((end, removed))

    def for_removal(self, id: str, end: socket.socket) -> None:
        """This wait is over when the container is removed."""
        with self._lock:
            self._removals.setdefault(id, []).append(end)

    def take(self, id: str) -> tuple[list[Attachment], list[tuple[socket.socket, bool]]]:
        """What a start takes along; the caller closes the sockets."""
        with self._lock:
            return self._clients.pop(id, []), self._starts.pop(id, [])

    def removed(self, id: str, exit_code: int) -> None:
        """The container is gone: answer everybody."""
        clients, starts = self.take(id)
        with self._lock:
            ends = self._removals.pop(id, []) + [end for end, _ in starts]
        for end in ends:
            answer(end, exit_code)
        for client in clients:
            client.socket.close()

    def any(self) -> bool:
        """Whether somebody is still there; connections that were closed meanwhile are let go."""
        with self._lock:
            for clients in self._clients.values():
                _drop_closed(clients, lambda one: one.socket)
            for starts in self._starts.values():
                _drop_closed(starts, lambda one: one[0])
            for ends in self._removals.values():
                _drop_closed(ends, lambda one: one)
            return any(map(any, (self._clients.values(), self._starts.values(), self._removals.values())))


T = TypeVar("T")


def _drop_closed(waiting: list[T], socket_of: Callable[[T], socket.socket]) -> None:
    for one in [one for one in waiting if control.given_up(socket_of(one))]:
        socket_of(one).close()
        waiting.remove(one)
