"""Who waits for the container's end, or for its removal: one answer each, unless the peer gives up before."""

import socket
from collections.abc import Callable

from pydocker.errors import PydockerError
from pydocker.monitor import control
from pydocker.monitor.desk import answer, failure
from pydocker.monitor.loop import Loop


class Waits:
    """Connections, each with whether it is the removal that is waited for."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: dict[socket.socket, bool] = {}

    def add(self, connection: socket.socket, removed: bool) -> None:
        """Who hangs up (an interrupted `docker wait`) is let go: epoll(7) tells of that unasked."""
        self._waiting[connection] = removed
        self._loop.watch(connection.fileno(), 0, lambda events: self._take(connection).close())

    def _take(self, connection: socket.socket) -> socket.socket:
        del self._waiting[connection]
        self._loop.forget(connection.fileno())
        return connection

    def tell(self, exit_code: int, *, removed: bool) -> None:
        """Answer those who wait for this."""
        for connection in [one for one, wanted in self._waiting.items() if wanted == removed]:
            answer(self._take(connection), control.Ended(exit_code))

    def outlast(self, remove: Callable[[], None], exit_code: int) -> None:
        """Remove the container, and tell those who wait for that, be it why it cannot be removed."""
        try:
            remove()
        except PydockerError as error:
            for connection in tuple(self._waiting):
                answer(self._take(connection), failure(error))
        else:
            self.tell(exit_code, removed=True)

    def close(self) -> None:
        """Hang up on all others: they find out by themselves."""
        for connection in tuple(self._waiting):
            self._take(connection).close()
