"""Where a monitor takes requests: one message on each fresh connection, which the handler answers now or later.

A monitor that was stopped finds the requests of those who have been told that, and have given up: nobody expects any
more that they are done. But who ends a container does not wait for it to know (see control.StayDown).
"""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError, StartFailed
from pydocker.monitor import control
from pydocker.monitor.loop import READ, Loop
from runtime.linux import mounts

Handle = Callable[[control.Request, list[int], socket.socket], None]


class Desk:
    """`handle` gets the request, its descriptors and the connection; what it raises is the answer."""

    def __init__(self, loop: Loop, name: str, handle: Handle) -> None:
        self._loop = loop
        self._name = name
        self._handle = handle

    def open(self, run: Path) -> None:
        """Make the socket; only the server (root) can reach it."""
        self._take(control.listen(run))

    def adopt(self, fd: int) -> None:
        """Take the socket that another process has made."""
        self._take(socket.socket(fileno=fd))

    def _take(self, listener: socket.socket) -> None:
        self.listener = listener
        self.listener.setblocking(False)
        self._loop.watch(self.listener.fileno(), READ, lambda events: self._accept())

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # no more; or it gave up before we came to it
                return
            self._loop.watch(connection.fileno(), READ, lambda events, one=connection: self._asked(one))  # type: ignore[misc]

    def _asked(self, connection: socket.socket) -> None:
        self._loop.forget(connection.fileno())
        fds: list[int] = []
        try:
            request, fds = control.receive(connection, control.Request)  # type: ignore[arg-type]
            if request is None or (control.given_up(connection) and not isinstance(request, control.StayDown)):
                control.close(fds)
                connection.close()
            else:
                self._handle(request, fds, connection)
        except PydockerError as error:
            control.close(fds)
            answer(connection, failure(error))
        except (OSError, msgspec.MsgspecError) as error:
            control.close(fds)
            answer(connection, control.Failed(f"monitor of {self._name}: {error}"))

    def close(self) -> None:
        """Answer no more: but who has connected just now gets an answer, too."""
        for _ in range(2):
            self._loop.turn(wait=False)
        self._loop.forget(self.listener.fileno())
        self.listener.close()


def answer(connection: socket.socket, reply: control.Reply, fds: Sequence[int] = ()) -> None:
    """Send it, and close our end."""
    with connection:
        try:
            control.send(connection, reply, fds)
        except OSError:
            return  # who asked is gone: a killed server


def hand_over(rootfs: Path, connection: socket.socket) -> None:
    """A clone of the overlay's mount, in no mount table: what is mounted over it does not come along."""
    root = mounts.open_tree(mounts.AT_FDCWD, str(rootfs), mounts.OPEN_TREE_CLONE)
    try:
        answer(connection, control.Done(), (root,))
    finally:
        os.close(root)


def failure(error: PydockerError) -> control.Failed:
    return control.Failed(str(error), error.exit_code if isinstance(error, StartFailed) else 0, error.status)
