"""DNS packets (RFC 1035), as far as a resolver that answers for containers looks into them. The only place that knows
dnslib.

A query is taken apart because the answer may be ours. One that is passed on goes as the bytes that came, but for its
id; and so does what comes back, after it was held against what was asked (RFC 5452): another id, another question or
another sender make it somebody's forgery, or an answer to somebody else.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import dnslib  # type: ignore[import-untyped]

A, PTR, AAAA, ANY = dnslib.QTYPE.A, dnslib.QTYPE.PTR, dnslib.QTYPE.AAAA, dnslib.QTYPE.ANY
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)  # RFC 1035 4.1.1, RCODE
LONGEST_QUERY = 4096  # no honest query comes near this; a limit for what a container can make us keep
SMALLEST = 512  # what every client takes over UDP (RFC 1035 2.3.4)
OURS = 1232  # what we take ourselves: fits every path (dnsflagday.net/2020)
LARGEST = 65535
TTL = 10
"""Seconds. Docker says 600, for names that move whenever a container starts: clients that cache then talk to the
wrong one for ten minutes."""
_HEADER = 12
_QR, _OPCODE, _TC, _RD = 0x80, 0x78, 0x02, 0x01  # of the third byte
_WITHOUT_QUESTION = (FORMERR, SERVFAIL, NOTIMP, REFUSED)  # servers that understood nothing may leave it out


@dataclass(frozen=True)
class Query:
    """`name` in lower case, without the last dot; empty where it is nothing that a container could be called."""

    packet: bytes
    name: str
    type: int
    size: int = SMALLEST  # what the client takes over UDP
    edns: bool = False


class Refusal(NamedTuple):
    """No query that can be answered; this is what to say to it."""

    packet: bytes


def parse(packet: bytes) -> Query | Refusal | None:
    """What a client has sent; None if it deserves no answer (two servers must not go on correcting each other)."""
    if len(packet) < _HEADER or packet[2] & _QR:
        return None
    if len(packet) > LONGEST_QUERY or _count(packet, 4) != 1 or question(packet) is None:
        return Refusal(_bare(packet, FORMERR))
    if packet[2] & _OPCODE:
        return Refusal(_bare(packet, NOTIMP))
    try:
        return _parsed(packet)
    except Exception:  # dnslib raises what its helpers do; its input is hostile
        return Refusal(_bare(packet, FORMERR))


def _parsed(packet: bytes) -> Query:
    raw = question(packet)
    assert raw is not None
    type, klass = struct.unpack("!HH", raw[-4:])
    opt = _opt(packet, _HEADER + len(raw)) if packet[6:10] == bytes(4) else None
    size = min(max(SMALLEST, opt.rclass), LARGEST) if opt is not None else SMALLEST
    return Query(packet, _name(raw) if klass == dnslib.CLASS.IN else "", type, size, opt is not None)


def _opt(packet: bytes, at: int) -> dnslib.RR | None:
    """The record that says what the client takes (RFC 6891)."""
    buffer = dnslib.DNSBuffer(packet)
    buffer.offset = at
    records = [dnslib.RR.parse(buffer) for _ in range(min(_count(packet, 10), 2))]
    return next((one for one in records if one.rtype == dnslib.QTYPE.OPT), None)


def _labels(question: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while length := question[at]:
        found.append(question[at + 1:at + 1 + length])
        at += 1 + length
    return found


def _name(question: bytes) -> str:
    """Labels become text only if they are ASCII, and unambiguous."""
    labels = _labels(question)
    if any(not label.isascii() or b"." in label for label in labels):
        return ""
    return b".".join(labels).decode("ascii").lower()


def question(packet: bytes) -> bytes | None:
    """The first question's bytes; None if it is cut off, too long, or points elsewhere, as no question does."""
    at = _HEADER
    while at < len(packet) and (length := packet[at]):
        at += 1 + length
        if length > 63:
            return None
    at += 5
    return packet[_HEADER:at] if at <= len(packet) and at - 4 - _HEADER <= 255 else None


def _count(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at:at + 2], "big")


def _bare(packet: bytes, code: int) -> bytes:
    """A header alone."""
    return packet[:2] + bytes((_QR | (packet[2] & (_OPCODE | _RD)), code)) + bytes(8)


def refusal(query: Query, code: int) -> bytes:
    """An answer without records."""
    return bytes(_record(query, code).pack())


def answer(query: Query, addresses: Sequence[str] = (), names: Sequence[str] = (), *, udp: bool = True) -> bytes:
    """Addresses (IPv4, IPv6) or names (for PTR); without any: the name exists, but there is nothing of that kind.

    A name that no packet can carry is left out: containers may be called anything, of any length.
    """
    record = _record(query, NOERROR)
    for address in addresses:
        data = dnslib.AAAA(address) if ":" in address else dnslib.A(address)
        record.add_answer(dnslib.RR(record.q.qname, AAAA if ":" in address else A, rdata=data, ttl=TTL))
    for name in filter(_fits, names):
        record.add_answer(dnslib.RR(record.q.qname, PTR, rdata=dnslib.PTR(name), ttl=TTL))
    packet = bytes(record.pack())
    return packet if len(packet) <= (query.size if udp else LARGEST) else _truncated(query)


def _fits(name: str) -> bool:
    """RFC 1035 2.3.4."""
    return len(name) <= 253 and all(0 < len(label) <= 63 for label in name.split("."))


def _record(query: Query, code: int) -> dnslib.DNSRecord:
    raw = question(query.packet)
    assert raw is not None
    type, klass = struct.unpack("!HH", raw[-4:])
    header = dnslib.DNSHeader(id=_count(query.packet, 0), qr=1, ra=1, rd=query.packet[2] & _RD, rcode=code)
    record = dnslib.DNSRecord(header, q=dnslib.DNSQuestion(dnslib.DNSLabel(_labels(raw)), type, klass))
    if query.edns:
        record.add_ar(dnslib.EDNS0(udp_len=OURS))
    return record


def _truncated(query: Query) -> bytes:
    """Come again by TCP: half a list would be taken for the whole one."""
    record = _record(query, NOERROR)
    record.header.tc = 1
    return bytes(record.pack())


def with_id(packet: bytes, id: bytes) -> bytes:
    """The same packet with another id (two bytes)."""
    return id + packet[2:]


def answers(reply: bytes, sent: bytes) -> bool:
    """Whether this is an answer to what was sent."""
    if len(reply) < _HEADER or reply[:2] != sent[:2] or not reply[2] & _QR:
        return False
    if _count(reply, 4) == 0:
        return code(reply) in _WITHOUT_QUESTION
    found, asked = question(reply), question(sent)
    return _count(reply, 4) == 1 and found is not None and asked is not None and found.lower() == asked.lower()


def code(reply: bytes) -> int:
    """How it went."""
    return reply[3] & 0x0F


def is_truncated(reply: bytes) -> bool:
    return bool(reply[2] & _TC)
