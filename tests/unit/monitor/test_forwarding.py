"""Queries that are passed on: over real sockets of this host, to servers that do what bad servers do."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator

import dnslib
import pytest

from pydocker.monitor.forwarding import MANY, WAITING, Forwarder, connect
from pydocker.monitor.loop import Loop
from pydocker.network import upstreams
from pydocker.network.resolvconf import Upstream
from tests.peers.nameserver import Behaviour, Nameserver, broken, forged, known, silent, unknown

Make = Callable[..., Nameserver]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Nameserver] = []

    def server(behaviour: Behaviour) -> Nameserver:
        made.append(Nameserver(behaviour))
        return made[-1]

    yield server
    for one in made:
        one.close()


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    it = Forwarder(Loop(), connect)
    yield it
    it.close()


def ask(forwarder: Forwarder, *names: str, udp: bool = True, host: bool = True) -> list[str]:
    """What comes back for each name: its code and addresses; and that it is the client's own id again."""
    found: dict[str, str] = {}

    def done(name: str, sent: bytes) -> Callable[[bytes | None], None]:
        def heard(reply: bytes | None) -> None:
            found[name] = "nothing" if reply is None else told(reply)
            assert reply is None or reply[:2] == sent[:2]
        return heard

    for name in names:
        sent = bytes(dnslib.DNSRecord.question(name).pack())
        forwarder.ask(sent, done(name, sent), udp=udp, host=host)
    until = time.monotonic() + 60
    while len(found) < len(names) and time.monotonic() < until:
        forwarder.loop.after(0.05, lambda: None)
        forwarder.loop.turn()
    return [found[name] for name in names]


def told(reply: bytes) -> str:
    record = dnslib.DNSRecord.parse(reply)
    return " ".join([dnslib.RCODE.get(record.header.rcode), *(str(one.rdata) for one in record.rr)])


GOOD = "NOERROR 192.0.2.1"


@pytest.mark.parametrize("udp", [True, False])
def test_a_server_is_asked_and_believed(make: Make, forwarder: Forwarder, udp: bool) -> None:
    server = make(known)
    forwarder.memory.know([server.upstream])
    assert ask(forwarder, "a.example", "b.example", udp=udp) == [GOOD, GOOD]
    assert len({query[:2] for query in server.queries}) == 2


def test_every_question_has_a_port_of_its_own(make: Make, forwarder: Forwarder) -> None:
    server = make(known)
    forwarder.memory.know([server.upstream])
    ask(forwarder, *(f"{number}.example" for number in range(20)))
    assert len(server.senders) >= 18


def test_forged_answers_are_not_believed(make: Make, forwarder: Forwarder) -> None:
    forwarder.memory.know([make(forged).upstream])
    assert ask(forwarder, "a.example") == [GOOD]


def test_somebody_else_cannot_answer(make: Make, forwarder: Forwarder) -> None:
    """The right packet from another port does not even reach the process."""
    elsewhere = socket.socket(type=socket.SOCK_DGRAM)
    sockets: list[socket.socket] = []

    def listen(server: Upstream, udp: bool) -> socket.socket:
        sockets.append(connect(server, udp))
        return sockets[-1]

    def spoofed(query: bytes) -> list[bytes]:
        forgery = known(query)[0].replace(b"\xc0\x00\x02\x01", b"\x06\x06\x06\x06")
        elsewhere.sendto(forgery, sockets[0].getsockname())
        return known(query)

    forwarder.connect = listen
    forwarder.memory.know([make(spoofed).upstream])
    assert ask(forwarder, "a.example") == [GOOD]
    elsewhere.close()


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("bad", [silent, broken])
def test_the_next_server_is_asked(make: Make, forwarder: Forwarder, bad: Behaviour, udp: bool) -> None:
    forwarder.memory.know([make(bad).upstream, make(known).upstream])
    assert ask(forwarder, "a.example", udp=udp) == [GOOD]


