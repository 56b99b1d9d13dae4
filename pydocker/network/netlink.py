"""rtnetlink(7): links, addresses and routes. The one place that knows pyroute2, and that only for its codecs.

A message over an own socket takes 0.2 ms; pyroute2's IPRoute with its event loop takes three times as long, and its
NetNS starts a process. A netlink socket belongs to the network namespace in which it was made, for ever: so there is
one for the host, kept warm, and one in each container's namespace for as long as that is furnished.

pyroute2 takes 150 ms to import: the server does that beside its first work (`preload`).
"""

import errno
import fcntl
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import ip_interface, ip_network
from typing import Any

from pydocker.errors import PydockerError
from pydocker.network.ipam import Route

# netlink(7), linux/netlink.h
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE, _DUMP = 0x1, 0x4, 0x100, 0x200, 0x400, 0x300
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
# rtnetlink(7), linux/rtnetlink.h
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR, _NEWROUTE, _GETROUTE = 20, 21, 22, 24, 26
_UP = 0x1
_MAIN_TABLE, _UNICAST, _STATIC, _UNIVERSE, _LINK = 254, 1, 4, 0, 253
_NO_DAD = 0x02  # IFA_F_NODAD: an address that we have given out is nobody else's
_RTMSG, _IFADDRMSG = struct.Struct("=BBBBBBBBI"), struct.Struct("=BBBBI")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_SIOCGIFNAME, _SIOCGIFINDEX = 0x8910, 0x8933
_BUFFER = 1 << 16

Attributes = Sequence[tuple[str, Any]]


@cache
def _codecs() -> tuple[Any, Any, Any]:
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]
    from pyroute2.netlink.rtnl.ifinfmsg.plugins.ipvlan import ipvlan  # type: ignore[import-untyped]
    from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

    if len(ipvlan.nla_map) == 2:  # it knows the mode alone (linux/if_link.h)
        ipvlan.nla_map = (*ipvlan.nla_map, ("IFLA_IPVLAN_FLAGS", "uint16"))
    return ifinfmsg, ifaddrmsg, rtmsg


def preload() -> None:
    """Import pyroute2 in a thread of its own, and have it build its tables."""
    threading.Thread(target=_codecs, name="pyroute2", daemon=True).start()


class NetlinkError(PydockerError):
    """What the kernel refused, and why; `number` is its errno."""

    def __init__(self, doing: str, number: int) -> None:
        name = errno.errorcode.get(number, number)
        super().__init__(f"{doing}: {os.strerror(number).lower()} (rtnetlink(7), {name})")
        self.number = number


