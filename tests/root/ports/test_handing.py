"""How the sockets of published ports get to a monitor, however many they are."""

import os
import socket
from contextlib import ExitStack

from pydocker.model.network import Published
from pydocker.monitor import control
from pydocker.network import publishing
from pydocker.network.ports import AT_ONCE, LARGEST_BATCH, Held, make_room


def test_thousands_are_handed_over_to_whoever_comes_later() -> None:
    """Nobody reads yet when they are sent: all of them have to find room, or the server would wait for ever."""
    published = tuple(Published("udp", "192.0.2.255", number, number) for number in range(50000, 54000))
    make_room(2 * len(published) + 1000)
    with ExitStack() as undo:
        sockets = tuple(undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in published)
        packed = socket.socket(fileno=publishing.packed(Held(published, sockets)))
        undo.enter_context(packed)
        received = 0
        while True:
            content, fds = control.receive_descriptors(packed, LARGEST_BATCH, AT_ONCE)
            if not content:
                break
            received += len(fds)
            for fd in fds:
                os.close(fd)
    assert received == len(published)
