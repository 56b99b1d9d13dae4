"""Subnets and addresses: what is chosen, what is refused, and that nothing is given twice."""

import ipaddress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import Forbidden, PydockerError
from pydocker.model.network import Network, NetworkId, Pool
from pydocker.network import ipam
from pydocker.network.ipam import Route, Sources

SOURCES = Sources(seed="mine")
subnet = ipaddress.ip_network


def network(*pools: Pool, name: str = "net") -> Network:
    return Network(id=NetworkId("a" * 64), name=name, created=0.0, pools=pools)


def test_dockers_pools_come_first_then_smaller_ones() -> None:
    chosen: list[ipam.Subnet] = []
    for _ in range(40):
        chosen.append(ipam.choose(4, chosen, (), SOURCES))
    assert [str(one) for one in chosen[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert [str(one) for one in chosen[14:17]] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert [str(one) for one in chosen[30:33]] == ["192.168.240.0/20", "10.192.0.0/24", "10.192.1.0/24"]
    assert not any(one.overlaps(other) for number, one in enumerate(chosen) for other in chosen[:number])


def test_a_route_of_the_host_is_passed_over_and_the_default_one_is_none() -> None:
    routes = [Route(subnet("0.0.0.0/0"), "eth0", "192.168.0.1"), Route(subnet("172.16.0.0/13"), "vpn", "10.8.0.1")]
    assert str(ipam.choose(4, (), routes, SOURCES)) == "172.24.0.0/16"


def test_a_prefix_of_our_own_for_ipv6() -> None:
    first = ipam.choose(6, (), (), SOURCES)
    second = ipam.choose(6, [first], (), SOURCES)
    assert first.prefixlen == 64 and first.is_private and str(first).startswith("fd")
    assert int(second.network_address) - int(first.network_address) == 1 << 64
    assert ipam.choose(6, (), (), Sources(seed="another")) != first


def test_nothing_free_is_said() -> None:
    sources = Sources((("10.9.0.0/24", 24),))
    with pytest.raises(PydockerError, match="non-overlapping IPv4 address pool among the defaults"):
        ipam.choose(4, [subnet("10.9.0.0/16")], (), sources)


@pytest.mark.parametrize(("asked", "routes", "words"), [
    ("10.1.0.0/16", [Route(subnet("10.1.2.0/24"), "eth1")], "overlaps with the host's route 10.1.2.0/24 dev eth1"),
    ("10.1.2.0/24", [Route(subnet("10.1.0.0/16"), "eth1")], "overlaps with the host's route 10.1.0.0/16 dev eth1"),
    ("10.1.0.0/16", [Route(subnet("10.1.0.0/16"), "vpn", "10.8.0.1")], "10.1.0.0/16 via 10.8.0.1 dev vpn"),
    ("172.18.3.0/24", [], "172.18.3.0/24 and 172.18.0.0/16 of network there"),
])
def test_a_subnet_that_is_taken(asked: str, routes: list[Route], words: str) -> None:
    there = network(Pool("172.18.0.0/16"), name="there")
    with pytest.raises(Forbidden, match=words):
        ipam.check_free(subnet(asked), [there], routes)


def test_a_wider_route_over_a_gateway_is_no_clash() -> None:
    ipam.check_free(subnet("10.1.2.0/24"), (), [Route(subnet("10.0.0.0/8"), "vpn", "10.8.0.1")])
    ipam.check_free(subnet("10.1.2.0/24"), (), [Route(subnet("0.0.0.0/0"), "eth0", "1.2.3.4"),
                                                Route(subnet("fd00::/8"), "eth0")])


def test_addresses_are_given_in_order_without_those_that_are_kept() -> None:
    pool = Pool("10.9.0.0/29", "10.9.0.1", "", {"router": "10.9.0.3"})
    it, taken = network(pool), []
    while len(taken) < 4:
        found = ipam.address(it, 4, taken)
        assert found is not None and found[0].endswith("/29")
        taken.append(found[0].partition("/")[0])
    assert taken == ["10.9.0.2", "10.9.0.4", "10.9.0.5", "10.9.0.6"]
    with pytest.raises(PydockerError, match=r"no available IPv4 addresses .*: net \(aaaa"):
        ipam.address(it, 4, taken)


def test_a_range_bounds_what_is_chosen_and_not_what_is_asked_for() -> None:
    it = network(Pool("10.9.0.0/24", "10.9.0.1", "10.9.0.128/30"))
    assert [str(one) for one in ipam.usable(it.pools[0])] == [f"10.9.0.{last}" for last in (128, 129, 130, 131)]
    assert ipam.address(it, 4, (), "10.9.0.77") == ("10.9.0.77/24", it.pools[0])


@pytest.mark.parametrize("wanted", ["10.9.0.1", "10.9.0.9", "10.9.0.0", "10.9.0.255", "10.9.0.50"])
def test_an_address_that_is_another_ones(wanted: str) -> None:
    it = network(Pool("10.9.0.0/24", "10.9.0.1", "", {"printer": "10.9.0.9"}))
    with pytest.raises(Forbidden, match=f"Address already in use: {wanted}"):
        ipam.address(it, 4, ["10.9.0.50"], wanted)
    with pytest.raises(PydockerError, match=r"no configured subnet contains IP address 10\.8\.0\.1"):
        ipam.address(it, 4, (), "10.8.0.1")


def test_a_network_without_ipv6_gives_none() -> None:
    assert ipam.address(network(Pool("10.9.0.0/24")), 6, ()) is None


def test_tiny_and_huge_subnets() -> None:
    assert [str(one) for one in ipam.usable(Pool("10.9.0.0/31"))] == ["10.9.0.0", "10.9.0.1"]
    assert [str(one) for one in islice(ipam.usable(Pool("fd00::/64", "fd00::1")), 2)] == ["fd00::2", "fd00::3"]


def test_a_hardware_address_follows_the_address() -> None:
    assert ipam.mac("172.17.0.2/16", "", "f" * 64) == "02:42:ac:11:00:02"
    assert ipam.mac("", "fd00::2/64", "f" * 64) == ipam.mac("", "fd00::2/64", "0" * 64)
    assert ipam.mac("", "", "01020304ff") == "02:42:01:02:03:04"


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_is_ever_two_containers(arrivals: list[bool]) -> None:
    """Containers come (True) and go, in whatever order."""
    it, held = network(Pool("10.9.0.0/27", "10.9.0.1")), []
    for comes in arrivals:
        if not comes:
            held[:1] = []
            continue
        try:
            found = ipam.address(it, 4, held)
        except PydockerError:
            assert len(held) == 29
            continue
        assert found is not None
        address = found[0].partition("/")[0]
        assert address not in held and address != "10.9.0.1" and ipaddress.ip_address(address) in subnet("10.9.0.0/27")
        held.append(address)
