"""The firewall as data: what networks and endpoints put into the sets of the table that `ruleset` writes. Pure.

A container's start or end adds or deletes elements, in one transaction (nft(8) applies a file as a whole or not at
all). Whatever may have happened to the table, it is written again from what is on disk.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pydocker.model.network import BRIDGE, Endpoint, Network, Published
from pydocker.network import gateways, options

LOOPBACK4, LOOPBACK6 = ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_address("::1")
ANY4, ANY6 = "0.0.0.0", "::"  # as Docker tells where a port is published


class Element(msgspec.Struct, frozen=True, order=True):
    """One fact: an element of a set, or of a map, where `value` is what the key leads to."""

    where: str
    key: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key} : {self.value}" if self.value else self.key


def add(table: str, elements: Iterable[Element]) -> str:
    """The transaction that adds these; one that is there already does no harm."""
    return "".join(f"add element inet {table} {where} {{ {', '.join(map(str, of))} }}\n"
                   for where, of in _by_set(elements))


def delete(table: str, elements: Iterable[Element]) -> str:
    """The transaction that takes these away; one that is not there makes it fail as a whole."""
    return "".join(f"delete element inet {table} {where} {{ {', '.join(one.key for one in of)} }}\n"
                   for where, of in _by_set(elements))


def _by_set(elements: Iterable[Element]) -> list[tuple[str, list[Element]]]:
    found: dict[str, list[Element]] = {}
    for one in sorted(set(elements)):
        found.setdefault(one.where, []).append(one)
    return list(found.items())


def of_network(network: Network) -> Iterator[Element]:
    """What holds for everybody in it. Networks of other drivers have no bridge, and nothing to be said."""
    if network.driver != BRIDGE:
        return
    bridge = f'"{network.interface}"'
    yield Element("bridges", bridge)
    if options.enabled(network, options.ICC):
        yield Element("within", f"{bridge} . {bridge}")
    if network.internal:
        yield Element("internal", bridge)
        return
    for name in gateways.trusted(network):
        yield Element("trusted", f'"{name}" . {bridge}')
    for version, proto in ((4, "ipv4"), (6, "ipv6")):
        mode = gateways.mode(network, version)
        if mode == gateways.UNPROTECTED:
            yield Element("unprotected", f"{proto} . {bridge}")
        elif mode == gateways.ROUTED:
            yield Element("routed", f"{proto} . {bridge}")
    yield from _sources(network)


def _sources(network: Network) -> Iterator[Element]:
    """Where its containers are, and behind which address they go out."""
    for pool in network.pools:
        version = ipaddress.ip_network(pool.subnet).version
        yield Element(f"subnets{version}", pool.subnet)
        behind = network.options.get(gateways.ADDRESS[version], "")
        if gateways.mode(network, version) == gateways.ROUTED:
            continue
        if behind:
            yield Element(f"source{version}", pool.subnet, behind)
        elif options.enabled(network, options.MASQUERADE):
            yield Element(f"masquerade{version}", pool.subnet)


def of_endpoint(network: Network, endpoint: Endpoint) -> Iterator[Element]:
    """What publishes its ports; those that the kernel cannot lead there are the monitor's (`relayed`), and so is what
    comes to a link-local address, which `::` is, too."""
    if network.driver != BRIDGE or network.internal:
        return
    for one in endpoint.published:
        version = ipaddress.ip_address(one.host_ip).version
        port = f"{one.protocol} . {one.host_port}"
        carried = relayed(one, endpoint)
        if carried or one.host_ip == ANY6:
            yield _carried(one, version, port)
        if carried:
            continue
        inside = _bare(endpoint.ipv4 if version == 4 else endpoint.ipv6)
        if gateways.mode(network, version) == gateways.ROUTED:
            yield Element(f"open{version}", f"{inside} . {one.protocol} . {one.container_port}")
            continue
        target = f"{inside} . {one.container_port}"
        if not options.enabled(network, options.ICC):
            yield _beside(network, one, version, port)
        if one.host_ip in (ANY4, ANY6):
            yield Element(f"ports{version}", port, target)
        else:
            yield Element(f"ports{version}_at", f"{one.host_ip} . {port}", target)


def _carried(one: Published, version: int, port: str) -> Element:
    if one.host_ip in (ANY4, ANY6):
        return Element("carried", f"ipv{version} . {port}")
    return Element(f"carried{version}", f"{one.host_ip} . {port}")


def _beside(network: Network, one: Published, version: int, port: str) -> Element:
    """Containers that may not speak with each other do so by published ports, as in Docker. Led there by the kernel,
    such a packet would not leave the bridge where br_netfilter is active, and two ports that are isolated from each
    other are so for it, too: the monitor carries it."""
    bridge = f'"{network.interface}"'
    if one.host_ip in (ANY4, ANY6):
        return Element("beside", f"{bridge} . ipv{version} . {port}")
    return Element(f"beside{version}", f"{bridge} . {one.host_ip} . {port}")


def relayed(one: Published, endpoint: Endpoint) -> bool:
    """Whether nobody but a program can carry it: ::1 is never routed, and IPv4 is not IPv6.

    A port on `::` is both: the kernel leads what comes from outside, and the rest is for the monitor.
    """
    address = ipaddress.ip_address(one.host_ip)
    return address == LOOPBACK6 or not (endpoint.ipv4 if address.version == 4 else endpoint.ipv6)


def everything(networks: Sequence[Network], endpoints: Iterable[Endpoint]) -> Iterator[Element]:
    """All that the table has to hold."""
    known = {network.id: network for network in networks}
    for network in networks:
        yield from of_network(network)
    for endpoint in endpoints:
        if endpoint.network in known:
            yield from of_endpoint(known[endpoint.network], endpoint)


def neighbours(table: str, ours: Iterable[str], other: str, theirs: Iterable[str], known: Iterable[str],
               gone: Iterable[str]) -> str:
    """The commands after which two engines' tables let the other's bridges pass. `known`: ours that the other knows
    already; `gone`: what it knows, and is there no more."""
    return (add(table, map(_neighbour, theirs)) + add(other, map(_neighbour, set(ours) - set(known)))
            + delete(other, map(_neighbour, gone)))


def _neighbour(bridge: str) -> Element:
    return Element("neighbours", f'"{bridge}"')


def versions(network: Network) -> tuple[int, ...]:
    """4 and 6, as far as it has subnets of them."""
    return tuple(sorted({ipaddress.ip_network(pool.subnet).version for pool in network.pools}))


def datagram_ports(elements: Iterable[Element]) -> set[int]:
    """The host's UDP ports that are led somewhere."""
    return {int(words[-1]) for one in elements
            if one.where.startswith("ports") and "udp" in (words := one.key.split(" . "))}


def datagram_targets(elements: Iterable[Element]) -> set[tuple[str, int]]:
    """Where these are led."""
    return {(address, int(port)) for one in elements if one.where.startswith("ports") and "udp" in one.key.split(" . ")
            for address, _, port in (one.value.partition(" . "),)}


def _bare(address: str) -> str:
    return address.partition("/")[0]
