"""Why a published port can be reached, or cannot: every hop between a client and the program, looked at.

    held  led | carried  routed  passed  listening

`look` asks the kernel, `examine` judges (pure).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from pydocker.model.network import Endpoint, Network, Published
from pydocker.network import firewall, foreign, forwarding, gateways, legacy, nft
from pydocker.network.firewall import LOOPBACK4, Element
from pydocker.network.holders import holder, listening
from pydocker.network.resolvconf import INTERNAL

MONITOR = "pydocker-mon"


class Hop(msgspec.Struct, frozen=True, rename="pascal"):
    """One thing that has to be so, and whether it is."""

    what: str
    good: bool
    detail: str


class Finding(msgspec.Struct, frozen=True, rename="pascal"):
    """One published port: where it leads, the hops, and who can use it (in words)."""

    port: str
    network: str
    hops: tuple[Hop, ...]
    reachable_from: tuple[str, ...]

    @property
    def good(self) -> bool:
        return all(hop.good for hop in self.hops)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel says about one published port, and about the way to it."""

    holder: str = ""
    missing: tuple[str, ...] = ()  # elements that the table lacks, and the map they belong to
    table: str = ""
    forwards: bool = True
    closed: bool = False  # it was us who made the host a router
    localnet: bool = True
    walls: tuple[str, ...] = ()  # chains of others that drop what comes through our bridge
    screens: tuple[str, ...] = ()  # chains of others that have a rule which drops or rejects: they may, or may not
    listening: tuple[tuple[str, int], ...] = ()  # but the monitor, for names
    running: bool = True


def examine(network: Network, endpoint: Endpoint, one: Published, facts: Facts) -> Finding:
    """The hops in the order in which a packet takes them."""
    address = ipaddress.ip_address(one.host_ip)
    carried = firewall.relayed(one, endpoint)
    inside = _inside(one, endpoint)
    hops = [_held(one, facts)]
    if network.internal:
        hops.append(Hop("the network leads out", False, f"{network.name} is internal: none of its ports is published"))
    elif carried:
        hops.append(Hop("the monitor carries it", True, "a program's work, so the container sees the host's address as "
                        "the client's"))
    else:
        hops += [_led(network, one, facts), *_routed(address, facts), _passed(network, facts)]
    hops.append(_listening(one, inside, facts))
    reachable = tuple(_reachable(network, address)) if all(hop.good for hop in hops) else ()
    return Finding(f"{_shown(one.host_ip)}:{one.host_port} -> {_shown(inside)}:{one.container_port}/{one.protocol}",
                   network.name, tuple(hops), reachable)


def _held(one: Published, facts: Facts) -> Hop:
    if one.protocol == "sctp":
        return Hop("the host's port is ours", True, "sctp: the kernel does not say who has it")
    return Hop("the host's port is ours", facts.holder.startswith(MONITOR),
               f"held by {facts.holder}" if facts.holder else "nobody holds it: the container's monitor is gone")


def _led(network: Network, one: Published, facts: Facts) -> Hop:
    routed = gateways.mode(network, ipaddress.ip_address(one.host_ip).version) == gateways.ROUTED
    what = "the firewall lets clients in" if routed else "the firewall leads it to the container"
    if facts.missing:
        return Hop(what, False, f"{facts.missing[0]} is missing in table inet {facts.table}: somebody has changed it, "
                   "and it is written again when a container starts")
    detail = "network in routed mode: the container's own address and port" if routed else "destination NAT"
    return Hop(what, True, f"{detail} (table inet {facts.table})")


def _routed(address: ipaddress.IPv4Address | ipaddress.IPv6Address, facts: Facts) -> Iterator[Hop]:
    if address in LOOPBACK4:
        yield Hop("the host routes 127.0.0.0/8 to it", facts.localnet, "route_localnet of the bridge is "
                  f"{'on' if facts.localnet else 'off'}")
        return
    name = "net.ipv4.ip_forward" if address.version == 4 else "net.ipv6.conf.all.forwarding"
    detail = f"{name} is {'on' if facts.forwards else 'off: somebody has turned it off'}"
    note = ("; it was off before, so that the host forwards for our networks and for bridges that came later alone "
            "(ip-forward-no-drop in the configuration changes that)") if facts.closed else ""
    yield Hop(f"the host is an IPv{address.version} router", facts.forwards, detail + note)


def _passed(network: Network, facts: Facts) -> Hop:
    what = "no other firewall drops it"
    if facts.walls:
        return Hop(what, False, f"{facts.walls[0]} drops what comes through {network.interface}")
    if facts.screens:
        return Hop(what, True, f"as far as can be told: {', '.join(facts.screens)} may drop some of it")
    return Hop(what, True, "no other rule drops anything")


