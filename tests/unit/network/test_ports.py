"""Which ports of the host's are taken, by real sockets; and who is named when one is not to be had."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pydocker.errors import InvalidParameter, NotSupported, PydockerError
from pydocker.model.network import PortBinding, Published
from pydocker.model.port import Port, publish
from pydocker.network import ports
from pydocker.network.ports import Held


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as undo:
        yield undo


def hold(undo: ExitStack, *words: str, default: str = "", owner: ports.Owner = lambda *_: "") -> Held:
    held = ports.hold([one for word in words for one in publish(word)], default, owner)
    undo.callback(held.close)
    return held


def busy(undo: ExitStack, address: str = "127.0.0.1") -> int:
    return int(undo.enter_context(socket.create_server((address, 0))).getsockname()[1])


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(("words", "found"), [
    (("80:80", "80:81"), "0.0.0.0:80"), (("80:80", "80:80/udp"), ""), (("80:80", "81:80"), ""),
    (("127.0.0.1:80:80", "127.0.0.2:80:80"), ""), (("80:80", "127.0.0.1:80:81"), "127.0.0.1:80"),
    (("[::1]:80:80", "127.0.0.1:80:80"), ""), (("[::]:80:80", "[::1]:80:80"), "[::1]:80"),
    (("80", "80", "0:80", "80-90:80", "80-90:80"), "")])
def test_what_is_asked_for_twice(words: tuple[str, ...], found: str) -> None:
    assert ports.twice([one for word in words for one in publish(word)]) == found


def test_every_address_of_either_kind(undo: ExitStack) -> None:
    port = free()
    assert hold(undo, f"{port}:80").published == (
        Published("tcp", "0.0.0.0", port, 80), Published("tcp", "::", port, 80))


def test_a_default_can_narrow_it(undo: ExitStack) -> None:
    port = free()
    assert hold(undo, f"{port}:80", default="127.0.0.1").published == (Published("tcp", "127.0.0.1", port, 80),)
    assert hold(undo, f"[::1]:{port}:80", default="127.0.0.1").published == (Published("tcp", "::1", port, 80),)


def test_a_port_that_nobody_chose_is_the_same_at_every_address(undo: ExitStack) -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    four, six = hold(undo, "53/udp").published
    assert four.host_port == six.host_port and first <= four.host_port <= last


def test_the_first_free_one_of_a_range(undo: ExitStack) -> None:
    port = busy(undo)
    assert hold(undo, f"127.0.0.1:{port}-{port + 9}:80").published[0].host_port in range(port + 1, port + 10)


def test_nobody_else_gets_it(undo: ExitStack) -> None:
    """Not even who says that addresses may be used again, as every server does."""
    port = hold(undo, "127.0.0.1::80").published[0].host_port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def test_connections_that_just_ended_are_no_hindrance(undo: ExitStack) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()  # who closes first waits in TIME_WAIT
    server.close()
    assert hold(undo, f"127.0.0.1:{port}:80").published


def test_a_process_that_has_the_port_is_named(undo: ExitStack) -> None:
    port = busy(undo)
    with open("/proc/self/comm", encoding="utf-8") as file:
        name = file.read().strip()
    with pytest.raises(PydockerError) as caught:
        hold(undo, f"{port}:80")
    assert str(caught.value) == (f"failed to bind host port 0.0.0.0:{port}/tcp: address already in use: "
                                 f"{name} (pid {os.getpid()}) has it")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::1", 0))
        with pytest.raises(PydockerError, match=rf"\[::1\]:\d+/udp: .*pid {os.getpid()}\)"):
            hold(undo, f"[::1]:{other.getsockname()[1]}:80/udp")


def test_a_container_that_has_the_port_is_named(undo: ExitStack) -> None:
    port = busy(undo)
    with pytest.raises(PydockerError) as caught:
        hold(undo, f"127.0.0.1:{port}:80", owner=lambda protocol, address, number: "web")
    assert str(caught.value) == f"Bind for 127.0.0.1:{port} failed: port is already allocated: container web has it"


def test_all_or_none(undo: ExitStack) -> None:
    port, wanted = busy(undo), free()
    with pytest.raises(PydockerError):
        hold(undo, f"127.0.0.1:{wanted}:80", f"127.0.0.1:{port}:81")
    socket.create_server(("127.0.0.1", wanted)).close()


def test_what_cannot_be(undo: ExitStack) -> None:
    port = free()
    with pytest.raises(PydockerError, match=rf"^Bind for 0.0.0.0:{port} failed: port is already .*: it is asked"):
        hold(undo, f"{port}:80", f"{port}:81")
    with pytest.raises(PydockerError, match=r"^failed to bind host port 192.0.2.1:[0-9]+/tcp: cannot assign requested"):
        hold(undo, "192.0.2.1::80")
    taken = busy(undo)
    with pytest.raises(PydockerError, match=rf"Bind for 127.0.0.1:{taken}-{taken + 1} failed: all ports are allocated"):
        undo.enter_context(socket.create_server(("127.0.0.1", taken + 1)))
        hold(undo, f"127.0.0.1:{taken}-{taken + 1}:80")


def test_sctp_is_the_kernels_to_have(undo: ExitStack) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        with pytest.raises(NotSupported, match=r"^publish a port of sctp: protocol not supported"):
            hold(undo, "9/sctp")
    else:
        assert {one.protocol for one in hold(undo, "9/sctp").published} == {"sctp"}


def test_what_is_asked() -> None:
    explicit = {"80/tcp": (PortBinding("", "8080"), PortBinding("::1", "8081")), "53/udp": None}
    assert ports.asked(["80/tcp", "443/tcp"], explicit, False) == [
        (Port(80), PortBinding("", "8080")), (Port(80), PortBinding("::1", "8081"))]
    assert [str(inside) for inside, _ in ports.asked(["80/tcp", "443/tcp", "53/udp"], explicit, True)] == [
        "53/udp", "80/tcp", "80/tcp", "443/tcp"]
    with pytest.raises(InvalidParameter):
        ports.asked(["x"], {}, True)
