"""The steps of a network and of a container's place in it, as data."""

from typing import Any

from pydocker.model.network import Endpoint, EndpointConfig, IPAMConfig, Network, NetworkId, Pool
from pydocker.network import naming, plan

POOL = Pool("10.1.0.0/24", "10.1.0.1")


def network(name: str = "net", **settings: Any) -> Network:
    return Network(**{"id": NetworkId("a" * 64), "name": name, "created": 0.0, "pools": (POOL,),
                      "interface": "br-a", **settings})


def place(it: Network, config: EndpointConfig | None = None, interface: str = "eth0") -> plan.Place:
    config = config or EndpointConfig()
    end = plan.endpoint(it, config, (), interface, id="e" * 64, container="c" * 64, name="web", names=())
    return it, end, config


def shells(steps: plan.Steps) -> list[str]:
    return [step.shell() for step in steps]


def test_a_bridge_in_the_words_of_ip() -> None:
    assert shells(plan.network(network(options={"com.docker.network.driver.mtu": "1400"}), "pydocker0")) == [
        "ip link add br-a address 02:42:0a:01:00:01 mtu 1400 type bridge",
        "sysctl -w net/ipv6/conf/br-a/disable_ipv6=1 -w net/ipv6/conf/br-a/accept_ra=0 "
        "-w net/ipv4/conf/br-a/route_localnet=1",
        "ip address add 10.1.0.1/24 dev br-a",
        "ip link set br-a up",
        "sysctl -w net.ipv4.ip_forward=1; "
        """nft 'add element inet pydocker0 bridges { "br-a" }'; """
        "nft 'add element inet pydocker0 masquerade4 { 10.1.0.0/24 }'; "
        "nft 'add element inet pydocker0 subnets4 { 10.1.0.0/24 }'; "
        """nft 'add element inet pydocker0 within { "br-a" . "br-a" }'""",
    ]


def test_a_bridge_without_an_address_of_the_hosts() -> None:
    steps = plan.network(network(options={"com.docker.network.bridge.inhibit_ipv4": "true"}), "pydocker0")
    assert not any("address add" in line for line in shells(steps))


def test_a_container_in_the_words_of_ip() -> None:
    assert shells(plan.sandbox("box", [place(network())])) == [
        "ip netns add box",
        "ip -n box link set lo up",
        f"ip netns exec box nft '{naming.rules('$udp', '$tcp')}'",
        "ip link add vethcc3c4fdceb4 type veth peer name eth0 address 02:42:0a:01:00:02 netns box; "
        "ip link set vethcc3c4fdceb4 master br-a addrgenmode none up",
        "ip netns exec box sysctl -w net/ipv6/conf/eth0/disable_ipv6=1 -w net/ipv6/conf/eth0/accept_ra=0",
        "ip -n box address add 10.1.0.2/24 dev eth0",
        "ip -n box link set eth0 up",
        "ip -n box -4 route replace default via 10.1.0.1 dev eth0",
    ]


def test_no_way_out_of_an_internal_network() -> None:
    assert not any("default" in line for line in shells(plan.sandbox("box", [place(network(internal=True))])))


def test_without_icc_the_port_is_isolated() -> None:
    it = network(options={"com.docker.network.bridge.enable_icc": "false"})
    assert any(line.endswith("type bridge_slave isolated on") for line in shells(plan.sandbox("box", [place(it)])))


