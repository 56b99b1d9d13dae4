"""What a request for a network becomes, and what it is refused for."""

from typing import Any

import pytest

from pydocker.errors import Conflict, Forbidden, InvalidParameter, NotFound, PydockerError
from pydocker.model.network import Asked, Network, NetworkId, Pool
from pydocker.network import asked as requests
from pydocker.network import ipam

ID = NetworkId("0123456789abcdef" * 4)


def decide(*others: Network, **request: Any) -> Network:
    asked = requests.completed(Asked(**{"name": "net", **request}), others)
    requests.check(asked)
    return requests.decide(asked, ID, 1.0, others, (), ipam.Sources(seed="s"), ("eth0", "eth1"))


def test_what_was_left_open_is_chosen() -> None:
    made = decide()
    assert (made.driver, made.interface, made.pools) == ("bridge", "br-0123456789ab",
                                                         (Pool("172.17.0.0/16", "172.17.0.1"),))


def test_a_subnet_of_ones_own_keeps_its_gateway_and_gets_the_first_address_otherwise() -> None:
    pools = (Pool("10.1.0.0/24"), Pool("fd01::/64", "fd01::9"))
    assert [pool.gateway for pool in decide(ipv6=True, pools=pools).pools] == ["10.1.0.1", "fd01::9"]
    assert decide(pools=(Pool("10.1.0.0/24", "", "10.1.0.128/25"),)).pools[0].gateway == "10.1.0.128"


def test_ipv6_alone() -> None:
    assert [pool.subnet for pool in decide(ipv6=True, pools=(Pool("fd01::/64"),)).pools] == [
        "172.17.0.0/16", "fd01::/64"]  # in Docker's order
    made = decide(ipv4=False, ipv6=True)
    assert [pool.subnet.count(":") > 1 for pool in made.pools] == [True]


def test_what_was_configured_for_others_is_taken_over() -> None:
    pools = (Pool("10.1.0.0/24", "10.1.0.254"), Pool("fd01::/64"))
    config = decide(name="config", config_only=True, ipv6=True, pools=pools, options={"parent": "eth0.10"},
                    labels={"tier": "1"})
    assert (config.driver, config.interface, config.pools) == ("null", "", pools)
    made = decide(config, driver="macvlan", config_from="config", attachable=True)
    assert (made.interface, made.vlan, made.ipv6, made.labels, made.attachable) == (
        "eth0.10", 10, True, {"tier": "1"}, True)
    assert made.pools == pools and made.config_from == "config" and not made.config_only
    with pytest.raises(InvalidParameter, match='unknown option "parent"'):
        decide(config, config_from="config")  # the driver is known now


def test_who_may_share_a_parent() -> None:
    first = decide(driver="macvlan", options={"parent": "eth0.10"}, pools=(Pool("10.1.0.0/24"),))
    second = {"name": "two", "options": {"parent": "eth0.10"}, "pools": (Pool("10.2.0.0/24"),)}
    assert decide(first, driver="macvlan", **second).vlan == 10
    with pytest.raises(Conflict, match=r"is already using parent interface eth0\.10"):
        decide(first, driver="ipvlan", **second)
    alone = {**second, "options": {"parent": "eth0.10", "macvlan_mode": "passthru"}}
    with pytest.raises(Conflict, match="cannot use mode passthru"):
        decide(first, driver="macvlan", **alone)
    with pytest.raises(Conflict, match="in mode passthru"):
        decide(decide(driver="macvlan", **alone), driver="macvlan", **{**second, "name": "three"})


def test_addresses_are_in_their_usual_form() -> None:
    pool = Pool("FD00:0::/64", "FD00::0001", "fd00:0:0::/80", {"a": "FD00::00Ab"})
    made = decide(ipv6=True, pools=(pool,))
    assert made.pools[-1] == Pool("fd00::/64", "fd00::1", "fd00::/80", {"a": "fd00::ab"})


def test_on_another_ones_wire_no_gateway_is_made_up() -> None:
    pools = (Pool("10.1.0.0/24"),)
    routed = {"ipvlan_mode": "l3"}
    for driver, given, gateway in (("macvlan", {}, ""), ("ipvlan", {}, "10.1.0.1"), ("ipvlan", routed, "")):
        made = decide(driver=driver, options={"parent": "eth0", **given}, pools=pools)
        assert made.pools[0].gateway == gateway


