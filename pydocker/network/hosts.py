"""/etc/hosts of a container: what it starts with, and single lines that come and go. Pure.

The file is the container's own: whatever its programs have written into it stays when a line of ours is added or
taken out (rules: moby daemon/libnetwork/etchosts).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

LOCAL4 = "127.0.0.1\tlocalhost\n"
LOCAL6 = """\
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


class Line(NamedTuple):
    """An address, and its names with spaces between them."""

    address: str
    names: str

    def __str__(self) -> str:
        return f"{self.address}\t{self.names}\n"


def file(lines: Iterable[Line], *, ipv6: bool) -> str:
    """A whole file; without IPv6, without any address of it."""
    kept = (str(line) for line in lines if ipv6 or ":" not in line.address)
    return "".join((LOCAL4, LOCAL6 if ipv6 else "", *kept))


def own(addresses: Iterable[str], hostname: str, domainname: str) -> list[Line]:
    """The container's lines: each of its addresses (`a.b.c.d/len`), with its name in full and without the domain."""
    name = f"{hostname}.{domainname}" if domainname else hostname
    short, dot, _ = name.partition(".")
    names = f"{name} {short}" if dot else name
    return [Line(address.partition("/")[0], names) for address in addresses if address]


def added(text: str, lines: Sequence[Line]) -> str:
    """With lines at its end, but those that are there."""
    ours = {str(line).rstrip("\n") for line in lines} - {*text.splitlines()}
    end = "" if not text or text.endswith("\n") else "\n"
    return text + end + "".join(str(line) for line in lines if str(line).rstrip("\n") in ours)


def removed(text: str, lines: Sequence[Line]) -> str:
    """Without these; a line that somebody has changed is theirs."""
    return "".join(one for one in text.splitlines(keepends=True) if not any(_is(one, line) for line in lines))


def _is(text: str, line: Line) -> bool:
    address, tab, names = text.rstrip("\n").rpartition("\t")
    return bool(tab) and names == line.names and _address(address) == _address(line.address)


def _address(text: str) -> object:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def moved(text: str, name: str, address: str) -> str:
    """With another address where `name` is the first name of a line."""
    return "".join(_moved(one, name, address) for one in text.splitlines(keepends=True))


def _moved(text: str, name: str, address: str) -> str:
    old, tab, names = text.partition("\t")
    same_kind = _address(old) is not None and (":" in old) == (":" in address)
    return f"{address}\t{names}" if tab and same_kind and names.split()[:1] == [name] else text