def test_macvlan_and_ipvlan() -> None:
    macvlan = network(driver="macvlan", interface="eth7", options={"parent": "eth7", "macvlan_mode": "vepa"})
    assert ("ip link add link eth7 name eth0 address 02:42:0a:01:00:02 netns box type macvlan mode vepa"
            in shells(plan.sandbox("box", [place(macvlan)])))
    routed = network(driver="ipvlan", interface="eth7", options={"parent": "eth7", "ipvlan_mode": "l3"})
    lines = shells(plan.sandbox("box", [place(routed)]))
    assert "ip link add link eth7 name eth0 netns box type ipvlan mode l3" in lines
    assert lines[-1] == "ip -n box -4 route replace default dev eth0"
    assert plan.network(macvlan, "pydocker0") == ()
    tagged = network(driver="macvlan", interface="eth7.10", options={"parent": "eth7.10"}, vlan=10)
    assert shells(plan.network(tagged, "pydocker0")) == [
        "ip link add link eth7 name eth7.10 type vlan id 10", "ip link set eth7.10 up"]
    private = network(driver="ipvlan", interface="eth7", options={"parent": "eth7", "ipvlan_flag": "private"})
    assert "ip link add link eth7 name eth0 netns box type ipvlan mode l2 private" in shells(
        plan.sandbox("box", [place(private)]))
    assert shells(plan.network(network(driver="macvlan", interface="dm-a"), "pydocker0")) == [
        "ip link add dm-a type dummy", "ip link set dm-a up"]


def test_the_way_out_is_that_of_the_highest_priority_then_of_the_first_name() -> None:
    front = place(network("front", id=NetworkId("b" * 64)), interface="eth1")
    back = place(network("back"))
    assert plan.way_out([front, back], 4) == ("eth0", "10.1.0.1")
    preferred = place(network("front", id=NetworkId("b" * 64)), EndpointConfig(gw_priority=1), "eth1")
    assert plan.way_out([preferred, back], 4) == ("eth1", "10.1.0.1")
    assert shells(plan.ways_out("box", [back], [back, preferred])) == [
        "ip -n box -4 route replace default via 10.1.0.1 dev eth1"]
    assert shells(plan.ways_out("box", [back], [])) == ["ip -n box -4 route del default"]
    assert plan.ways_out("box", [back], [back]) == ()


def test_what_an_endpoint_asks_for() -> None:
    config = EndpointConfig(
        ipam_config=IPAMConfig("10.1.0.9", "", ("169.254.3.4",)), mac_address="02:00:00:00:00:09",
        driver_opts={"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1"})
    it, end, _ = place(network(), config)
    assert (end.ipv4, end.mac, end.gateway) == ("10.1.0.9/24", "02:00:00:00:00:09", "10.1.0.1")
    lines = shells(plan.connected("box", it, end, config))
    assert "ip -n box address add 169.254.3.4/16 dev eth0" in lines
    assert any("-w net/ipv4/conf/eth0/log_martians=1" in line for line in lines)


def test_interfaces_get_the_next_free_name() -> None:
    it = network()
    assert plan.interface(it, EndpointConfig(), ["eth0", "eth2"]) == "eth1"
    named = EndpointConfig(driver_opts={"com.docker.network.endpoint.ifname": "wan"})
    assert plan.interface(it, named, []) == "wan"
    assert plan.interface(network(options={"com.docker.network.container_iface_prefix": "net"}), EndpointConfig(),
                          ["eth0"]) == "net0"


def test_an_ipv6_network_has_both_addresses() -> None:
    it = network(ipv6=True, pools=(POOL, Pool("fd01::/64", "fd01::1")))
    _, end, _ = place(it)
    assert isinstance(end, Endpoint) and (end.ipv6, end.gateway6) == ("fd01::2/64", "fd01::1")
    assert "ip -n box -6 route replace default via fd01::1 dev eth0" in shells(plan.sandbox("box", [place(it)]))


def test_every_step_has_its_reason_and_its_manual() -> None:
    macvlan = network(driver="macvlan", interface="dm-a")
    for step in (*plan.network(network(), "pydocker0"), *plan.network(macvlan, "pydocker0"),
                 *plan.sandbox("box", [place(network())]), *plan.sandbox("box", [place(macvlan)]),
                 *plan.ways_out("box", [place(network())], [])):
        assert step.why and step.manual and step.describe() and step.shell()


def test_dns_names_are_for_networks_of_ones_own() -> None:
    assert plan.names(network(), "web", "c" * 64, "host", ("www", "web")) == ("web", "www", "c" * 12, "host")
    assert plan.names(network("bridge"), "web", "c" * 64, "host", ()) == ()
