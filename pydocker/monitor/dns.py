"""The name server of a container on user networks: at 127.0.0.11 inside its own network namespace.

The server has made its two sockets there, on ports that the kernel chose, and two rules that lead port 53 of that
address to them (`network.resolver`): so port 53 is the container's own, and whoever binds it on every address can.
Both sockets live here, in the monitor: names are answered while no server runs, and across restarts.

    query -> a container's name or address in one of its networks?   answered from endpoints.json, read when it changes
          -> anything else                                           passed on, unless no network leads out

What a container sends is hostile: it can make its own monitor work, and nothing else.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pydocker.errors import PydockerError
from pydocker.model.network import Endpoint, Network, NetworkId
from pydocker.monitor import forwarding
from pydocker.monitor.forwarding import Forwarder
from pydocker.monitor.launch import LOCK, Launch
from pydocker.monitor.loop import GONE, READ, WRITE, Loop
from pydocker.monitor.relay import FULL, REST
from pydocker.network import names, packets, resolvconf
from pydocker.network.endpoints import Endpoints
from pydocker.network.names import Index, Place
from pydocker.network.resolvconf import Upstream
from pydocker.storage import documents, locks
from runtime.linux import namespaces

_TURN = 32  # datagrams at a time: the container's output waits in the same loop
_CLIENTS = 32  # TCP connections
_IDLE = 10.0  # seconds that one may say nothing
_BACKLOG = 256 << 10  # bytes that a client has asked for and does not take
_FRESH = 1.0  # seconds for which the host's resolv.conf is believed to be as it was

Reply = Callable[[bytes], None]


class Resolver:
    """Answers the container. `namespace` is the descriptor of its network namespace."""

    def __init__(self, loop: Loop, launch: Launch, namespace: int, sockets: Sequence[int]) -> None:
        self._loop = loop
        self._launch = launch
        self._namespace = namespace
        self._known = Known(launch)
        self._turns = names.Turns()
        self._forwarder = Forwarder(loop, self._connect)
        self._read_at = float("-inf")
        self._clients: set[_Client] = set()
        self._udp, self._tcp = (socket.socket(fileno=fd) for fd in sockets)
        for listening, ready in ((self._udp, self._datagrams), (self._tcp, self._accept)):
            listening.setblocking(False)
            loop.watch(listening.fileno(), READ, ready)

    def close(self) -> None:
        """The container has ended for good."""
        self._forwarder.close()
        for client in [*self._clients]:
            client.close()
        for listening in (self._udp, self._tcp):
            self._loop.forget(listening.fileno())
            listening.close()

    def _datagrams(self, events: int) -> None:
        for _ in range(_TURN):
            try:
                packet, sender = self._udp.recvfrom(packets.LARGEST)
            except OSError:  # there is no more; or an ICMP error about an earlier answer
                return
            self.handle(packet, partial(self._send, sender), udp=True)

    def _send(self, receiver: tuple[str, int], reply: bytes) -> None:
        with contextlib.suppress(OSError):  # lost, as datagrams may be; it asks again
            self._udp.sendto(reply, receiver)

    def _accept(self, events: int) -> None:
        try:
            connection, _ = self._tcp.accept()
        except OSError as error:
            if error.errno in FULL:  # it would be readable at once again
                self._loop.forget(self._tcp.fileno())
                self._loop.after(REST, self._accept_again)
            return
        if len(self._clients) >= _CLIENTS:
            connection.close()
        else:
            self._clients.add(_Client(self._loop, connection, self.handle, self._clients.discard))

    def _accept_again(self) -> None:
        if self._tcp.fileno() >= 0:  # it may have been closed during the rest
            self._loop.watch(self._tcp.fileno(), READ, self._accept)

    def handle(self, packet: bytes, reply: Reply, *, udp: bool) -> None:
        """Answer a packet now, or later, or not at all."""
        match packets.parse(packet):
            case packets.Refusal(refusal):
                reply(refusal)
            case packets.Query() as query:
                try:
                    self._answer(query, reply, udp=udp)
                except (PydockerError, OSError):  # the engine's own documents are damaged: known to who reads them
                    reply(packets.refusal(query, packets.SERVFAIL))

    def _answer(self, query: packets.Query, reply: Reply, *, udp: bool) -> None:
        places = self._known.places()
        known = self._local(query, places, udp=udp)
        if known is not None:
            reply(known)
        elif self._launch.dns.dots and "." not in query.name and query.type in (packets.A, packets.AAAA):
            reply(packets.answer(query))  # the container's own resolver tries its search domains next (as Docker)
        else:
            self._pass_on(query, reply, udp=udp, host=names.leads_out(places))

    def _local(self, query: packets.Query, places: Sequence[Place], *, udp: bool) -> bytes | None:
        """The answer, if a container is called so, or has the address."""
        if not query.name:
            return None
        alive = self._known.alive
        if query.type == packets.PTR:
            owner = names.owner(places, query.name, alive)
            return packets.answer(query, names=[owner], udp=udp) if owner else None
        found = names.find(places, self._launch.id, query.name, alive)
        if found is None:
            return None
        versions = {packets.A: (4,), packets.AAAA: (6,), packets.ANY: (4, 6)}.get(query.type, ())
        addresses = [address for version in versions
                     for address in self._turns.rotate(query.name, version, names.addresses(found, version))]
        return packets.answer(query, addresses, udp=udp)

    def _pass_on(self, query: packets.Query, reply: Reply, *, udp: bool, host: bool) -> None:
        if time.monotonic() - self._read_at > _FRESH:
            self._forwarder.memory.know(upstreams(self._launch.dns.servers))
            self._read_at = time.monotonic()

        def done(answer: bytes | None) -> None:
            reply(packets.refusal(query, packets.SERVFAIL) if answer is None else answer)

        self._forwarder.ask(query.packet, done, udp=udp, host=host)

    def _connect(self, server: Upstream, udp: bool) -> socket.socket:
        """The servers of the host's resolv.conf are asked as the host asks them; those of --dns as the container would:
        they may be containers themselves, or beyond a gateway of its own."""
        if server.host:
            return forwarding.connect(server, udp)
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            namespaces.setns(self._namespace, namespaces.CLONE_NEWNET)
            try:
                return forwarding.connect(server, udp)
            finally:
                namespaces.setns(home, namespaces.CLONE_NEWNET)
        finally:
            os.close(home)


def upstreams(asked: Sequence[str]) -> tuple[Upstream, ...]:
    """--dns, or what the host's resolv.conf says now: laptops move."""
    host = resolvconf.overridden(resolvconf.load(), asked, (), ())
    return resolvconf.for_internal_resolver(host).upstreams


