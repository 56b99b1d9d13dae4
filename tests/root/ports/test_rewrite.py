"""The firewall by itself, with real rules in a table of its own."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from pydocker.model.network import Endpoint, Network, NetworkId, Pool, Published
from pydocker.network import firewall, forwarding, nft
from pydocker.network.firewalling import Firewall
from pydocker.network.programs import Refused

NET = Network(id=NetworkId("a" * 64), name="net", created=1.0, interface="lo", pools=(Pool("10.79.0.0/24"),))
TABLE = "pd-rewrite"


@pytest.fixture
def table() -> Iterator[str]:
    yield TABLE
    subprocess.run(("nft", "delete", "table", "inet", TABLE), capture_output=True, check=False)


def test_a_killed_ones_port_that_is_anothers_by_now_stays_that_ones(table: str, tmp_path: Path) -> None:
    """A port is free at the moment at which its holder is killed; the cleaning up comes later."""
    first, second = (Endpoint(id=c * 64, network=NET.id, container=c * 64, ipv4=f"10.79.0.{c}/24",
                              published=(Published("tcp", "0.0.0.0", 8080, 80),)) for c in ("2", "3"))
    alive = [first]
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything([NET], alive)))
    tested.publish(NET, first)
    alive[:] = [second]
    tested.publish(NET, second)
    tested.rewrite([(NET, first)])
    assert "10.79.0.3 . 80" in nft.element(table, "ports4", "tcp . 8080")


def test_a_damaged_note_keeps_no_other_from_being_settled(table: str, tmp_path: Path) -> None:
    one = Endpoint(id="2" * 64, network=NET.id, container="2" * 64, ipv4="10.79.0.2/24",
                   published=(Published("tcp", "0.0.0.0", 8080, 80),))
    alive = [one]
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything([NET], alive)))
    tested.publish(NET, one)
    alive.clear()
    with pytest.raises(InterruptedError), tested.unsettled(one):
        raise InterruptedError
    (tmp_path / f"unsettled-{'3' * 64}").write_bytes(b"")
    tested.settle([NET])
    assert not nft.element(table, "ports4", "tcp . 8080")
    assert not list(tmp_path.glob("unsettled-*"))


def test_the_hosts_settings_are_put_back(table: str, tmp_path: Path) -> None:
    """Each of them: what one interface forwards by its own setting is lost when all are switched. (The switch turns
    the host's accept_redirects over, too.) What that one lets in is not dropped meanwhile."""
    conf = Path("/proc/sys/net/ipv4/conf")
    subprocess.run(("ip", "link", "add", "alone0", "type", "veth", "peer", "name", "alone1"), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    (conf / "alone0/forwarding").write_text("1")
    (conf / "all/accept_redirects").write_text("0")

    def settings() -> dict[Path, str]:
        names = ("forwarding", "accept_redirects")
        return {path: path.read_text() for name in names for path in conf.glob(f"*/{name}")}

    before, alive = settings(), [NET]
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything(alive, [])))
    tested.admit(NET)
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert 'iifname != "alone0" counter' in _chain(table, "others")
    alive.clear()
    tested.dismiss(NET)
    assert settings() == before
    subprocess.run(("ip", "link", "delete", "alone0"), check=True)


def test_a_router_for_everybody(table: str, tmp_path: Path) -> None:
    """If the configuration wants it; also where it did not before."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    for opened in (False, True):
        tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything([NET], [])), opened=opened)
        tested.admit(NET)
        assert ("drop" in _chain(table, "others")) is not opened
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


def test_no_router_without_rules(table: str, tmp_path: Path) -> None:
    """What the firewall cannot be told of, the host does not forward: here the table is another program's alone."""
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything([NET], [])))
    with subprocess.Popen(("nft", "-i"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdin is not None and owner.stdout is not None
        owner.stdin.write(f"add table inet {table} {{ flags owner; }}\nlist tables\n")
        owner.stdin.flush()
        while table not in owner.stdout.readline():
            pass
        with pytest.raises(Refused):
            tested.admit(NET)
        owner.stdin.close()
    assert path.read_text() == "0\n" and not (tmp_path / "forwarding.json").exists()


def test_a_bridge_that_came_later_is_let_be_when_the_switch_was_turned_off_meanwhile(table: str,
                                                                                     tmp_path: Path) -> None:
    path = Path("/proc/sys/net/ipv4/ip_forward")
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything([NET], [])))
    for _ in range(2):
        path.write_text("0")
        tested.admit(NET)
        subprocess.run(("ip", "link", "add", "later0", "type", "bridge"), check=False, capture_output=True)
    found = _chain(table, "others")
    subprocess.run(("ip", "link", "delete", "later0"), check=True)
    path.write_text("0")
    assert "drop" in found and "later0" not in found


