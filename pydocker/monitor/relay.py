"""Published ports that the kernel cannot lead to a container, carried by its monitor: a connection here, one there.

That is `[::1]` (loopback addresses are never routed; 127.0.0.1 can be, by a sysctl that IPv6 has not), link-local
addresses, IPv6 for a container that has IPv4 only, and what comes from a neighbour in a network whose containers may
not speak with each other (`firewall.beside`). Everything else goes by the firewall, which keeps the client's address,
and never gets here. What gets here nevertheless came between `nft flush ruleset` and its mending: it is refused,
because the container would take it for a connection of the host's own.
"""

import contextlib
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable

import msgspec

from pydocker.model.network import Endpoint, Published
from pydocker.monitor.datagrams import Datagrams
from pydocker.monitor.loop import GONE, READ, WRITE, Loop
from pydocker.network.firewall import relayed

_PIECE = 1 << 18
_AT_ONCE = 64  # connections taken in one turn
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) sends RST
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
REST = 0.5  # seconds, when there is no room for a connection
_MINE = (ipaddress.ip_network("::1/128"), ipaddress.ip_network("fe80::/10"))


class Target(msgspec.Struct, frozen=True):
    """Where a published port leads, and whether everything that arrives is to be carried there, or what is for _MINE
    and from `neighbours` alone."""

    protocol: str
    address: str
    port: int
    every: bool
    neighbours: str  # the container's own subnet: by the firewall, too, it would see the host as their address

    def carries(self, local: str, peer: str) -> bool:
        """`local` is the host's own address that was asked for, `peer` who asks."""
        return self.every or any(_within(local, network) for network in _MINE) or _within(
            peer, ipaddress.ip_network(self.neighbours, strict=False))

    @property
    def family(self) -> int:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


def _within(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]) in network


def target(one: Published, endpoint: Endpoint) -> Target:
    """The container's address of the same kind, or of the other."""
    ways = (endpoint.ipv6, endpoint.ipv4) if ":" in one.host_ip else (endpoint.ipv4, endpoint.ipv6)
    subnet = next(filter(None, ways), "")
    return Target(one.protocol, subnet.partition("/")[0], one.container_port, relayed(one, endpoint), subnet)


class Relays:
    """The sockets that hold published ports, and what comes by them. They are free when this is closed."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._held: dict[Published, socket.socket] = {}
        self._targets: dict[Published, Target] = {}
        self._datagrams: dict[Published, Datagrams] = {}
        self._connections: set[Connection] = set()

    def arrange(self, endpoints: Iterable[Endpoint], more: Iterable[tuple[Published, socket.socket]] = ()) -> None:
        """Hold `more`, give up what no endpoint publishes (any more), and lead the rest where it belongs.

        Connections that are there go on.
        """
        for one, listener in more:
            listener.setblocking(False)
            self._held[one] = listener
        wanted = {one: target(one, endpoint) for endpoint in endpoints for one in endpoint.published}
        for one in tuple(self._held):
            if self._targets.get(one) != wanted.get(one):
                self._quiet(one)
                if one in wanted:
                    self._watch(one, wanted[one])
            if one not in wanted:
                self._held.pop(one).close()

    def _watch(self, one: Published, to: Target) -> None:
        self._targets[one] = to
        if one.protocol == "udp":
            self._datagrams[one] = Datagrams(self._loop, self._held[one], to)
        else:
            self._listen(self._held[one], to)

    def _quiet(self, one: Published) -> None:
        self._targets.pop(one, None)
        datagrams = self._datagrams.pop(one, None)
        if datagrams is not None:
            datagrams.close()
        self._loop.forget(self._held[one].fileno())

    def _listen(self, listener: socket.socket, to: Target) -> None:
        if listener.fileno() >= 0:  # it may have been released during a rest
            self._loop.watch(listener.fileno(), READ, lambda events: self._accept(listener, to))

    def close(self) -> None:
        """All of it, connections too."""
        for connection in tuple(self._connections):
            connection.close()
        self.arrange(())

    def _accept(self, listener: socket.socket, to: Target) -> None:
        try:
            for _ in range(_AT_ONCE):
                client, peer = listener.accept()
                self._begin(client, peer[0], to)
        except OSError as error:
            if error.errno in FULL:  # it would be readable at once again
                self._loop.forget(listener.fileno())
                self._loop.after(REST, lambda: self._listen(listener, to))

    def _begin(self, client: socket.socket, peer: str, to: Target) -> None:
        try:
            if not to.carries(client.getsockname()[0], peer):
                refuse(client)
                return
            server = _connecting(to)
        except OSError:
            refuse(client)
            return
        self._connections.add(Connection(self._loop, client, server, self._connections.discard))


def refuse(client: socket.socket) -> None:
    """As a port does that nobody listens at."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


def _connecting(to: Target) -> socket.socket:
    kind = socket.IPPROTO_SCTP if to.protocol == "sctp" else socket.IPPROTO_TCP
    server = socket.socket(to.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, kind)
    try:
        server.connect((to.address, to.port))
    except BlockingIOError:
        pass
    except OSError:
        server.close()
        raise
    return server


class _Way:
    """One direction: what was read here and could not be written there yet; `ended`: no more will come."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.pending = memoryview(b"")
        self.ended = False
        self.done = False  # and the sink knows

    def move(self) -> None:
        """As much as goes without waiting. Raises OSError when either end is gone."""
        with contextlib.suppress(BlockingIOError):
            if self.pending:
                self._write()
            if not self.pending and not self.ended:
                data = self.source.recv(_PIECE)
                self.pending, self.ended = memoryview(data), not data
                self._write()
        if self.ended and not self.pending and not self.done:
            self.done = True
            self.sink.shutdown(socket.SHUT_WR)

    def _write(self) -> None:
        while self.pending:
            self.pending = self.pending[self.sink.send(self.pending, socket.MSG_NOSIGNAL):]


class Connection:
    """A client's and the container's, joined. An end of one side is told to the other, which may go on."""

    def __init__(self, loop: Loop, client: socket.socket, server: socket.socket,
                 gone: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._client = client
        self._server = server
        self._gone = gone
        self._ways = (_Way(client, server), _Way(server, client))
        client.setblocking(False)
        loop.watch(server.fileno(), WRITE, self._ready)

    def _ready(self, events: int) -> None:
        """The container has taken the connection, or not: then the client's is reset, as the kernel would have done."""
        if self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            with contextlib.suppress(OSError):
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()
            return
        for one in (self._client, self._server):
            self._loop.watch(one.fileno(), READ, self._turn)
        self._turn(events)

    def _turn(self, events: int) -> None:
        try:
            for way in self._ways:
                way.move()
        except OSError:
            self.close()
            return
        if all(way.done for way in self._ways):
            self.close()
        else:
            self._rewatch(gone=bool(events & GONE))

    def _rewatch(self, *, gone: bool) -> None:
        """Read where there is room for it, write where something waits. Who hung up and has nothing to be read yet is
        not watched meanwhile: epoll(7) would tell of it for ever."""
        there, back = self._ways
        for one, incoming, outgoing in ((self._client, there, back), (self._server, back, there)):
            reading = READ if not incoming.ended and not incoming.pending else 0
            writing = WRITE if outgoing.pending else 0
            if gone and not (reading or writing):
                self._loop.forget(one.fileno())
            else:
                self._loop.watch(one.fileno(), reading | writing, self._turn)

    def close(self) -> None:
        for one in (self._client, self._server):
            if one.fileno() >= 0:
                self._loop.forget(one.fileno())
                one.close()
        self._gone(self)
