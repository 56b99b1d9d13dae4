"""DNS packets: what is understood, answered, believed. The oracle is dnslib's whole parser."""

import random

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.network import packets
from pydocker.network.packets import Query, Refusal


def asked(name: str = "Web.Back", type: str = "A", edns: int = 0) -> bytes:
    record = dnslib.DNSRecord.question(name, type)
    if edns:
        record.add_ar(dnslib.EDNS0(udp_len=edns))
    return bytes(record.pack())


def query(packet: bytes) -> Query:
    found = packets.parse(packet)
    assert isinstance(found, Query)
    return found


def test_a_query_is_a_name_in_lower_case_and_a_type() -> None:
    found = query(asked(edns=4096))
    assert (found.name, found.type, found.size, found.edns) == ("web.back", packets.A, 4096, True)
    assert query(asked()).size == 512 and query(asked(edns=100)).size == 512


def test_names_that_no_container_has_are_no_names() -> None:
    for label in (b"\xff\xfe", b"a.b", b"\xc3\xa4"):
        packet = asked("x")[:12] + bytes((len(label),)) + label + asked("x")[14:]
        assert query(packet).name == ""
        assert packets.refusal(query(packet), packets.SERVFAIL)[12:] == packet[12:]
    chaos = dnslib.DNSRecord(q=dnslib.DNSQuestion("version.bind", dnslib.QTYPE.TXT, 3)).pack()
    assert query(chaos).name == ""


def test_answers_keep_id_case_and_question() -> None:
    packet = asked(edns=1400)
    found = dnslib.DNSRecord.parse(packets.answer(query(packet), ["172.18.0.2", "172.18.0.3", "2001:db8::1"]))
    assert found.header.id == int.from_bytes(packet[:2], "big") and found.header.ra and found.header.qr
    assert bytes(found.q.qname.label[0]) == b"Web"
    assert [str(one.rdata) for one in found.rr] == ["172.18.0.2", "172.18.0.3", "2001:db8::1"]
    assert {one.ttl for one in found.rr} == {packets.TTL} and found.ar[0].rtype == dnslib.QTYPE.OPT
    pointer = packets.answer(query(asked("2.0.18.172.in-addr.arpa", "PTR")), names=["web.back"])
    assert str(dnslib.DNSRecord.parse(pointer).rr[0].rdata) == "web.back."
    refused = dnslib.DNSRecord.parse(packets.refusal(query(packet), packets.SERVFAIL))
    assert refused.header.rcode == packets.SERVFAIL and refused.q == found.q


@pytest.mark.parametrize("name", ["x" * 64 + ".back", "web." + "n" * 200, ".".join(["abc"] * 70)])
def test_a_name_that_no_packet_can_carry(name: str) -> None:
    """Whoever is asked for it must not fall over it."""
    pointer = query(asked("2.0.18.172.in-addr.arpa", "PTR"))
    assert dnslib.DNSRecord.parse(packets.answer(pointer, names=[name])).rr == []
    (found,) = dnslib.DNSRecord.parse(packets.answer(pointer, names=[name, "web.back"])).rr
    assert str(found.rdata) == "web.back."


def test_what_is_too_long_is_asked_for_again_by_tcp() -> None:
    many = [f"172.18.{number // 250}.{number % 250 + 1}" for number in range(100)]
    short = dnslib.DNSRecord.parse(packets.answer(query(asked()), many))
    assert short.header.tc and not short.rr
    for whole in (packets.answer(query(asked()), many, udp=False), packets.answer(query(asked(edns=4096)), many)):
        assert len(dnslib.DNSRecord.parse(whole).rr) == 100 and not packets.is_truncated(whole)


@pytest.mark.parametrize(("packet", "code"), [
    (asked()[:4] + b"\0\0" + asked()[6:], packets.FORMERR),  # no question
    (asked()[:4] + b"\0\2" + asked()[6:], packets.FORMERR),
    (asked()[:-1], packets.FORMERR),
    (asked()[:12] + b"\xc0\x0c\0\1\0\1", packets.FORMERR),  # a name that points at itself
    (asked()[:12] + b"\x3f" * 64 * 5 + b"\0\0\1\0\1", packets.FORMERR),
    (asked() + bytes(5000), packets.FORMERR),
    (bytes((0, 1, 0x28)) + asked()[3:], packets.NOTIMP),  # an update
], ids=("none", "two", "cut", "loop", "long", "large", "update"))
def test_nonsense_is_refused_with_its_id(packet: bytes, code: int) -> None:
    found = packets.parse(packet)
    assert isinstance(found, Refusal)
    header = dnslib.DNSRecord.parse(found.packet).header
    assert (header.rcode, header.qr, header.id) == (code, 1, int.from_bytes(packet[:2], "big"))


def test_answers_are_not_answered() -> None:
    assert packets.parse(packets.refusal(query(asked()), packets.REFUSED)) is None
    assert packets.parse(b"short") is None


def test_only_the_answer_to_what_was_asked_is_believed() -> None:
    sent = asked("web.example")
    good = packets.answer(query(sent), ["192.0.2.1"])
    assert packets.answers(good, sent)
    assert packets.answers(good.replace(b"\3web", b"\3WEB"), sent)
    assert not packets.answers(packets.with_id(good, bytes((sent[0] ^ 1, sent[1]))), sent)
    assert not packets.answers(good.replace(b"\3web", b"\3wob"), sent)
    assert not packets.answers(packets.answer(query(asked("web.example", "AAAA")), []), sent)
    assert not packets.answers(sent, sent)
    bare = packets.parse(asked()[:-1])
    assert isinstance(bare, Refusal)
    assert packets.answers(packets.with_id(bare.packet, sent[:2]), sent)  # an error need not repeat the question
    assert not packets.answers(packets.with_id(bare.packet, sent[:2])[:3] + bytes(9), sent)


@given(st.binary(max_size=600))
def test_whatever_comes_is_parsed_or_refused(packet: bytes) -> None:
    found = packets.parse(packet)
    if isinstance(found, Query):
        dnslib.DNSRecord.parse(packets.answer(found, ["172.18.0.2"])) if found.name else None
    packets.answers(packet, asked())


@given(st.integers(0, 2**32))
def test_packets_with_flipped_bytes_are_parsed_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    packet = bytearray(asked(edns=1232))
    for _ in range(chance.randint(1, 4)):
        packet[chance.randrange(len(packet))] = chance.randrange(256)
    found = packets.parse(bytes(packet))
    if isinstance(found, Query):
        assert len(packets.refusal(found, packets.SERVFAIL)) >= 12
