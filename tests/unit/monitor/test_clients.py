"""A client that takes nothing, and no room for what it has not taken."""

import socket
from typing import Any

from pydocker.monitor.attach import Attachment
from pydocker.monitor.backlog import MEMORY
from pydocker.monitor.clients import Client


class Loop:
    """Knows which descriptors are watched, and calls nobody."""

    def __init__(self) -> None:
        self.watched: set[int] = set()

    def watch(self, fd: int, events: int, ready: object) -> None:
        self.watched.add(fd)

    def forget(self, fd: int) -> None:
        self.watched.discard(fd)

    def after(self, seconds: float, then: object) -> None:
        pass


class Program:
    """A container's streams, without a terminal."""

    tty = False
    accepting = True

    def feed(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def client_changed(self, client: Client) -> None: ...


def test_a_client_for_which_there_is_no_room_is_let_go_and_nobody_else() -> None:
    ours, theirs = socket.socketpair()
    gone: list[Client] = []
    loop: Any = Loop()
    # No file can be made in /proc: as on a full disk, pushing raises OSError once the memory is used up.
    client = Client(loop, theirs.detach(), Attachment(ours).request(), Program(), end_input=False, spill="/proc",
                    gone=gone.append)
    with ours:
        for _ in range(4):
            client.send(1, b"x" * MEMORY)
        assert client.closed and gone == [client] and not loop.watched
