"""Messages for a peer that takes them when it likes: the journal's daemon, or the process that writes a log aside.

They are sent at once while it takes them. When it does not, they wait; a container that shall not be held up loses what
comes when `limit` bytes wait (mode=non-blocking), any other one is read no more until they have gone.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from pydocker.monitor.loop import READ, WRITE, Loop

HELD = 1 << 16  # bytes that wait before a container is held up
Piece = bytes | memoryview


class Outbox:
    """`drained` is called when they have gone after all, `heard` with what the peer says (`b""`: it is gone)."""

    def __init__(self, loop: Loop, peer: socket.socket, limit: int, drained: Callable[[], None],
                 heard: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._peer = peer
        self._limit = limit  # 0: nothing is lost
        self._drained = drained
        self._heard = heard
        self._waiting: deque[bytes] = deque()
        self._size = 0
        peer.setblocking(False)
        self._watch()

    @property
    def full(self) -> bool:
        """Whether the container has to wait."""
        return not self._limit and self._size >= HELD

    def send(self, messages: Sequence[bytes]) -> int:
        """How many were taken, or wait; the others are lost. OSError: the peer is gone."""
        for number, message in enumerate(messages):
            # Where none waits, one is taken whatever its size, as by Docker: else a small limit would lose all of them.
            if self._limit and self._waiting and self._size + len(message) > self._limit:
                return number
            self._waiting.append(message)
            self._size += len(message)
            if len(self._waiting) == 1:
                self._flush()
        return len(messages)

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._waiting:
                self._peer.send(self._waiting[0], socket.MSG_NOSIGNAL)
                self._size -= len(self._waiting.popleft())
        except BlockingIOError:
            pass
        self._watch()
        if was_full and not self.full:
            self._drained()

    def _watch(self) -> None:
        self._loop.watch(self._peer.fileno(), READ | (WRITE if self._waiting else 0), self._ready)

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._flush()
            if events & ~WRITE:
                self._heard(self._peer.recv(4096))
        except BlockingIOError:
            pass
        except OSError:
            self._heard(b"")

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Do nothing else until that is so: the container has ended. False: it did not become so in time."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        while self._waiting or not until():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            poll.register(self._peer, select.POLLIN | (select.POLLOUT if self._waiting else 0))
            for _, events in poll.poll(left * 1000):
                self._ready(events)
        return True

    def lose(self) -> None:
        """The peer is gone: what waits is lost."""
        self._waiting.clear()
        self._size = 0
        self._loop.forget(self._peer.fileno())
        self._peer.close()
