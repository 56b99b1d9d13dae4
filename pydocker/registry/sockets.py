"""The sockets of a repository's connections, so that a transfer can be ended while it waits for the network.

A thread that waits in recv(2) for a registry that has fallen silent, or that sends a byte a minute, looks at nothing
else. shutdown(2) wakes it, from any other thread, as if the peer had closed the connection.
"""

import contextlib
import socket
import threading
import weakref

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssltransport import SSLTransport


class Sockets:
    """What is open now. `shut` is whether nothing may be, until `allow`. Safe to use from several threads."""

    def __init__(self) -> None:
        self.shut = False
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, one: socket.socket) -> None:
        with self._lock:
            self._open.add(one)
            if self.shut:
                _end(one)

    def end(self) -> None:
        """End every connection, and each that comes to be."""
        with self._lock:
            self.shut = True
            for one in self._open:
                _end(one)

    def allow(self) -> None:
        with self._lock:
            self.shut = False

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """urllib3's connection pools by scheme, their connections told to this object."""
        sockets = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class Encrypted(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                # inside a proxy's TLS, it is no socket that has ours, but an object above the proxy's
                sockets.add(self.sock.socket if isinstance(self.sock, SSLTransport) else self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        return {"http": PlainPool, "https": EncryptedPool}


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        # ssl's own method would take the object away under the thread that is reading
        socket.socket.shutdown(one, socket.SHUT_RDWR)
