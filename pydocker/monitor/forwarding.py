"""Queries on their way to the servers outside: asked one after the other, or beside each other where one is slow.

Every question has a socket of its own for every server, so that the kernel picks a new source port each time and lets
in what comes from that server alone (connect(2) on a datagram socket); the id is new, too. So a forger has to guess
both (RFC 5452). `upstreams.Memory` decides who is asked and for how long he is waited for.
"""

import contextlib
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pydocker.monitor.loop import GONE, READ, WRITE, Loop
from pydocker.network import packets, upstreams
from pydocker.network.resolvconf import Upstream

MANY = 100  # questions that are outside at the same time; each may have a few descriptors
WAITING = 1000  # what waits for its turn; more is refused
_TCP_PATIENCE = 0.2  # a connection takes two trips before the question is even sent

Done = Callable[[bytes | None], None]  # gets the answer, None: nobody had one
Connect = Callable[[Upstream, bool], socket.socket]  # by UDP or not; not blocking


class _Call(Protocol):
    """One server, asked one question."""

    server: Upstream
    since: float

    def close(self) -> None: ...


class Forwarder:
    """Passes questions on. `connect` makes a socket in the right network namespace."""

    def __init__(self, loop: Loop, connect: Connect) -> None:
        self.loop = loop
        self.connect = connect
        self.memory = upstreams.Memory()
        self._waiting: deque[_Asking] = deque()
        self._flying: set[_Asking] = set()
        self._beginning = False
        self._lingering: dict[Upstream, _Call] = {}

    def ask(self, packet: bytes, done: Done, *, udp: bool, host: bool) -> None:
        """Pass a query on; `host`: servers may be asked from the host's namespace."""
        if len(self._waiting) >= WAITING:
            done(None)
            return
        self._waiting.append(_Asking(self, packet, done, udp=udp, host=host))
        self._begin()

    def _begin(self) -> None:
        """Begin with as many as may be outside. Not from within itself: some are over before they have begun."""
        if self._beginning:
            return
        self._beginning = True
        while self._waiting and len(self._flying) < MANY:
            asking = self._waiting.popleft()
            self._flying.add(asking)
            asking.begin()
        self._beginning = False

    def over(self, asking: "_Asking") -> None:
        self._flying.discard(asking)
        self._begin()

    def linger(self, call: _Call) -> None:
        """Somebody else has answered. Listen a little longer, once for each server: is it slow, or dead?"""
        server = call.server
        if server in self._lingering:
            call.close()
            return
        self._lingering[server] = call
        length = max(upstreams.PROOF, self.memory.patience(server))
        self.loop.after(max(0.0, call.since + length - time.monotonic()), lambda: self._silent(call))

    def _silent(self, call: _Call) -> None:
        if self._lingering.get(call.server) is call:
            now = time.monotonic()
            self.memory.silent(call.server, now - call.since, now)
            self.heard(call)

    def heard(self, call: _Call) -> bool:
        """Whether this was one that only lingered; it need not any more."""
        if self._lingering.get(call.server) is not call:
            return False
        del self._lingering[call.server]
        call.close()
        return True

    def close(self) -> None:
        """Nobody wants an answer any more."""
        self._waiting.clear()
        for asking in [*self._flying]:
            asking.drop()
        for call in [*self._lingering.values()]:
            self.heard(call)