def _listening(one: Published, inside: str, facts: Facts) -> Hop:
    what = "a program listens in the container"
    if not facts.running:
        return Hop(what, False, "the container does not run")
    if one.protocol == "sctp":
        return Hop(what, True, "sctp: the kernel does not say")
    at = [address for address, port in facts.listening if port == one.container_port]
    if any(_takes(address, inside) for address in at):
        return Hop(what, True, f"at {', '.join(f'{_shown(each)}:{one.container_port}' for each in at)}")
    if at:
        return Hop(what, False, f"only at {', '.join(f'{_shown(each)}:{one.container_port}' for each in at)}, which "
                   f"{_shown(inside)} is not: it has to listen at 0.0.0.0 or ::")
    others = ", ".join(sorted({f"{port}/{one.protocol}" for _, port in facts.listening})) or "none at all"
    return Hop(what, False, f"nobody listens at {one.container_port}/{one.protocol} (ports with a listener: {others})")


def _takes(listener: str, inside: str) -> bool:
    """A program at `::` gets IPv4 as well, if it has not chosen otherwise."""
    here, there = ipaddress.ip_address(listener), ipaddress.ip_address(inside)
    return here == there or (here.is_unspecified and here.version in (there.version, 6))


def _reachable(network: Network, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[str]:
    if gateways.mode(network, address.version) == gateways.ROUTED:
        yield from ("this host, by the container's address", "other hosts, by the container's address")
    elif address.is_loopback:
        yield f"this host, by {_shown(str(address))}"
    elif address.is_unspecified:
        loopback = "127.0.0.1" if address.version == 4 else "[::1]"
        yield f"this host, by {loopback} and its own addresses"
        yield "other hosts, by any of this host's addresses"
        yield "containers (but of internal networks), by this host's addresses"
    else:
        yield from (f"{who}, by {_shown(str(address))}" for who in (
            "this host", "other hosts", "containers (but of internal networks)"))


def _inside(one: Published, endpoint: Endpoint) -> str:
    ways = (endpoint.ipv6, endpoint.ipv4) if ":" in one.host_ip else (endpoint.ipv4, endpoint.ipv6)
    return next(filter(None, ways), "").partition("/")[0]


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


# The kernel's side

def look(table: str, directory: Path, network: Network, endpoint: Endpoint, one: Published, pid: int) -> Facts:
    """`pid`: the container's process, 0 if there is none; `directory`: <run root>/firewall."""
    version = ipaddress.ip_address(one.host_ip).version
    walls, screens = _others(table, network)
    return Facts(
        holder=holder(one.protocol, one.host_ip, one.host_port), table=table,
        missing=tuple(_missing(table, firewall.of_endpoint(network, _only(endpoint, one)))),
        forwards=forwarding.is_on(version), closed=_closed(directory, version),
        localnet=_localnet(network.interface), walls=walls, screens=screens, running=pid > 0,
        listening=tuple(found for found in listening(one.protocol, pid) if found[0] != INTERNAL) if pid > 0 else ())


def _closed(directory: Path, version: int) -> bool:
    return any(one.version == version for one in forwarding.remembered(directory).closed)


def _only(endpoint: Endpoint, one: Published) -> Endpoint:
    return msgspec.structs.replace(endpoint, published=(one,))


def _missing(table: str, elements: Iterable[Element]) -> Iterator[str]:
    for one in elements:
        shown = nft.element(table, one.where, one.key)
        if not shown or one.value not in shown:
            yield f"{one.where} {{ {one} }}"


def _localnet(interface: str) -> bool:
    try:
        return Path(f"/proc/sys/net/ipv4/conf/{interface}/route_localnet").read_text().strip() == "1"
    except FileNotFoundError:
        return False


def _others(table: str, network: Network) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Chains of others at the forward hook: those that drop our bridge's packets, and those that drop something."""
    walls, screens = [*legacy.walls(table, network.interface)], []
    for chain in foreign.forwarding(nft.chains(), table):
        rules = nft.rules(chain)
        name = f"chain {chain.name} of table {chain.family} {chain.table}"
        if foreign.drops_through(table, chain, rules, network.interface):
            walls.append(name)
        elif any(_drops(rules)) and not foreign.drops(chain, rules):
            screens.append(name)
    return tuple(walls), tuple(screens)


def _drops(rules: Sequence[nft.Rule]) -> Iterator[bool]:
    return (bool({"drop", "reject"} & set(word)) for rule in rules for word in rule.expressions)
