"""Noticing that a client has gone while there is nothing to write to it.

`docker logs -f` of a silent container, or `docker wait`, may stand for days. The thread that serves it sleeps until
there is output, and would never learn that the person pressed Ctrl-C: threads and descriptors would pile up
(CVE-2022-23471 is that mistake elsewhere). One thread polls all such connections for the peer's end (POLLRDHUP,
poll(2)) and calls what ends the sleep.
"""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator


class Watch:
    """One polling thread, started with the first connection to watch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error: object) -> None:
        """End the thread. Nobody may be watching any more, or begin to."""
        with self._lock:
            self._closed = True
        self._wake()
        if self._thread is not None:
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    @contextlib.contextmanager
    def on_hangup(self, connected: socket.socket, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, `callback` is called (once, by another thread) when the peer closes its side."""
        fd = connected.fileno()
        with self._lock:
            self._callbacks[fd] = callback
            self._start()
        self._wake()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.pop(fd, None)
            self._wake()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hangup", daemon=True)
            self._thread.start()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        while not self._closed:
            poll = select.poll()
            poll.register(self._wake_read, select.POLLIN)
            with self._lock:
                for fd in self._callbacks:
                    poll.register(fd, select.POLLRDHUP)
            self._call(fd for fd, _ in poll.poll())

    def _call(self, fds: Iterator[int]) -> None:
        for fd in fds:
            if fd == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 4096)
                continue
            # Under the lock: once on_hangup has left, its descriptor may already be somebody else's.
            with self._lock:
                if callback := self._callbacks.pop(fd, None):
                    callback()