class _Asking:
    """One question, until it is answered."""

    def __init__(self, owner: Forwarder, packet: bytes, done: Done, *, udp: bool, host: bool) -> None:
        self._owner = owner
        self._packet = packet
        self._done: Done | None = done
        self._udp = udp
        self._host = host
        self._calls: list[_Datagram | _Connection] = []
        self._held: bytes | None = None  # "no such name", which a better server may know better
        self._failure: bytes | None = None  # what a server says that cannot answer

    def begin(self) -> None:
        memory = self._owner.memory
        order = [one for one in memory.order() if self._host or not one.host]
        self._rest = deque(order * 2)  # a packet may have been lost
        self._deadline = time.monotonic() + upstreams.DEADLINE
        self._next()
        for server in memory.practice(time.monotonic()):
            if self._done is not None and (call := self._call(server)) is not None:
                self._owner.linger(call)

    def _next(self) -> None:
        """Ask the next server; when there is none left, and none that could answer, that is it."""
        while self._rest:
            server = self._rest.popleft()
            call = self._call(server)
            if call is None:
                continue
            self._calls.append(call)
            patience = self._owner.memory.patience(server)
            self._wake(patience if self._udp else max(_TCP_PATIENCE, patience))
            return
        if not self._calls:
            self._finish(self._failure)
        else:
            self._wake(upstreams.DEADLINE)

    def _call(self, server: Upstream) -> "_Datagram | _Connection | None":
        packet = packets.with_id(self._packet, os.urandom(2))
        try:
            return (_Datagram if self._udp else _Connection)(self._owner, server, packet, self._heard)
        except OSError:  # no route, nobody there
            self._owner.memory.refused(server, time.monotonic())
            return None

    def _wake(self, seconds: float) -> None:
        until = min(time.monotonic() + seconds, self._deadline)
        self._until = until
        self._owner.loop.after(max(0.0, until - time.monotonic()), lambda: self._late(until))

    def _late(self, until: float) -> None:
        if self._done is None or until != self._until:  # answered, or another wait has begun
            return
        if time.monotonic() >= self._deadline or self._held is not None:
            self._finish(self._held or self._failure)
        else:
            self._next()

    def _heard(self, call: "_Datagram | _Connection", reply: bytes | None) -> None:
        """What a server has said; None: nobody listens there."""
        owner, now = self._owner, time.monotonic()
        if reply is None:
            owner.memory.refused(call.server, now)
        else:
            owner.memory.answered(call.server, now - call.since)
        if owner.heard(call) or self._done is None:
            return
        before = self._calls[:self._calls.index(call)]
        self._calls.remove(call)
        call.close()
        if reply is None or packets.code(reply) not in (packets.NOERROR, packets.NXDOMAIN):
            self._failed(call.server, reply)
        elif packets.code(reply) == packets.NXDOMAIN and before:
            self._held = reply
            self._wake(max(0.0, before[0].since + upstreams.PROOF - now))
        else:
            self._finish(reply)

    def _failed(self, server: Upstream, reply: bytes | None) -> None:
        """It need not be asked a second time."""
        self._failure = self._failure or reply
        self._rest = deque(one for one in self._rest if one != server)
        if self._held is not None and not self._calls:
            self._finish(self._held)
        elif self._held is None:
            self._next()

    def _finish(self, reply: bytes | None) -> None:
        done, self._done = self._done, None
        calls, self._calls = self._calls, []
        for call in calls:
            if reply is None:
                call.close()
            else:
                self._owner.linger(call)
        packet, self._packet = self._packet, b""  # a timer may still hold this object
        self._owner.over(self)
        if done is not None:
            done(None if reply is None else packets.with_id(reply, packet[:2]))

    def drop(self) -> None:
        self._done = None
        self._finish(None)


class _Datagram:
    """A question by UDP."""

    def __init__(self, owner: Forwarder, server: Upstream, packet: bytes,
                 heard: "Callable[[_Datagram, bytes | None], None]") -> None:
        self.server = server
        self.since = time.monotonic()
        self._loop = owner.loop
        self._packet = packet
        self._heard = heard
        self._socket = owner.connect(server, True)
        try:
            self._socket.send(packet)
        except BlockingIOError:
            pass  # as lost as on the wire
        except OSError:
            self._socket.close()
            raise
        self._loop.watch(self._socket.fileno(), READ, self._ready)

    def _ready(self, events: int) -> None:
        try:
            reply = self._socket.recv(packets.LARGEST)
        except BlockingIOError:
            return
        except OSError:  # ICMP: port or host unreachable (udp(7))
            self._heard(self, None)
            return
        if packets.answers(reply, self._packet):
            self._heard(self, reply)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()


class _Connection:
    """A question by TCP: two bytes of length before each packet (RFC 1035 4.2.2)."""

    def __init__(self, owner: Forwarder, server: Upstream, packet: bytes,
                 heard: "Callable[[_Connection, bytes | None], None]") -> None:
        self.server = server
        self.since = time.monotonic()
        self._loop = owner.loop
        self._packet = packet
        self._heard = heard
        self._out = framed(packet)
        self._in = bytearray()
        self._socket = owner.connect(server, False)
        self._loop.watch(self._socket.fileno(), WRITE, self._ready)

    def _ready(self, events: int) -> None:
        try:
            if events & GONE and not events & READ:
                raise OSError(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "connection failed")
            if self._out:
                self._write()
            else:
                self._read()
        except BlockingIOError:
            pass
        except OSError:
            self._heard(self, None)

    def _write(self) -> None:
        self._out = self._out[self._socket.send(self._out):]
        if not self._out:
            self._loop.watch(self._socket.fileno(), READ, self._ready)

    def _read(self) -> None:
        piece = self._socket.recv(packets.LARGEST + 2)
        if not piece:
            raise OSError(errno.ECONNRESET, "closed before the answer")
        self._in += piece
        length = int.from_bytes(self._in[:2], "big")
        if len(self._in) >= 2 + length and len(self._in) > 2:
            reply = bytes(self._in[2:2 + length])
            self._heard(self, reply if packets.answers(reply, self._packet) else None)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()


def framed(packet: bytes) -> bytes:
    """A packet as it goes over TCP."""
    return len(packet).to_bytes(2, "big") + packet


def connect(server: Upstream, udp: bool) -> socket.socket:
    """A socket towards the server, in the network namespace that the caller is in. Raises OSError."""
    address, _, zone = server.address.partition("%")
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        target = (address, server.port, 0, _zone(zone)) if ":" in address else (address, server.port)
        with contextlib.suppress(BlockingIOError):  # EINPROGRESS
            made.connect(target)
    except OSError:
        made.close()
        raise
    return made


def _zone(name: str) -> int:
    """`fe80::1%eth0`: which link the address is of (RFC 4007)."""
    return (int(name) if name.isdigit() else socket.if_nametoindex(name)) if name else 0
