"""What a client has not taken yet: a little in memory, more in a nameless file, then no more.

A client that stops reading (a pager, a stopped ssh) must not stop the container's log nor the other clients, and must
not lose anything either. Docker blocks the container at once; here it may fall 64 MiB behind before that happens.
"""

import os
from collections import deque

MEMORY = 1 << 20  # bytes kept in memory
FILE = 64 << 20  # bytes kept in the file behind it
_PIECE = 1 << 18


class Backlog:
    """A first-in, first-out queue of bytes. `directory` is where its file is made, if it ever needs one."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._memory: deque[memoryview] = deque()
        self._in_memory = 0
        self._fd = -1
        self._read_at = 0
        self._written = 0

    def __len__(self) -> int:
        return self._in_memory + self._written - self._read_at

    @property
    def full(self) -> bool:
        return self._written - self._read_at >= FILE

    def push(self, data: bytes) -> None:
        """Append. What comes when `full` is still taken: the caller stops reading instead."""
        if self._written == self._read_at and self._in_memory < MEMORY:
            self._memory.append(memoryview(data))
            self._in_memory += len(data)
        else:
            self._spill(data)

    def _spill(self, data: bytes) -> None:
        if self._fd < 0:
            self._fd = os.open(self._directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        left = memoryview(data)
        while left:
            done = os.pwrite(self._fd, left, self._written)
            self._written += done
            left = left[done:]

    def first(self) -> memoryview:
        """The next piece to write; empty when there is nothing."""
        if not self._memory and self._written > self._read_at:
            piece = os.pread(self._fd, _PIECE, self._read_at)
            self._read_at += len(piece)
            if self._read_at == self._written:
                os.ftruncate(self._fd, 0)
                self._read_at = self._written = 0
            self._memory.append(memoryview(piece))
            self._in_memory += len(piece)
        return self._memory[0] if self._memory else memoryview(b"")

    def taken(self, count: int) -> None:
        """`count` bytes of `first()` have gone."""
        piece = self._memory.popleft()
        self._in_memory -= count
        if count < len(piece):
            self._memory.appendleft(piece[count:])

    def close(self) -> None:
        """Give up what is left."""
        self._memory.clear()
        self._in_memory = self._read_at = self._written = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