class Known:
    """Who is in the container's networks, as their documents say; looked at for every query, read when they change."""

    def __init__(self, launch: Launch) -> None:
        self._id = launch.id
        self._records = Path(launch.networks)
        self._containers = launch.run_path.parent
        self._endpoints = Endpoints(self._containers.parent)
        self._networks: dict[NetworkId, Network] = {}
        self._indices: dict[NetworkId, Index] = {}

    def places(self) -> list[Place]:
        """Its networks, in the order in which it was connected."""
        return [Place(self._network(id), self._index(id)) for id in self._endpoints.networks(self._id)]

    def _network(self, id: NetworkId) -> Network:
        if id not in self._networks:
            self._networks[id] = documents.read(self._records / id / "network.json", Network)
        return self._networks[id]

    def _index(self, id: NetworkId) -> Index:
        now = self._endpoints.read(id)
        known = self._indices.get(id)
        if known is None or known.endpoints is not now:
            known = self._indices[id] = Index(now)
        return known

    def alive(self, endpoint: Endpoint) -> bool:
        """A killed monitor has not taken its endpoints out."""
        return endpoint.container == self._id or locks.is_held(self._containers / endpoint.container / LOCK)


class _Client:
    """One TCP connection: any number of queries, each behind its length."""

    def __init__(self, loop: Loop, connection: socket.socket, handle: Callable[..., None],
                 gone: "Callable[[_Client], None]") -> None:
        self._loop = loop
        self._socket = connection
        self._handle = handle
        self._gone = gone
        self._in = bytearray()
        self._out = bytearray()
        self._heard = time.monotonic()
        connection.setblocking(False)
        loop.watch(connection.fileno(), READ, self._ready)
        self._watch_over()

    def _watch_over(self) -> None:
        if self._socket.fileno() < 0:
            return
        if (rest := self._heard + _IDLE - time.monotonic()) <= 0:
            self.close()
        else:
            self._loop.after(rest, self._watch_over)

    def _ready(self, events: int) -> None:
        try:
            if events & (READ | GONE):
                self._read()
            if events & WRITE:
                self._flush()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _read(self) -> None:
        piece = self._socket.recv(1 << 16)
        if not piece:
            self.close()
            return
        self._heard = time.monotonic()
        self._in += piece
        if len(self._in) > 2 * packets.LARGEST:  # more than it is served at once, and it does not wait
            self.close()
        else:
            self._work()

    def _work(self) -> None:
        """A few queries; the others when everybody else has had a turn."""
        for _ in range(_TURN):
            end = 2 + int.from_bytes(self._in[:2], "big")
            if self._socket.fileno() < 0 or len(self._in) < max(end, 3):
                return
            packet = bytes(self._in[2:end])
            del self._in[:end]
            self._handle(packet, self._reply, udp=False)
        self._loop.after(0, self._work)

    def _reply(self, packet: bytes) -> None:
        if self._socket.fileno() < 0:
            return
        self._out += forwarding.framed(packet)
        try:
            self._flush()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _flush(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            del self._out[:self._socket.send(self._out)]
        finally:
            if len(self._out) > _BACKLOG:
                self.close()
            else:
                self._loop.watch(self._socket.fileno(), READ | (WRITE if self._out else 0), self._ready)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._gone(self)
