"""What waits for a peer that does not take it, and what is lost: with real sockets."""

import socket
from collections.abc import Callable, Iterator

import pytest

from pydocker.monitor.loop import Loop
from pydocker.monitor.outbox import Outbox

KILOBYTE = bytes(1 << 10)
Pair = tuple[Outbox, socket.socket]


@pytest.fixture
def connected() -> Iterator[Callable[[int], Pair]]:
    """Makes an outbox that loses what comes when so many bytes wait, and its peer."""
    pairs: list[Pair] = []

    def connect(limit: int) -> Pair:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.settimeout(60)
        pairs.append((Outbox(Loop(), ours, limit, lambda: None, lambda said: None), theirs))
        return pairs[-1]

    yield connect
    for outbox, theirs in pairs:
        outbox.lose()
        theirs.close()


def test_a_message_larger_than_the_limit_is_taken_when_none_waits(connected: Callable[[int], Pair]) -> None:
    outbox, theirs = connected(1 << 10)
    assert outbox.send([bytes(1 << 16)]) == 1
    assert len(theirs.recv(1 << 17)) == 1 << 16


def test_what_comes_when_the_limit_waits_is_lost_and_what_waited_is_not(connected: Callable[[int], Pair]) -> None:
    outbox, theirs = connected(1 << 14)
    taken = 0
    while outbox.send([KILOBYTE]):
        taken += 1
    assert taken > 16, "the socket has taken some, too"
    for left in range(taken, 0, -1):
        if left == 16:  # all that the socket had are gone: what waited follows
            assert outbox.wait(lambda: True, 10)
        assert theirs.recv(1 << 11) == KILOBYTE
    assert outbox.send([b"after"]) == 1
    assert theirs.recv(1 << 11) == b"after"