_DEBIANS = "add table inet filter; add chain inet filter forward { type filter hook forward priority filter; }"


@pytest.mark.parametrize(("rule", "after"), [
    (("nft", _DEBIANS), "0\n"),  # what is in Debian's /etc/nftables.conf
    (("nft", f"{_DEBIANS}; add rule inet filter forward iifname vpn0 accept"), "1\n"),
    (("iptables-legacy", "-P", "FORWARD", "ACCEPT"), "0\n"),
    (("iptables-legacy", "-A", "FORWARD", "-i", "vpn0", "-j", "ACCEPT"), "1\n"),
], ids=["empty chain", "rule", "legacy policy", "legacy rule"])
def test_who_relies_on_a_router_has_rules_for_it(table: str, tmp_path: Path, rule: tuple[str, ...], after: str) -> None:
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    alive = [NET]
    tested = Firewall(table, tmp_path, lambda: tuple(firewall.everything(alive, [])))
    tested.admit(NET)
    subprocess.run(rule, check=True)
    alive.clear()
    tested.dismiss(NET)
    subprocess.run(("nft", "delete", "table", "inet", "filter"), capture_output=True, check=False)
    subprocess.run(("iptables-legacy", "-F", "FORWARD"), check=True)
    found, written = path.read_text(), path.write_text("0")
    assert (found, written) == (after, 1)


@pytest.mark.parametrize("first_goes", [True, False], ids=["the first goes first", "the second goes first"])
def test_a_router_for_two_engines(table: str, tmp_path: Path, first_goes: bool) -> None:
    """It is one for nobody else, and as long as either needs it; then the host is what it was before both."""
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    other = msgspec.structs.replace(NET, id=NetworkId("b" * 64), pools=(Pool("10.80.0.0/24"),))
    six = msgspec.structs.replace(NET, id=NetworkId("c" * 64), pools=(Pool("fd79::/64"),))
    with _engine(table, tmp_path / "1") as (first, has), _engine(f"{table}-2", tmp_path / "2") as (second, also):
        for engine, networks, network in ((first, has, NET), (second, also, other), (second, also, six)):
            networks.append(network)
            engine.admit(network)
        gone, network, left, last = (first, NET, second, other) if first_goes else (second, other, first, NET)
        (has if first_goes else also).remove(network)
        gone.dismiss(network)
        assert path.read_text() == "1\n" and "nfproto ipv4" in _chain(left.table, "others")
        (also if first_goes else has).remove(last)
        left.dismiss(last)
        found, written = path.read_text(), path.write_text("0")
        assert (found, written) == ("0\n", 1)
        also.remove(six)
        second.dismiss(six)


@pytest.mark.parametrize("drop", [
    ("nft", "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"),
    ("iptables-legacy", "-P", "FORWARD", "DROP")], ids=["nft", "iptables-legacy"])
def test_another_engines_exceptions_need_no_router(table: str, tmp_path: Path, drop: tuple[str, ...]) -> None:
    """Neither for internal networks, nor for those of one that goes at the same moment, whose exceptions go last."""
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    inner = msgspec.structs.replace(NET, id=NetworkId("b" * 64), internal=True, pools=(Pool("10.80.0.0/24"),))
    subprocess.run(drop, check=True)
    with _engine(table, tmp_path / "1") as (first, has), _engine(f"{table}-2", tmp_path / "2") as (second, also):
        for engine, networks, network in ((first, has, NET), (second, also, inner)):
            networks.append(network)
            engine.admit(network)
        has.clear()
        first.dismiss(NET)
        found, written = path.read_text(), path.write_text("0")
        also.clear()
        second.dismiss(inner)
    subprocess.run(("nft", "delete", "table", "ip", "filter"), capture_output=True, check=False)
    subprocess.run(("iptables-legacy", "-P", "FORWARD", "ACCEPT"), check=True)
    assert (found, written) == ("0\n", 1)


