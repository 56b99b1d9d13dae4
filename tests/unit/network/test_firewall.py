"""The firewall as data: what networks and endpoints become, and what other people's chains need."""

import msgspec
import pytest

from pydocker.model.network import Endpoint, Network, NetworkId, Pool, Published
from pydocker.network import firewall, foreign, legacy, ruleset
from pydocker.network.firewall import Element
from pydocker.network.nft import Chain, Rule
from pydocker.network.ruleset import Closed

ID = NetworkId("a" * 64)
BRIDGE = "com.docker.network.bridge."
TCP = (Published("tcp", "0.0.0.0", 8080, 80), Published("tcp", "::", 8080, 80))


def network(driver: str = "bridge", *, internal: bool = False, **options: str) -> Network:
    return Network(id=ID, name="n", created=0.0, driver=driver, interface="br-a", internal=internal,
                   pools=(Pool("172.18.0.0/16"), Pool("fd00::/64")), options={
                       (BRIDGE if not name.startswith("host_ip") else "com.docker.network.") + name: value
                       for name, value in options.items()})


def endpoint(*published: Published, ipv6: str = "fd00::2/64") -> Endpoint:
    return Endpoint(id="e", network=ID, container="c", ipv4="172.18.0.2/16", ipv6=ipv6, published=published)


def told(elements: object) -> set[str]:
    return {f"{one.where} {one}" for one in elements}  # type: ignore[attr-defined]


def test_a_network() -> None:
    assert told(firewall.of_network(network())) == {
        'bridges "br-a"', 'within "br-a" . "br-a"', "masquerade4 172.18.0.0/16", "masquerade6 fd00::/64",
        "subnets4 172.18.0.0/16", "subnets6 fd00::/64"}


@pytest.mark.parametrize(("options", "without", "more"), [
    ({"enable_icc": "false"}, {'within "br-a" . "br-a"'}, set()),
    ({"enable_ip_masquerade": "false"}, {"masquerade4 172.18.0.0/16", "masquerade6 fd00::/64"}, set()),
    ({"host_ipv4": "10.0.0.9"}, {"masquerade4 172.18.0.0/16"}, {"source4 172.18.0.0/16 : 10.0.0.9"}),
    ({"gateway_mode_ipv6": "routed"}, {"masquerade6 fd00::/64"}, {'routed ipv6 . "br-a"'}),
    ({"gateway_mode_ipv4": "nat-unprotected"}, set(), {'unprotected ipv4 . "br-a"'}),
    ({"trusted_host_interfaces": "eth1:eth2"}, set(), {'trusted "eth1" . "br-a"', 'trusted "eth2" . "br-a"'}),
])
def test_options_of_a_network(options: dict[str, str], without: set[str], more: set[str]) -> None:
    assert told(firewall.of_network(network(**options))) == told(firewall.of_network(network())) - without | more


def test_an_internal_network_leads_nowhere() -> None:
    it = network(internal=True)
    assert told(firewall.of_network(it)) == {'bridges "br-a"', 'within "br-a" . "br-a"', 'internal "br-a"'}
    assert not told(firewall.of_endpoint(it, endpoint(*TCP)))


def test_networks_without_a_bridge_are_not_ours() -> None:
    assert not told(firewall.of_network(network("macvlan")))
    assert not told(firewall.of_endpoint(network("macvlan"), endpoint(*TCP)))


def test_published_ports() -> None:
    assert told(firewall.of_endpoint(network(), endpoint(*TCP, Published("udp", "10.0.0.1", 53, 5353)))) == {
        "ports4 tcp . 8080 : 172.18.0.2 . 80", "ports6 tcp . 8080 : fd00::2 . 80",
        "ports4_at 10.0.0.1 . udp . 53 : 172.18.0.2 . 5353", "carried ipv6 . tcp . 8080"}


def test_what_the_monitor_carries_is_not_led() -> None:
    assert told(firewall.of_endpoint(network(), endpoint(*TCP, ipv6=""))) == {
        "ports4 tcp . 8080 : 172.18.0.2 . 80", "carried ipv6 . tcp . 8080"}
    assert told(firewall.of_endpoint(network(), endpoint(Published("tcp", "::1", 8080, 80)))) == {
        "carried6 ::1 . tcp . 8080"}


def test_a_routed_network_opens_the_containers_own_port() -> None:
    it = network(gateway_mode_ipv4="routed")
    assert told(firewall.of_endpoint(it, endpoint(*TCP))) == {
        "open4 172.18.0.2 . tcp . 80", "ports6 tcp . 8080 : fd00::2 . 80", "carried ipv6 . tcp . 8080"}


def test_endpoints_of_unknown_networks_are_passed_over() -> None:
    stray = msgspec.structs.replace(endpoint(*TCP), network=NetworkId("b" * 64))
    assert told(firewall.everything([network()], [stray])) == told(firewall.of_network(network()))


def test_a_change_is_one_line_for_each_set() -> None:
    elements = [Element("ports4", "tcp . 2", "1.2.3.4 . 2"), Element("ports4", "tcp . 1", "1.2.3.4 . 1"),
                Element("bridges", '"b"')]
    assert firewall.add("t", elements) == (
        'add element inet t bridges { "b" }\n'
        "add element inet t ports4 { tcp . 1 : 1.2.3.4 . 1, tcp . 2 : 1.2.3.4 . 2 }\n")
    assert firewall.delete("t", elements) == (
        'delete element inet t bridges { "b" }\ndelete element inet t ports4 { tcp . 1, tcp . 2 }\n')


