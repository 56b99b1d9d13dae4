"""A published UDP port that the monitor carries: each client gets a socket of its own towards the container.

An answer has to come from the address that was asked, and the host has many: the kernel tells which it was beside each
datagram (ipv6(7), IPV6_RECVPKTINFO; ip(7), IP_PKTINFO), and takes the same for the answer.
"""

import contextlib
import socket
import struct
import time
from typing import Protocol

from pydocker.monitor.loop import READ, Loop

_LARGEST = 1 << 16
_AT_ONCE = 64  # datagrams in one turn
_MOST = 1024  # clients at the same time; the one that was quiet the longest makes room
_QUIET = 90.0  # seconds until a client is forgotten, as long as docker-proxy waits
_IP_PKTINFO = 8
_INFO = {socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO, _IP_PKTINFO, struct.Struct("=i4s4s")),
         socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO, struct.Struct("=16si"))}

Address = tuple[str, int] | tuple[str, int, int, int]


class To(Protocol):
    """Where it leads: relay.Target."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def family(self) -> int: ...

    def carries(self, local: str, peer: str) -> bool: ...


class _Client:
    """Who sent something, to which of the host's addresses, and by which socket the container answers."""

    def __init__(self, address: Address, information: bytes, server: socket.socket) -> None:
        self.address = address
        self.information = information
        self.server = server
        self.last = time.monotonic()


class Datagrams:
    """One socket that holds a port."""

    def __init__(self, loop: Loop, held: socket.socket, to: To) -> None:
        self._loop = loop
        self._held = held
        self._to = to
        self._clients: dict[tuple[Address, bytes], _Client] = {}  # the longest quiet first
        self._level, ask, self._kind, self._struct = _INFO[socket.AddressFamily(held.family)]
        held.setsockopt(self._level, ask, 1)
        loop.watch(held.fileno(), READ, lambda events: self._incoming())
        self._closed = False
        self._timing = False

    def _incoming(self) -> None:
        with contextlib.suppress(OSError):  # there are no more
            for _ in range(_AT_ONCE):
                try:
                    data, ancillary, _, address = self._held.recvmsg(_LARGEST, socket.CMSG_SPACE(self._struct.size))
                except ConnectionError:  # an earlier answer did not reach its client
                    continue
                self._carry(data, address, next((value for level, kind, value in ancillary
                                                 if (level, kind) == (self._level, self._kind)), b""))

    def _carry(self, data: bytes, address: Address, information: bytes) -> None:
        client = self._clients.pop((address, information), None)
        if client is None:
            if not self._to.carries(self._local(information), address[0]):
                return
            client = self._join(address, information)
        if client is not None:
            self._clients[address, information] = client
            client.last = time.monotonic()
            with contextlib.suppress(OSError):  # the container does not listen: datagrams may be lost
                client.server.send(data)

    def _local(self, information: bytes) -> str:
        if self._held.family == socket.AF_INET6:
            return socket.inet_ntop(socket.AF_INET6, self._struct.unpack(information)[0])
        return socket.inet_ntop(socket.AF_INET, self._struct.unpack(information)[2])

    def _join(self, address: Address, information: bytes) -> _Client | None:
        if len(self._clients) >= _MOST:
            self._leave(next(iter(self._clients)))
        server = socket.socket(self._to.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            server.connect((self._to.address, self._to.port))
        except OSError:
            server.close()
            return None
        client = _Client(address, information, server)
        self._loop.watch(server.fileno(), READ, lambda events: self._answer(client))
        if not self._timing:
            self._timing = True
            self._loop.after(_QUIET, self._forget_quiet)
        return client

    def _answer(self, client: _Client) -> None:
        """From the address that it asked: the interface (index 0) is the kernel's choice again, but for link-local."""
        with contextlib.suppress(OSError):
            for _ in range(_AT_ONCE):
                data = client.server.recv(_LARGEST)
                client.last = time.monotonic()
                self._held.sendmsg([data], [(self._level, self._kind, client.information)], 0, client.address)

    def _forget_quiet(self) -> None:
        if self._closed:
            return
        now = time.monotonic()
        for key in [key for key, client in self._clients.items() if now - client.last >= _QUIET]:
            self._leave(key)
        self._timing = bool(self._clients)
        if self._timing:
            self._loop.after(_QUIET, self._forget_quiet)

    def _leave(self, key: tuple[Address, bytes]) -> None:
        client = self._clients.pop(key)
        self._loop.forget(client.server.fileno())
        client.server.close()

    def close(self) -> None:
        """The socket that holds the port is somebody else's to close."""
        self._closed = True
        for key in tuple(self._clients):
            self._leave(key)
        self._loop.forget(self._held.fileno())
