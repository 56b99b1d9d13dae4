"""What does not pass: between networks, into internal ones and out of them, between containers where that is off, and
from neighbours straight to a container's address."""

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.ports.conftest import Boxes, nft
from tests.root.ports.hosts import CLIENT, CLIENT6, ENGINE, ENGINE6, Host, Server, Surroundings, ask
from tests.waiting import wait_until

REFUSED = 0.5  # seconds in which an answer would have come


def unreachable(host: Host, address: str, port: int) -> bool:
    """Nothing comes back, or the host says that there is no way."""
    try:
        host.connect(address, port, REFUSED).close()
    except OSError as error:
        return isinstance(error, TimeoutError) or "unreachable" in str(error) or "No route" in str(error)
    return False


def test_the_way_out(engine: Engine, around: Surroundings, box: Boxes, server: int) -> None:
    """Behind the host's address; the container itself is not to be reached from outside."""
    inside = box().serve(80)
    assert inside.host.ask(CLIENT, server).strip() == ENGINE
    around.router.run("ip", "route", "replace", "172.17.0.0/16", "via", ENGINE)
    assert unreachable(around.router, inside.address, 80)
    assert ask(inside.address, 80).strip() == "172.17.0.1"  # the host itself may
    around.router.run("ip", "route", "delete", "172.17.0.0/16")


def test_networks_do_not_see_each_other(engine: Engine, box: Boxes, networks: None) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "fd71::/64", "--subnet", "172.28.1.0/24", "one")
    engine.ok("network", "create", "--ipv6", "--subnet", "fd72::/64", "--subnet", "172.28.2.0/24", "two")
    one, two = (box("--network", name, "-p", f"{port}:80").serve(80).serve(80, "::")
                for name, port in (("one", 8081), ("two", 8082)))
    beside = box("--network", "one").serve(90)
    assert one.host.ask(beside.address, 90).strip() == one.address
    for here, there in ((one, two), (two, one)):
        place = next(iter(there.settings["Networks"].values()))
        assert unreachable(here.host, place["IPAddress"], 80)
        assert unreachable(here.host, place["GlobalIPv6Address"], 80)
    # But by what is published for everybody, and by both networks where a container is in both.
    assert one.host.ask(ENGINE, 8082).strip() == "172.28.2.1"
    assert one.host.ask(ENGINE6, 8082).strip() == "fd72::1"
    engine.ok("network", "connect", "two", beside.id)
    assert beside.host.ask(two.address, 80).strip().startswith("172.28.2.")


def test_an_internal_network(engine: Engine, around: Surroundings, box: Boxes, networks: None, server: int) -> None:
    engine.ok("network", "create", "--internal", "inner")
    one, two = (box("--network", "inner", "-p", f"{port}:80").serve(80) for port in (8081, 8082))
    outside = box("-p", "8083:80").serve(80)
    assert one.host.ask(two.address, 80).strip() == one.address
    gateway = ".".join((*one.address.split(".")[:3], "1"))
    one.host.run("ip", "route", "add", "default", "via", gateway)  # as somebody with NET_ADMIN could
    assert unreachable(one.host, CLIENT, server)
    assert unreachable(one.host, outside.address, 80)
    assert unreachable(one.host, ENGINE, 8083)
    assert unreachable(outside.host, one.address, 80)
    with pytest.raises(ConnectionRefusedError):
        around.client.connect(ENGINE, 8081)
    around.router.run("ip", "route", "add", f"{one.address}/32", "via", ENGINE)
    assert unreachable(around.router, one.address, 80)
    around.router.run("ip", "route", "delete", f"{one.address}/32")


