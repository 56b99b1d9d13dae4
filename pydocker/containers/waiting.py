"""Waiting for a container, by a descriptor: it can be selected on beside the client's connection."""

import socket
from collections.abc import Callable

import msgspec


class Exit(msgspec.Struct, frozen=True, tag="exit"):
    """How it ended. `error` is set when the wait itself failed."""

    code: int
    error: str = ""


class Waiter:
    """A subscription. `fileno()` becomes readable when `result()` would no longer block; `close()` gives it up."""

    def __init__(self, end: socket.socket, otherwise: Callable[[], int]) -> None:
        """`end` receives one Exit; when it is closed without one (a monitor was killed), `otherwise` finds the truth."""
        self._end = end
        self._otherwise = otherwise

    def fileno(self) -> int:
        return self._end.fileno()

    def result(self) -> int:
        """Block until it ended; the exit code."""
        with self._end:
            answer = self._end.recv(4096)
        return msgspec.json.decode(answer, type=Exit).code if answer else self._otherwise()

    def close(self) -> None:
        self._end.close()
