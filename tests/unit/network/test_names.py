"""Which containers a name stands for, as one of them sees it."""

from pydocker.model.network import Endpoint, Network, NetworkId
from pydocker.network import names
from pydocker.network.names import Index, Place

BACK = Network(id=NetworkId("b" * 64), name="back", created=0.0)
FRONT = Network(id=NetworkId("f" * 64), name="front.lan", created=0.0, internal=True)


def end(container: str, address: str, *called: str, six: str = "", links: tuple[str, ...] = ()) -> Endpoint:
    return Endpoint(id=container * 2, network=BACK.id, container=container, name=called[0], ipv4=address, ipv6=six,
                    names=called, links=links)


ME = end("me", "172.18.0.2/16", "me", links=("web:db", "web:WWW"))
WEB = end("web", "172.18.0.3/16", "web", "Shared", "abcdef012345", six="2001:db8::3/64")
OTHER = end("other", "172.18.0.4/16", "other", "shared")
APART = end("apart", "172.19.0.2/16", "apart", "a.b", "web")
PLACES = [Place(BACK, Index([ME, WEB, OTHER])), Place(FRONT, Index([APART]))]


def find(name: str, container: str = "me", dead: str = "") -> list[str] | None:
    found = names.find(PLACES, container, name, lambda one: one.container != dead)
    return None if found is None else [one.container for one in found]


def test_names_aliases_and_ids_are_known_in_any_case() -> None:
    assert find("web") == find("abcdef012345") == ["web"]
    assert find("shared") == ["web", "other"]
    assert find("nobody") is None


def test_the_first_network_that_knows_a_name_answers_unless_one_is_named() -> None:
    assert find("web.back") == ["web"]
    assert find("web.front.lan") == ["apart"]
    assert find("a.b") == find("a.b.front.lan") == ["apart"]
    assert find("web.nowhere") is None and find("other.front.lan") is None


def test_links_are_their_owners_alone() -> None:
    assert find("db") == find("www") == find("db.back") == ["web"]
    assert find("db", container="other") is None
    assert names.link("/web:/me/db") == ("web", "db") and names.link("web") == ("web", "web")


def test_who_was_killed_is_not_named() -> None:
    assert find("shared", dead="web") == ["other"]
    assert find("web", dead="web") == ["apart"]


def test_addresses_are_named_with_their_network() -> None:
    def everybody(one: Endpoint) -> bool:
        return True

    assert names.owner(PLACES, "3.0.18.172.in-addr.arpa", everybody) == "web.back"
    reverse = ".".join(reversed("20010db8" + "0" * 23 + "3"))
    assert names.owner(PLACES, f"{reverse}.ip6.arpa", everybody) == "web.back"
    assert names.owner(PLACES, "9.0.18.172.in-addr.arpa", everybody) == ""
    assert names.owner(PLACES, "3.0.18.172.in-addr.arpa", lambda one: False) == ""
    for nonsense in ("in-addr.arpa", "x.in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.ip6.arpa", "ab.ip6.arpa", "web"):
        assert names.reversed_address(nonsense) == ""


def test_the_default_bridge_names_nobody() -> None:
    bridge = Network(id=NetworkId("d" * 64), name="bridge", created=0.0)
    assert names.find([Place(bridge, Index([WEB]))], "me", "web", lambda one: True) is None


def test_addresses_take_turns_each_kind_by_itself() -> None:
    turns, found = names.Turns(), ["1", "2", "3"]
    assert [turns.rotate("a", version, found)[0] for version in (4, 6, 4, 6, 4, 4)] == ["1", "1", "2", "2", "3", "1"]
    assert turns.rotate("a", 4, ["1"]) == ["1"]


def test_nothing_leads_out_of_internal_networks() -> None:
    assert names.leads_out(PLACES) and not names.leads_out(PLACES[1:])