def test_no_way_out_of_an_internal_network_by_a_monitor(engine: Engine, around: Surroundings, box: Boxes,
                                                        networks: None) -> None:
    """IPv6 for a container without it is carried by its monitor, who is a program of the host's; UDP, too."""
    engine.ok("network", "create", "--internal", "--ipv6", "--subnet", "fd83::/64", "inner")
    engine.ok("network", "create", "--ipv6", "--subnet", "fd84::/64", "outer")
    box("--name", "web", "-p", "8083:80", "-p", "8053:53/udp", "-p", f"[{ENGINE6}]:8085:80").serve(80).serve_udp(53)
    inner, outer = box("--network", "inner"), box("--network", "outer")
    assert outer.host.ask("fd84::1", 8083) and outer.host.ask_udp("fd84::1", 8053)
    assert unreachable(inner.host, "fd83::1", 8083)
    with pytest.raises(TimeoutError):
        inner.host.ask_udp("fd83::1", 8053, 1.0)
    inner.host.run("ip", "route", "add", f"{ENGINE6}/128", "via", "fd83::1")  # as somebody with NET_ADMIN could
    assert outer.host.ask(ENGINE6, 8085)
    assert unreachable(inner.host, ENGINE6, 8085)
    engine.ok("rm", "-f", "web")
    assert "ipv6" not in nft("list", "set", "inet", engine.bridge, "carried")


def test_no_way_out_by_a_link_local_address(engine: Engine, around: Surroundings, box: Boxes, networks: None) -> None:
    """What comes to one is the monitor's to carry, even where the kernel leads all the rest to the container."""
    engine.ok("network", "create", "--internal", "--ipv6", "--subnet", "fd83::/64", "inner")
    engine.ok("network", "create", "--ipv6", "--subnet", "fd84::/64", "outer")
    box("--network", "outer", "-p", "8084:80").serve(80, "::")
    inner, outer = box("--network", "inner"), box("--network", "outer")
    assert outer.host.ask(f"{_link_local(engine, 'outer')}%eth0", 8084)
    assert unreachable(inner.host, f"{_link_local(engine, 'inner')}%eth0", 8084)


def _link_local(engine: Engine, network: str) -> str:
    """The host's own address on its bridge."""
    bridge = f"br-{engine.ok('network', 'inspect', '-f', '{{.Id}}', network)[:12]}"

    def found() -> list[str]:
        shown = subprocess.run(("ip", "-6", "-br", "address", "show", "dev", bridge), check=True, capture_output=True,
                               text=True).stdout
        return [word.partition("/")[0] for word in shown.split() if word.startswith("fe80:")]

    wait_until(found)  # the kernel gives it one when the first container is at it, a little later
    return found()[0]


@pytest.mark.parametrize("bridged", ["0", "1"])
def test_containers_that_may_not_speak_with_each_other(engine: Engine, around: Surroundings, box: Boxes, networks: None,
                                                       server: int, bridged: str) -> None:
    """Neither over the wire nor by way of the gateway; out they may, and by what is published, whether br_netfilter is
    active or not: with it, what the kernel leads from one to the other would not leave the bridge."""
    engine.ok("network", "create", "--ipv6", "--subnet", "fd76::/64", "--subnet", "172.28.4.0/24",
              "-o", "com.docker.network.bridge.enable_icc=false", "alone")
    with bridged_nat(bridged):
        one = box("--network", "alone")
        two = box("--network", "alone", "-p", "8081:80", "-p", f"{ENGINE}:8082:80", "-p", "5353:53/udp",
                  "-p", f"[{ENGINE6}]:8083:80").serve(80).serve(80, "::").serve_udp(53)
        other = box("-p", "8084:80").serve(80)
        for address, length, gateway in ((two.address, 32, "172.28.4.1"), ("fd76::3", 128, "fd76::1")):
            assert unreachable(one.host, address, 80)
            one.host.run("ip", "route", "add", f"{address}/{length}", "via", gateway)
            assert unreachable(one.host, address, 80)
        local = two.host.run("ip", "-6", "-br", "address", "show", "dev", "eth0", "scope", "link").split()[2]
        assert unreachable(one.host, f"{local.partition('/')[0]}%eth0", 80)
        assert one.host.ask(CLIENT, server).strip() == ENGINE
        for inside in (one, two):
            for port in (8081, 8082):
                assert inside.host.ask(ENGINE, port).strip() == "172.28.4.1"
            for port in (8081, 8083):
                assert inside.host.ask(ENGINE6, port).strip() == "fd76::1"
            assert inside.host.ask_udp(ENGINE, 5353) == "172.28.4.1"
        assert other.host.ask(ENGINE, 8081) and one.host.ask(ENGINE, 8084)
        assert around.client.ask(ENGINE, 8081).strip() == CLIENT
        engine.ok("rm", "-f", two.id)
    assert "8081" not in nft("list", "table", "inet", engine.bridge)


