"""The kernel's memory of UDP flows, as far as it is about published ports (conntrack; NETLINK_NETFILTER).

Where a datagram goes is decided once for each flow and remembered until the flow has been quiet for a while (30 to 180
seconds). A client that goes on sending from one port would so never reach a container that takes over a port, and would
not notice that a port is published no more. So these flows are forgotten when a port comes or goes. (TCP ends a
connection by itself: whoever does not know it answers with a reset.)

Monitors do this, too, so it is a handful of messages by hand and not pyroute2: linux/netfilter/nfnetlink_conntrack.h,
netlink(7).
"""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Collection, Iterator

import msgspec

NETLINK_NETFILTER = 12
_CTNETLINK = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE = _CTNETLINK | 1, _CTNETLINK | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_ORIGINAL, _REPLY, _ZONE = 1, 2, 18  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE
_ADDRESSES, _PROTOCOL = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_NUMBER, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3  # CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT
_SOURCE: dict[int, int] = {socket.AF_INET: 1, socket.AF_INET6: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC; then DST
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_LARGEST = 1 << 18


class Ends(msgspec.Struct, frozen=True):
    """Where one direction of a flow comes from and goes to."""

    source: tuple[str, int]
    target: tuple[str, int]


class Flow(msgspec.Struct, frozen=True):
    """Both directions, as the kernel sees them: NAT is what makes the second not the mirror of the first."""

    family: int
    there: Ends
    back: Ends
    name: bytes  # what the kernel needs to find it again


def forget(wanted: Callable[[Flow], bool]) -> int:
    """Forget the UDP flows that `wanted` names, of all that there are (which takes its time: so once for many ports);
    how many there were."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 0))
        found = [flow for family in _SOURCE for flow in _flows(kernel, family) if wanted(flow)]
        for flow in found:
            _ask(kernel, _DELETE, _ACK, flow.family, flow.name)
            with contextlib.suppress(FileNotFoundError):  # it has ended by itself
                list(_answers(kernel))
    return len(found)


def led(targets: Collection[tuple[str, int]]) -> Callable[[Flow], bool]:
    """Flows that end at one of these containers' ports."""
    return lambda flow: flow.back.source in targets


def strayed(ports: Collection[int]) -> Callable[[Flow], bool]:
    """Flows to one of these ports of the host's that were led nowhere when they began."""
    return lambda flow: flow.there.target[1] in ports and (flow.back.target, flow.back.source) == (
        flow.there.source, flow.there.target)


def _flows(kernel: socket.socket, family: int) -> Iterator[Flow]:
    _ask(kernel, _GET, _DUMP, family, b"")
    for message in _answers(kernel):
        attributes = dict(_attributes(message[_FAMILY.size:]))
        there, back = attributes.get(_ORIGINAL, b""), attributes.get(_REPLY, b"")
        if _protocol(there) == socket.IPPROTO_UDP:
            name = _attribute(_ORIGINAL | 0x8000, there)
            if _ZONE in attributes:
                name += _attribute(_ZONE, attributes[_ZONE])
            yield Flow(family, _ends(there, family), _ends(back, family), name)


def _protocol(part: bytes) -> int:
    inner = dict(_attributes(dict(_attributes(part)).get(_PROTOCOL, b"")))
    return inner.get(_NUMBER, b"\0")[0]


def _ends(part: bytes, family: int) -> Ends:
    parts = dict(_attributes(part))
    addresses, ports = dict(_attributes(parts[_ADDRESSES])), dict(_attributes(parts[_PROTOCOL]))
    first = _SOURCE[family]
    source, target = (socket.inet_ntop(family, addresses[first + offset]) for offset in (0, 1))
    return Ends((source, _port(ports[_SOURCE_PORT])), (target, _port(ports[_TARGET_PORT])))


def _port(value: bytes) -> int:
    return int.from_bytes(value[:2], "big")


def _ask(kernel: socket.socket, kind: int, flags: int, family: int, attributes: bytes) -> None:
    body = _FAMILY.pack(family, 0, 0) + attributes
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """The bodies, until the kernel says that it is done. Raises OSError."""
    while True:
        content = kernel.recv(_LARGEST)
        while content:
            length, kind, *_ = _HEADER.unpack_from(content)
            body, content = content[_HEADER.size:length], content[(length + 3) & ~3:]
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                if number:
                    raise OSError(number, f"conntrack: {os.strerror(number).lower()}")
                return
            if kind == _DONE:
                return
            yield body


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value; the upper bits of a type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER)."""
    while len(content) >= 4:
        length, kind = struct.unpack_from("=HH", content)
        yield kind & 0x3FFF, content[4:length]
        content = content[(length + 3) & ~3:]


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)
