"""The server: a thread for each connection, and leaving when nobody needs it.

It holds no truth (HOUSE, idea 3): what it knows is on disk or in the monitors, so it may leave, or be killed, at any
moment. Three rules make leaving safe:

  - `server.lock` is held for the server's whole life; a second server on the same root waits a moment (the first one
    may just be leaving), then gives up.
  - It takes its socket's name away first and serves whoever connected before that; then it frees the lock. A client
    that finds no socket starts a new server.
  - The spawner, from which the monitors are forked, is started before the first thread: a process with threads must
    not fork and go on.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydocker.api.connection import Connection, Handle
from pydocker.api.hangup import Watch
from pydocker.api.listeners import Listener, opened, passed
from pydocker.api.router import Router
from pydocker.config import Config
from pydocker.errors import Conflict, Unavailable
from pydocker.storage import locks

LOCK_PATIENCE = 3.0  # seconds that a leaving server may take
GRACE = 5.0  # seconds that requests under way get after SIGTERM
MOST_CONNECTIONS = 1000  # threads; further clients wait in the backlog
_log = logging.getLogger(__name__)


class Server:
    """Accepts on `listeners`, answers by `handle`; `busy` tells of work that no connection stands for."""

    def __init__(self, listeners: Sequence[Listener], handle: Handle, idle_timeout: float = 0.0,
                 busy: Callable[[], bool] = lambda: False) -> None:
        self._listeners = listeners
        self._handle = handle
        self._idle_timeout = idle_timeout
        self._busy = busy
        self._watch = Watch()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, Connection] = {}
        self._last = time.monotonic()
        self._stopping = False
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)

    def stop(self) -> None:
        """Leave soon. Safe in a signal handler and from any thread."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError, OSError):  # full: it wakes anyway; closed: it has left already
            self._wake_write.send(b"\0")

    def run(self) -> None:
        """Serve until stopped or idle for long enough."""
        with selectors.DefaultSelector() as selector, self._wake_read, self._wake_write, self._watch:
            for listener in self._listeners:
                listener.socket.setblocking(False)
                selector.register(listener.socket, selectors.EVENT_READ, listener.socket)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                self._accept(selector.select(self._patience()))
                if self._idle():
                    break
            self._leave(selector)

    def _accept(self, ready: Sequence[tuple[selectors.SelectorKey, int]]) -> int:
        accepted = 0
        for key, _ in ready:
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(4096)
            elif len(self._connections) < MOST_CONNECTIONS:
                with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                    self._start(key.data.accept()[0])
                    accepted += 1
            else:
                time.sleep(0.05)
        return accepted

    def _start(self, accepted: socket.socket) -> None:
        accepted.setblocking(True)
        connection = Connection(accepted, self._handle, self._watch)
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True, name="connection")
        with self._lock:
            self._connections[thread] = connection
        try:
            thread.start()
        except RuntimeError:  # the limit of processes, which counts threads: the next one may fit again
            with self._lock:
                del self._connections[thread]
            connection.refuse(Unavailable("the server cannot begin another thread: the limit of processes is reached"))

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception:  # the edge: one connection's trouble must not be the server's, and is told in its log
            _log.exception("connection broken off")
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]
                self._last = time.monotonic()

    def _patience(self) -> float | None:
        if not self._idle_timeout:
            return None
        left = self._last + self._idle_timeout - time.monotonic()
        return left if left > 0 else min(1.0, self._idle_timeout)

    def _idle(self) -> bool:
        if not self._idle_timeout or self._connections or self._busy():
            return False
        return time.monotonic() - self._last >= self._idle_timeout

    def _leave(self, selector: selectors.BaseSelector) -> None:
        for listener in self._listeners:
            listener.withdraw()
        while self._accept([(key, mask) for key, mask in selector.select(0) if key.data is not None]):
            continue  # whoever connected before the name was gone is still served
        for listener in self._listeners:
            listener.socket.close()
        self._close_connections()

    def _close_connections(self) -> None:
        """Let requests under way come to their end, for a while; then cut them off."""
        with self._lock:
            remaining = dict(self._connections)
        for connection in remaining.values():
            connection.finish()
        end = time.monotonic() + GRACE
        for thread in remaining:
            thread.join(max(0.0, end - time.monotonic()))
        with self._lock, contextlib.suppress(OSError):  # OSError: gone meanwhile
            for connection in self._connections.values():
                connection.socket.shutdown(socket.SHUT_RDWR)
        for thread in remaining:
            thread.join(1.0)


@contextlib.contextmanager
def only_server(config: Config) -> Iterator[None]:
    """Be the one server of this root for the length of the block. Raises Conflict if there is another."""
    path = config.paths.run / "server.lock"
    end = time.monotonic() + LOCK_PATIENCE
    while (fd := locks.acquire(path, blocking=False)) is None:
        if time.monotonic() > end:
            raise Conflict(f"another server is running on {config.paths.run}")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(fd)


def serve(config: Config, hosts: Sequence[str], environ: Mapping[str, str],
          beside: contextlib.AbstractContextManager[None]) -> None:
    """Run the server in the foreground until SIGTERM, SIGINT or idleness. `hosts` overrides the configuration's;
    `beside` is entered while it serves.

    Raises PydockerError if it cannot start.
    """
    from pydocker.api.routes import routes
    from pydocker.engine import Engine

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config.paths.make()
    with only_server(config), contextlib.closing(Engine(config)) as engine:
        listeners = passed(environ) or opened(hosts or config.hosts)
        try:
            engine.recover()
            router = Router(*routes(engine))
            server = Server(listeners, router.handle, config.idle_timeout, engine.containers.busy)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: server.stop())
            _log.info("serving on %s", ", ".join(str(listener.path or "a passed socket") for listener in listeners))
            with beside:
                server.run()
        finally:
            for listener in listeners:
                listener.withdraw()
                listener.socket.close()