@contextlib.contextmanager
def bridged_nat(value: str) -> Iterator[None]:
    """br_netfilter, which makes iptables and NAT of what is bridged, in this network; skips where it is not loaded."""
    paths = [Path(f"/proc/sys/net/bridge/bridge-nf-call-{tables}") for tables in ("iptables", "ip6tables")]
    if not paths[0].exists():
        if value == "1":
            pytest.skip("this kernel has no br_netfilter, or has not loaded it")
        yield
        return
    before = [path.read_text() for path in paths]
    for path in paths:
        path.write_text(value)
    yield
    for path, old in zip(paths, before, strict=True):
        path.write_text(old)


@pytest.mark.parametrize(("mode", "published", "other"), [("nat-unprotected", True, True), ("routed", True, False)])
def test_gateway_modes(engine: Engine, around: Surroundings, box: Boxes, networks: None, server: int, mode: str,
                       published: bool, other: bool) -> None:
    """Who routes to the network reaches its containers by their own addresses: all ports, or the published ones."""
    engine.ok("network", "create", "--subnet", "172.28.3.0/24",
              "-o", f"com.docker.network.bridge.gateway_mode_ipv4={mode}", "open")
    inside = box("--network", "open", "-p", "8081:80").serve(80).serve(90)
    around.router.run("ip", "route", "replace", "172.28.3.0/24", "via", ENGINE)
    for port, open in ((80, published), (90, other)):
        if open:
            assert around.client.ask(inside.address, port).strip() == CLIENT
        else:
            assert unreachable(around.client, inside.address, port)
    assert inside.host.ask(CLIENT, server).strip() == (inside.address if mode == "routed" else ENGINE)
    around.router.run("ip", "route", "delete", "172.28.3.0/24")


def test_an_address_of_its_own_to_go_out_by(engine: Engine, around: Surroundings, box: Boxes, networks: None,
                                            server: int) -> None:
    subprocess.run(("ip", "address", "add", "10.99.0.77/24", "dev", "wan0"), check=True)
    engine.ok("network", "create", "-o", "com.docker.network.host_ipv4=10.99.0.77", "behind")
    assert box("--network", "behind").host.ask(CLIENT, server).strip() == "10.99.0.77"
    engine.ok("network", "create", "-o", "com.docker.network.bridge.enable_ip_masquerade=false", "bare")
    bare = box("--network", "bare")
    around.router.run("ip", "route", "replace", f"{bare.address}/32", "via", ENGINE)
    assert bare.host.ask(CLIENT, server).strip() == bare.address
    around.router.run("ip", "route", "delete", f"{bare.address}/32")
    subprocess.run(("ip", "address", "delete", "10.99.0.77/24", "dev", "wan0"), check=True)


def test_ipv6_goes_out_too(engine: Engine, around: Surroundings, box: Boxes, networks: None) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "fd73::/64", "six")
    other = Server("::", 9006, around.client)
    assert box("--network", "six").host.ask(CLIENT6, 9006).strip() == ENGINE6
    other.close()


def test_router_advertisements_of_a_container(engine: Engine, around: Surroundings, box: Boxes, networks: None) -> None:
    """CVE-2020-13401: with NET_RAW, which Docker gives, it could become the host's IPv6 gateway."""
    engine.ok("network", "create", "--ipv6", "--subnet", "fd75::/64", "six")
    evil = box("--network", "six")
    before = subprocess.run(("ip", "-6", "route"), capture_output=True, text=True, check=True).stdout
    with evil.host.inside():
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, "fd66::"))
    with raw:
        index = _index(evil.host)
        raw.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0, 0, index))
        time.sleep(0.2)
    assert subprocess.run(("ip", "-6", "route"), capture_output=True, text=True, check=True).stdout == before


def _index(host: Host) -> int:
    with host.inside():
        return socket.if_nametoindex("eth0")
