"""A name server that does what name servers do, good and bad: by UDP and TCP, as `behaviour` answers a query."""

import errno
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import dnslib  # type: ignore[import-untyped]

from pydocker.network import packets
from pydocker.network.resolvconf import Upstream

Behaviour = Callable[[bytes], list[bytes]]


class Nameserver:
    """It listens at once, until `close`; `queries` are those that came."""

    def __init__(self, behaviour: Behaviour, address: str = "127.0.0.1", port: int = 0) -> None:
        self.behaviour = behaviour
        self.queries: list[bytes] = []
        self.senders: set[int] = set()
        self._address = address
        self._udp, self._tcp = _pair(address, port)
        self.port: int = self._udp.getsockname()[1]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> "Nameserver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def upstream(self) -> Upstream:
        return Upstream(self._address, port=self.port)

    def _serve(self) -> None:
        while not self._ends.is_set():
            for ready in select.select([self._udp, self._tcp], [], [], 0.02)[0]:
                self._by_udp() if ready is self._udp else self._by_tcp()

    def _by_udp(self) -> None:
        query, sender = self._udp.recvfrom(65535)
        self.queries.append(query)
        self.senders.add(sender[1])
        for reply in self.behaviour(query):
            self._udp.sendto(reply, sender)

    def _by_tcp(self) -> None:
        with self._tcp.accept()[0] as connection:
            length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
            query = connection.recv(length, socket.MSG_WAITALL)
            self.queries.append(query)
            for reply in self.behaviour(query):
                framed = len(reply).to_bytes(2, "big") + reply
                for piece in (framed[:1], framed[1:7], framed[7:]):
                    connection.sendall(piece)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._udp.close()
        self._tcp.close()


def _pair(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket of one port: a port that the kernel picks for one may be taken for the other."""
    while True:
        udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        try:
            udp.bind((address, port))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(udp.getsockname())
            tcp.listen()
            return udp, tcp
        except OSError as error:
            udp.close()
            tcp.close()
            if port or error.errno != errno.EADDRINUSE:
                raise


def parsed(query: bytes) -> packets.Query:
    found = packets.parse(query)
    assert isinstance(found, packets.Query)
    return found


def known(query: bytes) -> list[bytes]:
    return [packets.answer(parsed(query), ["192.0.2.1"], udp=False)]


def unknown(query: bytes) -> list[bytes]:
    return [packets.refusal(parsed(query), packets.NXDOMAIN)]


def broken(query: bytes) -> list[bytes]:
    return [packets.refusal(parsed(query), packets.SERVFAIL)]


def silent(query: bytes) -> list[bytes]:
    return []


def forged(query: bytes) -> list[bytes]:
    """First what others might send."""
    good = known(query)[0]
    other = bytes(dnslib.DNSRecord.question("other.example").pack())
    return [b"", b"x", packets.with_id(good, bytes((query[0] ^ 1, query[1]))), query,
            packets.with_id(known(other)[0], query[:2]).replace(b"\xc0\x00\x02\x01", b"\x06\x06\x06\x06"), good]