class Netlink:
    """One socket, in the network namespace of the thread that makes it. May be used by several threads."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._any = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._lock = threading.Lock()
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()
        self._any.close()

    # Links

    def index(self, name: str) -> int:
        """The number of a link (netdevice(7): a tenth of the time of RTM_GETLINK). Raises NetlinkError (ENODEV)."""
        try:
            found = fcntl.ioctl(self._any, _SIOCGIFINDEX, struct.pack("16si20x", name.encode(), 0))
        except OSError as error:
            raise NetlinkError(f"look up link {name}", error.errno or 0) from error
        return int(struct.unpack_from("16si", found)[1])

    def has(self, name: str) -> bool:
        try:
            self.index(name)
        except NetlinkError as error:
            if error.number == errno.ENODEV:
                return False
            raise
        return True

    def kind(self, name: str) -> str:
        """bridge, veth, …; empty for hardware. Raises NetlinkError (ENODEV)."""
        information = self._link(name).get_attr("IFLA_LINKINFO")
        return str(information.get_attr("IFLA_INFO_KIND") or "") if information else ""

    def mac(self, name: str) -> str:
        return str(self._link(name).get_attr("IFLA_ADDRESS"))

    def _link(self, name: str) -> Any:
        (found,) = self._ask(f"look up link {name}", _GETLINK, 0, _link_message((("IFLA_IFNAME", name),)))
        return found

    def make(self, doing: str, kind: str, attributes: Attributes, data: Attributes = ()) -> None:
        """A new link, down. `attributes` are those of any link, `data` those of its kind."""
        information = [("IFLA_INFO_KIND", kind), *([("IFLA_INFO_DATA", {"attrs": list(data)})] if data else [])]
        self._ask(doing, _NEWLINK, _CREATE | _EXCL | _ACK,
                  _link_message((*attributes, ("IFLA_LINKINFO", {"attrs": information}))))

    def change(self, doing: str, index: int, attributes: Attributes = (), *, up: bool | None = None) -> None:
        """Other settings of a link; `up` or down."""
        message = _link_message(attributes)
        message["index"] = index
        if up is not None:
            message["change"], message["flags"] = _UP, _UP if up else 0
        self._ask(doing, _SETLINK, _ACK, message)

    def port(self, doing: str, index: int, *, isolated: bool, hairpin: bool) -> None:
        """A port of a bridge that speaks with the bridge alone, and with ports that are not isolated; and one that may
        get back what came from it (ip-link(8), bridge_slave)."""
        message = _link_message((("IFLA_LINKINFO", {"attrs": [
            ("IFLA_INFO_SLAVE_KIND", "bridge"),
            ("IFLA_INFO_SLAVE_DATA", {"attrs": [
                ("IFLA_BRPORT_ISOLATED", int(isolated)), ("IFLA_BRPORT_MODE", int(hairpin))]})]}),))
        message["index"] = index
        self._ask(doing, _NEWLINK, _ACK, message)  # RTM_SETLINK passes over what belongs to the bridge

    def delete(self, doing: str, index: int) -> None:
        """Take a link away; with one end of a veth pair the other one goes, too."""
        message = _link_message(())
        message["index"] = index
        self._ask(doing, _DELLINK, _ACK, message)

    # Addresses and routes

    def add_address(self, doing: str, index: int, address: str) -> None:
        """`address` with its prefix length. There is no doubt whose it is, so it is not asked about (RFC 4862, 5.4)."""
        parsed = ip_interface(address)
        message = _codecs()[1]()
        message["family"] = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
        message["prefixlen"], message["index"], message["flags"] = parsed.network.prefixlen, index, _NO_DAD
        message["attrs"] = [("IFA_ADDRESS", str(parsed.ip)), ("IFA_LOCAL", str(parsed.ip))]
        if parsed.version == 4 and parsed.network.prefixlen < 31:
            message["attrs"].append(("IFA_BROADCAST", str(parsed.network.broadcast_address)))
        self._ask(doing, _NEWADDR, _CREATE | _EXCL | _ACK, message)

    def remove_address(self, doing: str, index: int, address: str) -> None:
        """Take an address away, if it is there."""
        parsed = ip_interface(address)
        message = _codecs()[1]()
        message["family"] = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
        message["prefixlen"], message["index"] = parsed.network.prefixlen, index
        message["attrs"] = [("IFA_ADDRESS", str(parsed.ip)), ("IFA_LOCAL", str(parsed.ip))]
        try:
            self._ask(doing, _DELADDR, _ACK, message)
        except NetlinkError as error:
            if error.number != errno.EADDRNOTAVAIL:
                raise

    def addresses(self) -> Iterator[tuple[int, str]]:
        """All addresses with their prefix lengths, by the number of their link."""
        for piece in self._dump("list the addresses", _GETADDR, _IFADDRMSG.pack(0, 0, 0, 0, 0)):
            family, length, _, _, index = _IFADDRMSG.unpack_from(piece, _HEADER.size)
            found = _attributes(piece, _HEADER.size + _IFADDRMSG.size)
            packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
            yield index, f"{socket.inet_ntop(family, packed)}/{length}"

    def set_default_route(self, doing: str, index: int, version: int, gateway: str) -> None:
        """Everything that no other route leads to: over `gateway`, or, where there is none, straight out of the link.
        The one that there was before goes at the same moment; if this fails, it stays."""
        message = _codecs()[2]()
        message["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
        message["table"], message["proto"], message["type"] = _MAIN_TABLE, _STATIC, _UNICAST
        message["scope"] = _UNIVERSE if gateway or version == 6 else _LINK
        message["attrs"] = [("RTA_OIF", index), *([("RTA_GATEWAY", gateway)] if gateway else [])]
        self._ask(doing, _NEWROUTE, _CREATE | _REPLACE | _ACK, message)

    def drop_default_route(self, doing: str, version: int) -> None:
        """Take the default route away, where there is one."""
        message = _codecs()[2]()
        message["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
        message["table"] = _MAIN_TABLE
        try:
            self._ask(doing, _NEWROUTE + 1, _ACK, message)
        except NetlinkError as error:
            if error.number not in (errno.ESRCH, errno.ENOENT):  # no such route; no such table yet
                raise

    def routes(self) -> list[Route]:
        """The main table, IPv4 and IPv6, without multicast and link-local ones."""
        return [route for family in (socket.AF_INET, socket.AF_INET6)
                for piece in self._dump("list the routes", _GETROUTE, _RTMSG.pack(family, *(0,) * 8))
                if (route := self._route(family, piece)) is not None]

    def _route(self, family: int, piece: bytes) -> Route | None:
        _, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(piece, _HEADER.size)
        found = _attributes(piece, _HEADER.size + _RTMSG.size)
        if _number(found.get(_RTA_TABLE), table) != _MAIN_TABLE or kind != _UNICAST:
            return None
        size = 4 if family == socket.AF_INET else 16
        destination = ip_network((found.get(_RTA_DST, bytes(size)), length))
        if destination.is_link_local or destination.is_multicast:
            return None
        gateway = socket.inet_ntop(family, found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else ""
        return Route(destination, self._name(_number(found.get(_RTA_OIF), 0)), gateway)

    def _name(self, index: int) -> str:
        """Of a link; it may be gone already."""
        try:
            found = fcntl.ioctl(self._any, _SIOCGIFNAME, struct.pack("16xi20x", index))
        except OSError:
            return "?"
        return found[:16].partition(b"\0")[0].decode(errors="replace")

    # The socket

    def _ask(self, doing: str, type: int, flags: int, message: Any) -> list[Any]:
        """Send one message, and read what comes back. Raises NetlinkError."""
        with self._lock:
            self._sequence += 1
            message["header"]["type"], message["header"]["flags"] = type, _REQUEST | flags
            message["header"]["sequence_number"] = self._sequence
            message.encode()
            self._socket.send(bytes(message.data))
            return [_decoded(message.__class__, piece) for piece in self._answers(doing, single=True)]

    def _dump(self, doing: str, type: int, body: bytes) -> list[bytes]:
        """A list of the kernel's. It is not decoded here: pyroute2 takes a third of a millisecond for each element,
        and hosts have hundreds of them."""
        with self._lock:
            self._sequence += 1
            length = _HEADER.size + len(body)
            self._socket.send(_HEADER.pack(length, type, _REQUEST | _DUMP, self._sequence, 0) + body)
            return list(self._answers(doing, single=False))

    def _answers(self, doing: str, *, single: bool) -> Iterator[bytes]:
        while True:
            content = self._socket.recv(_BUFFER)
            offset = 0
            while offset < len(content):
                length, type, _, sequence, _ = _HEADER.unpack_from(content, offset)
                piece = content[offset:offset + length]
                offset += (length + 3) & ~3
                if sequence != self._sequence:
                    continue  # the rest of an answer that nobody waited for
                if type == _DONE:
                    return
                if type == _ERROR:
                    if number := -struct.unpack_from("=i", piece, _HEADER.size)[0]:
                        raise NetlinkError(doing, number)
                    return
                yield piece
                if single:
                    return


def _decoded(codec: Any, piece: bytes) -> Any:
    found = codec(piece)
    found.decode()
    return found


def _attributes(piece: bytes, offset: int) -> dict[int, bytes]:
    """rtnetlink(7), struct rtattr: length, type, value, up to the next multiple of four."""
    found = {}
    while offset + 4 <= len(piece):
        length, type = struct.unpack_from("=HH", piece, offset)
        if length < 4:
            break
        found[type] = piece[offset + 4:offset + length]
        offset += (length + 3) & ~3
    return found


def _number(value: bytes | None, otherwise: int) -> int:
    return int.from_bytes(value, sys.byteorder) if value else otherwise


def _link_message(attributes: Attributes) -> Any:
    message = _codecs()[0]()
    message["attrs"] = list(attributes)
    return message
