"""Ports that the monitor carries, with real sockets on the loopback: `::1` to a container that has IPv4 only."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from pydocker.model.network import Endpoint, NetworkId, PortBinding, Published
from pydocker.model.port import Port
from pydocker.monitor.loop import Loop
from pydocker.monitor.relay import Relays, target
from pydocker.network import ports

NETWORK = NetworkId("0" * 64)
SIZE = 3 << 20


def endpoint(*published: Published, ipv6: str = "") -> Endpoint:
    return Endpoint(id="e", network=NETWORK, container="c", ipv4="127.0.0.1/24", ipv6=ipv6, published=published)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def relays(loop: Loop) -> Iterator[Relays]:
    relays = Relays(loop)
    yield relays
    relays.close()


def held(kind: str, inside: int, address: str = "::1") -> tuple[Published, socket.socket]:
    found = ports.hold([(Port(inside, kind), PortBinding(address))])
    return found.published[0], found.sockets[0]


def during(loop: Loop, work: Callable[[], None]) -> None:
    """Turn the loop until `work`, in a thread, is through."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        ended.append(True)

    ended: list[bool] = []
    thread = threading.Thread(target=run)
    thread.start()
    while not ended:
        loop.after(0.02, lambda: None)
        loop.turn()
    thread.join()
    if failed:
        raise failed[0]


def test_a_connection_and_both_of_its_ends(loop: Loop, relays: Relays) -> None:
    """Megabytes each way; the end of one direction is told while the other goes on."""
    server = socket.create_server(("127.0.0.1", 0))
    one, listener = held("tcp", server.getsockname()[1])
    relays.arrange([endpoint(one)], [(one, listener)])

    def work() -> None:
        with socket.create_connection(("::1", one.host_port)) as client, server.accept()[0] as inside:
            echoing = threading.Thread(target=_echo, args=(inside,))
            echoing.start()
            sending = threading.Thread(target=_send, args=(client,))
            sending.start()
            assert _all(client) == b"x" * SIZE
            sending.join()
            echoing.join()

    during(loop, work)
    server.close()


def _send(client: socket.socket) -> None:
    client.sendall(b"x" * SIZE)
    client.shutdown(socket.SHUT_WR)


def _echo(inside: socket.socket) -> None:
    """Answer only when all has been heard, so that every buffer on the way fills up."""
    inside.sendall(_all(inside))
    inside.shutdown(socket.SHUT_WR)


def _all(one: socket.socket) -> bytes:
    return b"".join(iter(lambda: one.recv(1 << 16), b""))


def test_a_port_that_nobody_listens_at_resets(loop: Loop, relays: Relays) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        inside = gone.getsockname()[1]
    one, listener = held("tcp", inside)
    relays.arrange([endpoint(one)], [(one, listener)])

    def work() -> None:
        with socket.create_connection(("::1", one.host_port)) as client, pytest.raises(ConnectionResetError):
            client.recv(1)

    during(loop, work)


def test_what_the_firewall_should_have_led_is_refused(loop: Loop, relays: Relays) -> None:
    """IPv4 for a container with IPv4 comes here only while the rules are gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one, listener = held("tcp", server.getsockname()[1], "127.0.0.1")
        relays.arrange([endpoint(one)], [(one, listener)])

        def work() -> None:
            with (pytest.raises(ConnectionResetError),
                  socket.create_connection(("127.0.0.1", one.host_port), 60, ("127.9.9.9", 0)) as client):
                client.recv(1)

        during(loop, work)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_datagrams_are_answered_from_the_address_that_was_asked(loop: Loop, relays: Relays) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    one, listener = held("udp", server.getsockname()[1])
    relays.arrange([endpoint(one)], [(one, listener)])

    def work() -> None:
        clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.connect(("::1", one.host_port))  # takes answers from this address only
            client.send(b"%d" % number)
        for _ in clients:
            data, sender = server.recvfrom(100)
            server.sendto(b"to " + data, sender)
        for number, client in enumerate(clients):
            client.settimeout(60)
            assert client.recv(100) == b"to %d" % number
            client.close()

    during(loop, work)
    server.close()


def test_a_port_that_is_released_is_free(loop: Loop, relays: Relays) -> None:
    one, listener = held("tcp", 1)
    relays.arrange([endpoint(one)], [(one, listener)])
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("::1", one.host_port), family=socket.AF_INET6)
    relays.arrange([endpoint()])
    socket.create_server(("::1", one.host_port), family=socket.AF_INET6).close()


@pytest.mark.parametrize(("host", "ipv6", "local", "carried"), [
    ("::", "", "2001:db8::1", True),  # IPv6 for a container that has none
    ("::", "fd00::2/64", "2001:db8::1", False),  # the kernel leads it
    ("::", "fd00::2/64", "::1", True),
    ("::", "fd00::2/64", "fe80::1%eth0", True),
    ("::1", "fd00::2/64", "::1", True),
    ("0.0.0.0", "", "127.0.0.1", False),
])
def test_what_is_carried(host: str, ipv6: str, local: str, carried: bool) -> None:
    led = target(Published("tcp", host, 80, 80), endpoint(ipv6=ipv6))
    assert led.carries(local, "fd99::9" if ":" in local else "10.9.9.9") is carried
    assert led.carries(local, "127.0.0.9" if led.family == socket.AF_INET else "fd00::9")  # a neighbour
