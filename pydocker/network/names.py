"""What names mean to a container: those of the containers in its own networks. Pure.

    web          a name, an alias, a short id or a host name in any of its networks, the first network that knows it
    web.back     the same in the network `back`
    db           an alias that a --link has made for this container alone
    2.0.18.172.in-addr.arpa     who has the address

Names are compared without regard to case (RFC 4343). What is found belongs to living containers: `Endpoints` of killed
monitors are told apart by `alive`.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pydocker.model.network import BRIDGE, Endpoint, Network

_REVERSE = {".in-addr.arpa": 4, ".ip6.arpa": 6}


class Place(NamedTuple):
    """One of a container's networks, and everybody in it."""

    network: Network
    every: "Index"


class Index:
    """A network's endpoints by name and by address."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = endpoints
        self._names: dict[str, list[Endpoint]] = {}
        self._addresses: dict[str, Endpoint] = {}
        for endpoint in endpoints:
            for name in dict.fromkeys(name.lower() for name in endpoint.names):
                self._names.setdefault(name, []).append(endpoint)
            for address in addresses([endpoint], 4) + addresses([endpoint], 6):
                self._addresses[address] = endpoint

    def named(self, name: str) -> Sequence[Endpoint]:
        return self._names.get(name, ())

    def at(self, address: str) -> Endpoint | None:
        return self._addresses.get(address)


def find(places: Sequence[Place], container: str, name: str,
         alive: Callable[[Endpoint], bool]) -> Sequence[Endpoint] | None:
    """Everybody who is called so, in the first network that knows the name; None: nobody."""
    for wanted, network in splits(name):
        for place in places:
            if place.network.name == BRIDGE or network not in (None, place.network.name.lower()):
                continue
            called = _links(place, container).get(wanted, wanted)
            if found := [one for one in place.every.named(called) if alive(one)]:
                return found
    return None


def splits(name: str) -> Iterator[tuple[str, str | None]]:
    """Both names may have dots: a.b.c is looked for in every network, a.b in network c, a in network b.c."""
    yield name, None
    labels = name.split(".")
    for end in range(len(labels) - 1, 0, -1):
        yield ".".join(labels[:end]), ".".join(labels[end:])


def _links(place: Place, container: str) -> dict[str, str]:
    """The names that --link has given to others, for this container alone."""
    own = next((one for one in place.every.endpoints if one.container == container), None)
    if own is None:
        return {}
    return {alias.lower(): target.lower() for target, alias in map(link, own.links)}


def link(text: str) -> tuple[str, str]:
    """`web:db` -> who, and what it is to be called."""
    target, colon, alias = text.partition(":")
    return target.lstrip("/"), alias.rpartition("/")[2] if colon else target.lstrip("/")


def addresses(found: Sequence[Endpoint], version: int) -> list[str]:
    """Their addresses of one kind."""
    texts = (one.ipv4 if version == 4 else one.ipv6 for one in found)
    return [text.partition("/")[0] for text in texts if text]


def owner(places: Sequence[Place], name: str, alive: Callable[[Endpoint], bool]) -> str:
    """The name that belongs to a PTR query's address, as Docker writes it: container.network; empty: nobody's."""
    address = reversed_address(name)
    for place in places:
        found = place.every.at(address) if address and place.network.name != BRIDGE else None
        if found is not None and alive(found):
            return f"{found.name}.{place.network.name}"
    return ""


def reversed_address(name: str) -> str:
    """`2.0.18.172.in-addr.arpa` -> `172.18.0.2`; empty: it is none."""
    for suffix, version in _REVERSE.items():
        if name.endswith(suffix):
            labels = name.removesuffix(suffix).split(".")[::-1]
            text = ".".join(labels) if version == 4 else _grouped(labels)
            try:
                return str(ipaddress.ip_address(text))
            except ValueError:
                return ""
    return ""


def _grouped(digits: Sequence[str]) -> str:
    if len(digits) != 32 or any(len(digit) != 1 for digit in digits):
        return ""
    text = "".join(digits)
    return ":".join(text[at:at + 4] for at in range(0, 32, 4))


class Turns:
    """Whose turn it is to be named first, where several share a name."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = {}

    def rotate(self, name: str, version: int, found: list[str]) -> list[str]:
        """The addresses, begun with the next one. Counted for each kind by itself, since clients ask for both."""
        if len(found) < 2:
            return found
        if len(self._next) > 1000:
            self._next.clear()
        at = self._next.get((name, version), 0) % len(found)
        self._next[name, version] = at + 1
        return found[at:] + found[:at]


def leads_out(places: Sequence[Place]) -> bool:
    """Whether one of its networks leads out; else nothing is asked outside for it (CVE-2024-29018)."""
    return any(not place.network.internal for place in places)
