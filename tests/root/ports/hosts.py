"""Other hosts, as network namespaces around the engine's: a router next to it, and a client behind the router.

    engine's host 10.99.0.1, fd99::1 ── 10.99.0.2, fd99::2 router 10.98.0.1, fd98::1 ── 10.98.0.2, fd98::2 client

The engine's host is the namespace that the tests run in (tests/conftest.py). `Host` is entered by the thread that runs
the test: sockets made inside stay there.
"""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from pydocker.network import namespace

ENGINE, ENGINE6 = "10.99.0.1", "fd99::1"
ROUTER, ROUTER6 = "10.99.0.2", "fd99::2"
CLIENT, CLIENT6 = "10.98.0.2", "fd98::2"
WAN = "wan0"  # the engine's interface


@dataclass
class Host:
    """One namespace, by a descriptor."""

    fd: int

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        with namespace.inside(self.fd):
            yield

    def run(self, *argv: str) -> str:
        """A program there; it has to succeed."""
        done = subprocess.run(("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", *argv), capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def connect(self, address: str, port: int, timeout: float = 60.0) -> socket.socket:
        with self.inside():
            return connect(address, port, timeout)

    def ask(self, address: str, port: int, timeout: float = 60.0) -> str:
        """All that a TCP server says."""
        with self.connect(address, port, timeout) as connection:
            return everything(connection)

    def ask_udp(self, address: str, port: int, timeout: float = 60.0) -> str:
        with self.inside():
            return ask_udp(address, port, timeout)


def connect(address: str, port: int, timeout: float = 60.0) -> socket.socket:
    return socket.create_connection((address, port), timeout=timeout)


def ask(address: str, port: int, timeout: float = 60.0) -> str:
    """The same from the engine's host."""
    with connect(address, port, timeout) as connection:
        return everything(connection)


def everything(connection: socket.socket) -> str:
    return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def ask_udp(address: str, port: int, timeout: float = 60.0) -> str:
    """One datagram, and the answer to it; asked again until the time is up, as a client of UDP has to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.settimeout(0.5)
        for _ in range(max(1, int(timeout / 0.5))):
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                client.send(b"?")
                return client.recv(4096).decode()
    raise TimeoutError(f"no answer from {address}:{port}")


class Server:
    """A program on one of the hosts that tells who asked: `10.99.0.1` and a line break."""

    def __init__(self, address: str, port: int, host: Host | None = None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with host.inside() if host else contextlib.nullcontext():
            self._socket = socket.create_server((address, port), family=family)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self._socket.accept()
                with connection:
                    connection.sendall(f"{peer[0]}\n".encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class Datagrams:
    """The same by UDP."""

    def __init__(self, address: str, port: int, host: Host | None = None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with host.inside() if host else contextlib.nullcontext():
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._socket.bind((address, port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if data == b"end":
                return
            self._socket.sendto(peer[0].encode(), peer)

    def close(self) -> None:
        address, port, *_ = self._socket.getsockname()
        # A socket in recvfrom(2) is not woken by close(2); it reaches itself by the loopback of its namespace.
        self._socket.sendto(b"end", ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), port))
        self._thread.join()
        self._socket.close()


@dataclass
class Surroundings:
    """The hosts around the engine's."""

    router: Host
    client: Host

    def take_away(self) -> None:
        subprocess.run(("ip", "link", "delete", WAN), check=True)
        os.close(self.router.fd)
        os.close(self.client.fd)


def surroundings() -> Surroundings:
    router, client = Host(namespace.make()), Host(namespace.make())
    _sysctl(None, "ipv6/conf/default/accept_dad", "0")  # addresses that can be used at once
    for host in (router, client):
        _sysctl(host, "ipv6/conf/default/accept_dad", "0")
    _wire(None, WAN, (ENGINE, ENGINE6), router, "lan0", (ROUTER, ROUTER6))
    _wire(router, "lan1", ("10.98.0.1", "fd98::1"), client, "lan0", (CLIENT, CLIENT6))
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        _sysctl(router, path, "1")
    for at, gateways in ((None, (ROUTER, ROUTER6)), (client, ("10.98.0.1", "fd98::1"))):
        for gateway in gateways:
            _ip(at, "route", "add", "default", "via", gateway)
    return Surroundings(router, client)


def _wire(one: Host | None, name: str, addresses: tuple[str, str], other: Host, far: str,
          far_addresses: tuple[str, str]) -> None:
    _ip(one, "link", "add", name, "type", "veth", "peer", "name", far, "netns", f"/proc/{os.getpid()}/fd/{other.fd}")
    for host, link, (four, six) in ((one, name, addresses), (other, far, far_addresses)):
        _ip(host, "link", "set", "lo", "up")
        _ip(host, "address", "add", f"{four}/24", "dev", link)
        _ip(host, "address", "add", f"{six}/64", "dev", link, "nodad")
        _ip(host, "link", "set", link, "up")


def _sysctl(host: Host | None, path: str, value: str) -> None:
    with (host.inside() if host else contextlib.nullcontext(),
          open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file):
        file.write(value)


def _ip(host: Host | None, *words: str) -> None:
    argv = ("ip", *words)
    if host is None:
        subprocess.run(argv, check=True)
    else:
        host.run(*argv)