def test_the_chains_are_constant() -> None:
    """Whatever networks there are, the rules are the same: only elements come after them."""
    empty = ruleset.ruleset("t", ())
    full = ruleset.ruleset("t", [*firewall.of_network(network()), *firewall.of_endpoint(network(), endpoint(*TCP))])
    assert full.startswith(empty) and "add element" not in empty
    assert "became a router" not in empty


def test_what_is_not_forwarded_for_others() -> None:
    """What concerns neither a bridge that came later nor an interface that forwarded before."""
    closed = ruleset.ruleset("t", (), [Closed(4, ("lo", "eth0", 'e"'), ()), Closed(6, ("lo",), ("eth1",))])
    assert 'nfproto ipv4 meta iifkind "bridge" iifname != { "lo", "eth0" } return' in closed
    assert "nfproto ipv4 counter drop" in closed and 'nfproto ipv6 iifname != { "eth1" } counter drop' in closed


def test_neighbours_that_may_not_speak_with_each_other() -> None:
    """Their monitors carry what they publish."""
    published = endpoint(*TCP, Published("udp", "10.0.0.1", 53, 53))
    extra = told(firewall.of_endpoint(network(enable_icc="false"), published)) - told(
        firewall.of_endpoint(network(), published))
    assert extra == {'beside "br-a" . ipv4 . tcp . 8080', 'beside "br-a" . ipv6 . tcp . 8080',
                     'beside4 "br-a" . 10.0.0.1 . udp . 53'}


# Other people's chains

FORWARD = Chain("ip", "filter", "FORWARD", "filter", "forward", 0, "drop")


def rule(handle: int, *words: str, comment: str = "", chain: Chain = FORWARD) -> Rule:
    return Rule(chain.family, chain.table, chain.name, handle, comment,
                tuple({word.partition("=")[0]: msgspec.Raw((word.partition("=")[2] or "null").encode())}
                      for word in words))


def test_which_chains_matter() -> None:
    ours = Chain("inet", "pydocker0", "forward", "filter", "forward", 0, "accept")
    nat = Chain("ip", "nat", "PREROUTING", "nat", "prerouting", -100, "accept")
    assert foreign.forwarding([ours, nat, Chain("ip", "filter", "DOCKER"), FORWARD], "pydocker0") == (FORWARD,)


@pytest.mark.parametrize(("policy", "rules", "drops"), [
    ("drop", [], True),
    ("accept", [], False),
    ("accept", [rule(1, "counter", "reject")], True),
    ("accept", [rule(1, "counter", "drop"), rule(2, "counter", "accept")], False),
    ("accept", [rule(1, "match", "counter", "drop")], False),
    ("accept", [rule(1, "counter", 'xt={"type": "target", "name": "REJECT"}')], True),
    ("accept", [rule(1, "counter", 'xt={"type": "target", "name": "LOG"}')], False),
])
def test_which_chains_drop(policy: str, rules: list[Rule], drops: bool) -> None:
    assert foreign.drops(msgspec.structs.replace(FORWARD, policy=policy), rules) is drops


def test_exceptions_come_and_go_with_the_bridges() -> None:
    assert foreign.exceptions("t", FORWARD, [], ["br-a"]) == (
        'insert rule ip filter FORWARD iifname "br-a" counter accept comment "t: from br-a"\n'
        'insert rule ip filter FORWARD oifname "br-a" counter accept comment "t: to br-a"\n')
    there = [rule(5, "accept", comment="t: from br-a"), rule(6, "accept", comment="t: to br-a"),
             rule(7, "accept", comment="somebody's")]
    assert foreign.exceptions("t", FORWARD, there, ["br-a"]) == ""
    assert not foreign.drops_through("t", FORWARD, there, "br-a")  # whatever exceptions others have
    assert foreign.drops_through("t", FORWARD, there, "br-b")
    gone = "delete rule ip filter FORWARD handle 5\ndelete rule ip filter FORWARD handle 6\n"
    assert foreign.exceptions("t", FORWARD, there, []) == gone
    open_again = msgspec.structs.replace(FORWARD, policy="accept")
    assert foreign.exceptions("t", open_again, there, ["br-a"]) == gone


FROM, TO = (f'FORWARD {flag} br-a -m comment --comment "t: {side} br-a" -j ACCEPT'
            for side, flag in (("from", "-i"), ("to", "-o")))


def test_exceptions_in_iptables_legacy() -> None:
    dropping = ["-P FORWARD DROP", "-A FORWARD -i eth0 -j DROP"]
    assert legacy.exceptions("t", dropping, ["br-a"]) == f"-I {FROM}\n-I {TO}\n"
    there = [*dropping, f"-A {FROM}", f"-A {TO}"]
    assert legacy.exceptions("t", there, ["br-a"]) == ""
    for rules, bridges in ((there, []), (["-P FORWARD ACCEPT", *there[1:]], ["br-a"])):
        assert legacy.exceptions("t", rules, bridges) == f"-D {FROM}\n-D {TO}\n"


@pytest.mark.parametrize(("last", "drops"), [
    ("-A FORWARD -j REJECT --reject-with icmp-host-prohibited", True), ("-A FORWARD -j DROP", True),
    ("-A FORWARD -i eth0 -j DROP", False), ("-A FORWARD -j LOG", False), ("-P FORWARD ACCEPT", False)])
def test_what_drops_in_iptables_legacy(last: str, drops: bool) -> None:
    assert bool(legacy.exceptions("t", ["-P FORWARD ACCEPT", last], ["br-a"])) is drops