@pytest.mark.parametrize("udp", [True, False])
def test_a_port_that_nobody_listens_on_costs_no_time(make: Make, forwarder: Forwarder, udp: bool) -> None:
    nobody, good = make(known), make(known)
    nobody.close()
    forwarder.memory.know([nobody.upstream, good.upstream])
    assert ask(forwarder, "a.example", udp=udp) == [GOOD]
    assert forwarder.memory.order()[-1] == nobody.upstream


def test_a_dead_server_is_remembered(make: Make, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "AGAIN", 3600.0)
    dead, good = make(silent), make(known)
    forwarder.memory.know([dead.upstream, good.upstream])
    counter = itertools.count()
    while forwarder.memory.order()[0] == dead.upstream:
        assert ask(forwarder, f"{next(counter)}.example") == [GOOD]
        time.sleep(0.02)
    assert ask(forwarder, *(f"{number}.later.example" for number in range(50))) == [GOOD] * 50
    assert not [query for query in dead.queries if b"\x05later" in query]


def test_a_server_that_is_back_is_asked_first_again(make: Make, forwarder: Forwarder,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    late, good = make(known), make(known)
    forwarder.memory.know([late.upstream, good.upstream])
    forwarder.memory.refused(late.upstream, time.monotonic())
    monkeypatch.setattr(upstreams, "AGAIN", 0.0)
    until = time.monotonic() + 60
    while forwarder.memory.order()[0] != late.upstream and time.monotonic() < until:
        assert ask(forwarder, "a.example") == [GOOD]
    assert forwarder.memory.order()[0] == late.upstream


def test_no_such_name_from_the_second_does_not_outrun_the_first(make: Make, forwarder: Forwarder) -> None:
    def slow(query: bytes) -> list[bytes]:
        time.sleep(4 * upstreams.MOMENT)
        return known(query)

    forwarder.memory.know([make(slow).upstream, make(unknown).upstream])
    assert ask(forwarder, "inside.example") == [GOOD]


def test_no_such_name_is_an_answer_when_nobody_knows_better(make: Make, forwarder: Forwarder) -> None:
    forwarder.memory.know([make(silent).upstream, make(unknown).upstream])
    assert ask(forwarder, "a.example") == ["NXDOMAIN"]
    forwarder.memory.know([make(unknown).upstream, make(known).upstream])
    assert ask(forwarder, "a.example") == ["NXDOMAIN"]


def test_the_failure_is_told_when_all_fail(make: Make, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch) -> None:
    forwarder.memory.know([make(broken).upstream, make(broken).upstream])
    assert ask(forwarder, "a.example") == ["SERVFAIL"]
    monkeypatch.setattr(upstreams, "DEADLINE", 0.3)
    forwarder.memory.know([make(silent).upstream])
    assert ask(forwarder, "a.example") == ["nothing"]
    forwarder.memory.know([])
    assert ask(forwarder, "a.example") == ["nothing"]


def test_a_lost_packet_is_sent_again(make: Make, forwarder: Forwarder) -> None:
    heard: list[bytes] = []

    def lossy(query: bytes) -> list[bytes]:
        heard.append(query)
        return known(query) if len(heard) > 1 else []

    forwarder.memory.know([make(lossy).upstream])
    assert ask(forwarder, "a.example") == [GOOD]


def test_an_internal_network_asks_nobody_of_the_hosts(make: Make, forwarder: Forwarder) -> None:
    server = make(known)
    forwarder.memory.know([server.upstream])
    assert ask(forwarder, "a.example", host=False) == ["nothing"] and not server.queries


def test_a_flood_is_bounded(make: Make, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "DEADLINE", 0.2)
    forwarder.memory.know([make(silent).upstream])
    answers = ask(forwarder, *(f"{number}.example" for number in range(MANY + WAITING + 50)))[-50:]
    assert answers == ["nothing"] * 50