def test_who_is_let_in_while_another_engine_turns_it_off(table: str, tmp_path: Path) -> None:
    """That one saw no table of ours yet, and we saw the host forward: each looks once more."""
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("1")
    events = [lambda: path.write_text("0")]
    alive = [NET]

    def whole() -> tuple[firewall.Element, ...]:
        while events:
            events.pop()()
        return tuple(firewall.everything(alive, []))

    tested = Firewall(table, tmp_path, whole)
    tested.admit(NET)
    assert path.read_text() == "1\n" and "nfproto ipv4" in _chain(table, "others")
    answers = [True, False]  # whether somebody needs it: at first, and when it is off
    forwarding.restore(tmp_path, 4, lambda: answers.pop())
    found, written = path.read_text(), path.write_text("0")
    assert (found, written, answers) == ("1\n", 1, [])


class Overtaken(Firewall):
    """Whose neighbour's table goes between a look and a change."""

    def _exceptions(self, elements: Iterable[firewall.Element]) -> str:
        found = super()._exceptions(elements)
        subprocess.run(("nft", "delete", "table", "inet", f"{TABLE}-2"), capture_output=True, check=False)
        return found


def test_two_engines_that_go_at_once(table: str, tmp_path: Path) -> None:
    subprocess.run(("ip", "link", "add", "gone0", "type", "bridge"), check=True)
    ours, alive = msgspec.structs.replace(NET, interface="gone0"), [NET]
    other = Firewall(f"{table}-2", tmp_path / "2", lambda: tuple(firewall.everything([NET], [])))
    tested = Firewall(table, tmp_path / "1", lambda: tuple(firewall.everything(alive, [])))
    with _engine(f"{table}-2", tmp_path):
        other.admit(NET)
        alive[:] = [ours]
        tested.admit(ours)
        assert "gone0" in (nft.names(other.table, "neighbours") or ())
        subprocess.run(("ip", "link", "delete", "gone0"), check=True)
        alive.clear()
        Overtaken(table, tmp_path / "1", lambda: ()).dismiss(ours)
    assert not nft.shape(table)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


_THEIRS = """
table inet {table} {{
	comment "networks of pydocker, which remembers in {directory}"
	set bridges {{ type inet_service; elements = {{ 80 }} }}
	set neighbours {{ type inet_service; elements = {{ 80 }} }}
	chain others {{ }}
}}
"""


@pytest.mark.parametrize("written", [
    '{"before":{"ipv4/ip_forward":"0","ipv4/../core/somaxconn":"77"},"links":{"4":["longer than any name is"]}}',
    '{"before":', None], ids=["hostile", "damaged", "a pipe"])
def test_an_engine_that_is_none(table: str, tmp_path: Path, written: str | None) -> None:
    """With --network host and NET_ADMIN, a container may write a table that looks like an engine's: by that, no file is
    written but what makes a host a router, and nobody's network has to wait."""
    (theirs := tmp_path / "theirs").mkdir()
    if written is None:
        os.mkfifo(theirs / "forwarding.json")
    else:
        (theirs / "forwarding.json").write_text(written)
    somaxconn = Path("/proc/sys/net/core/somaxconn")
    before, alive = somaxconn.read_text(), [NET]
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with _engine(f"{table}-2", theirs):
        subprocess.run(("nft", _THEIRS.format(table=f"{table}-2", directory=theirs)), check=True)
        tested = Firewall(table, tmp_path / "ours", lambda: tuple(firewall.everything(alive, [])))
        tested.admit(NET)
        assert "10.79.0.0/24" in nft.element(table, "subnets4", "10.79.0.1")
        alive.clear()
        tested.dismiss(NET)
    assert somaxconn.read_text() == before


@contextlib.contextmanager
def _engine(table: str, directory: Path) -> Iterator[tuple[Firewall, list[Network]]]:
    networks: list[Network] = []
    yield Firewall(table, directory, lambda: tuple(firewall.everything(networks, []))), networks
    subprocess.run(("nft", "delete", "table", "inet", table), capture_output=True, check=False)


def _chain(table: str, name: str) -> str:
    return subprocess.run(("nft", "list", "chain", "inet", table, name), text=True, capture_output=True,
                          check=True).stdout