def test_macvlan_without_a_parent_leads_nowhere() -> None:
    assert decide(driver="macvlan").internal and not decide(driver="macvlan", options={"parent": "eth0"}).internal


@pytest.mark.parametrize(("request_", "kind", "words"), [
    ({"name": "bridge"}, Forbidden, "operation is not permitted on predefined bridge network"),
    ({"name": "default"}, Forbidden, "operation is not permitted on predefined default network"),
    ({"name": " "}, InvalidParameter, "invalid name: name is empty"),
    ({"name": "a/b"}, InvalidParameter, "invalid network name 'a/b'"),
    ({"name": "container"}, InvalidParameter, "'container': it stands for another container's network"),
    ({"driver": "nix"}, NotFound, 'plugin "nix" not found'),
    ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
    ({"driver": "overlay"}, NotFound, "overlay"),
    ({"options": {"com.docker.network.bridge.nix": "1"}}, InvalidParameter, 'unknown option "com.docker.network.br'),
    ({"options": {"com.docker.network.bridge.name": "a b"}}, InvalidParameter, 'invalid value "a b"'),
    ({"options": {"com.docker.network.driver.mtu": "big"}}, InvalidParameter, "driver.mtu"),
    ({"options": {"com.docker.network.driver.mtu": "67"}}, InvalidParameter, "driver.mtu"),
    ({"options": {"com.docker.network.driver.mtu": "65536"}}, InvalidParameter, "driver.mtu"),
    ({"options": {"com.docker.network.driver.mtu": "1279"}, "ipv6": True}, InvalidParameter, "at least 1280"),
    ({"ipam_driver": "dhcp"}, InvalidParameter, "'dhcp'"),
    ({"ipv4": False}, InvalidParameter, "IPv4 or IPv6 must be enabled"),
    ({"pools": (Pool("10.0.0.0/33"),)}, InvalidParameter, r"invalid subnet 10\.0\.0\.0/33: invalid CIDR block"),
    ({"pools": (Pool("10.0.0.0"),)}, InvalidParameter, "invalid CIDR block"),
    ({"pools": (Pool("10.0.0.0/255.255.255.0"),)}, InvalidParameter, "invalid CIDR block notation"),
    ({"pools": (Pool("10.0.0.0/024"),)}, InvalidParameter, "invalid CIDR block notation"),
    ({"pools": (Pool("10.0.0.0/24", "", "10.0.0.0/255.255.255.128"),)}, InvalidParameter,
     "invalid CIDR block notation"),
    ({"pools": (Pool("10.0.0.0/24", "", "10.0.0.9"),)}, InvalidParameter, "invalid CIDR block notation"),
    ({"pools": (Pool("10.0.0.0/24", "", "", {"a": ""}),)}, InvalidParameter, "invalid auxiliary address a: invalid"),
    ({"options": {"com.docker.network.container_iface_prefix": "abcdefghijklmn"}}, InvalidParameter, "iface_prefix"),
    ({"pools": (Pool("10.0.0.7/24"),)}, InvalidParameter, r"10\.0\.0\.7/24: it should be 10\.0\.0\.0/24"),
    ({"pools": (Pool("10.0.0.0/24", "10.0.1.1"),)}, InvalidParameter,
     r"invalid gateway 10\.0\.1\.1: parent subnet 10\.0\.0\.0/24 doesn't contain this address"),
    ({"pools": (Pool("10.0.0.0/24", "x"),)}, InvalidParameter, "invalid gateway x: invalid address"),
    ({"pools": (Pool("10.0.0.0/24", "fd00::1"),)}, InvalidParameter, "parent subnet is an IPv4 block"),
    ({"pools": (Pool("10.0.0.0/24", "", "10.0.0.0/16"),)}, InvalidParameter, "bigger than its parent subnet"),
    ({"pools": (Pool("10.0.0.0/24", "", "10.0.1.0/25"),)}, InvalidParameter, "doesn't contain ip-range"),
    ({"pools": (Pool("10.0.0.0/24", "", "", {"a": "10.0.1.1"}),)}, InvalidParameter, "invalid auxiliary address a"),
    ({"pools": (Pool("10.0.0.0/24"), Pool("10.0.0.0/25"))}, InvalidParameter, "multiple overlapping subnet"),
    ({"pools": (Pool("fd00::/64"),)}, InvalidParameter, "IPv6 is not enabled"),
    ({"pools": (Pool("fd00::%x/64"),), "ipv6": True}, InvalidParameter, "invalid CIDR block notation"),
    ({"pools": (Pool("fd00::/64", "fd00::1%x"),), "ipv6": True}, InvalidParameter, "invalid gateway fd00::1%x"),
    ({"pools": (Pool("fd00::/64", "", "fd00::%x/80"),), "ipv6": True}, InvalidParameter, "invalid CIDR block notation"),
    ({"pools": (Pool("fd00::/64", "", "", {"a": "fd00::7%x"}),), "ipv6": True}, InvalidParameter, "invalid address"),
    ({"pools": (Pool("10.0.0.0/24", "", "10.0.0.0/32"),)}, InvalidParameter, "no address is left for a gateway"),
    ({"pools": (Pool("10.0.0.0/24", "10.0.0.0"),)}, PydockerError,
     r"failed to allocate gateway \(10\.0\.0\.0\): Address already in use"),
    ({"pools": (Pool("10.0.0.0/24", "10.0.0.9", "", {"x": "10.0.0.9"}),)}, PydockerError,
     r"failed to allocate secondary ip address \(x:10\.0\.0\.9\): Address already in use"),
    ({"pools": (Pool("10.0.0.0/24", "", "", {"x": "10.0.0.9", "y": "10.0.0.9"}),)}, PydockerError, r"\(y:10\.0\.0"),
    ({"driver": "macvlan", "options": {"macvlan_mode": "passthru"}}, InvalidParameter, "needs a parent"),
    ({"driver": "ipvlan", "options": {"ipvlan_mode": "l9"}}, InvalidParameter, 'invalid value "l9"'),
    ({"driver": "macvlan", "options": {"parent": "lo"}}, InvalidParameter, "loopback interface is not a valid macvlan"),
    ({"driver": "macvlan", "options": {"parent": "nix"}}, InvalidParameter, "example formatting is eth0.10"),
    ({"driver": "macvlan", "options": {"parent": "eth0.x"}}, InvalidParameter, "parse a valid vlan id from: eth0.x"),
    ({"driver": "ipvlan", "options": {"parent": "eth0.4095"}}, InvalidParameter, "between 1-4094, received: 4095"),
    ({"driver": "ipvlan", "options": {"parent": "eth9.10"}}, InvalidParameter, "was not found on the host: eth9"),
    ({"ingress": True}, Forbidden, "Ingress network can only be global scope network"),
    ({"scope": "swarm"}, Forbidden, "cannot create a swarm scoped network when swarm is not active"),
    ({"scope": "nix"}, InvalidParameter, "invalid scope 'nix'"),
    ({"config_only": True, "internal": True}, Forbidden, "configuration network can only contain network specific"),
    ({"config_only": True, "config_from": "a"}, Forbidden, "cannot depend on another configuration network"),
    ({"config_only": True, "pools": (Pool("10.0.0.7/24"),)}, InvalidParameter, "it should be"),
    ({"config_from": "a", "labels": {"a": "b"}}, Forbidden, "user specified configurations are not supported"),
    ({"config_from": "a", "options": {"parent": "b"}}, Forbidden, "network driver options are not supported if"),
    ({"config_from": "a"}, NotFound, 'configuration network "a" does not exist'),
])
def test_what_cannot_be(request_: dict[str, Any], kind: type[PydockerError], words: str) -> None:
    with pytest.raises(kind, match=words):
        decide(**request_)


def test_names_and_bridges_are_unique() -> None:
    there = decide(options={"com.docker.network.bridge.name": "br0"})
    with pytest.raises(Conflict, match="network with name net already exists"):
        decide(there)
    with pytest.raises(Conflict, match="networks have same bridge name"):
        decide(there, name="other", options={"com.docker.network.bridge.name": "br0"})
    with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
        decide(there, name="other", pools=(Pool("172.17.9.0/24"),))
