"""Which subnet a network gets, and which address a container: pure functions over what is taken.

A subnet is chosen from Docker's pools first (172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/16 in pieces of /20), and
when these 31 are taken, in pieces of /24 from 10.192.0.0/10; for IPv6 a /64 of the engine's own unique local prefix
(RFC 4193). One that overlaps another network's, or a route of the host's, is passed over.
"""

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pydocker.errors import Forbidden, InvalidParameter, PydockerError
from pydocker.model.network import Network, Pool

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
DEFAULT_POOLS = (("172.17.0.0/16", 16), ("172.18.0.0/15", 16), ("172.20.0.0/14", 16), ("172.24.0.0/13", 16),
                 ("192.168.0.0/16", 20), ("10.192.0.0/10", 24))


class Route(NamedTuple):
    """A route of the host's main table. `gateway` is empty where it leads straight into the wire."""

    destination: Subnet
    interface: str
    gateway: str = ""

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}{via} dev {self.interface}"


class Sources(NamedTuple):
    """Where subnets come from: pools with the length of their pieces, and this engine's own word, for IPv6."""

    pools: tuple[tuple[str, int], ...] = DEFAULT_POOLS
    seed: str = ""


def candidates(version: int, sources: Sources) -> Iterator[Subnet]:
    """The subnets to be tried, in this order."""
    pools = [(ipaddress.ip_network(pool), size) for pool, size in sources.pools]
    for pool, size in pools:
        if pool.version == version:
            yield from pool.subnets(new_prefix=size)
    if version == 6 and not any(pool.version == 6 for pool, _ in pools):
        yield from ipaddress.IPv6Network((own_prefix(sources.seed), 48)).subnets(new_prefix=64)


def own_prefix(seed: str) -> int:
    """fd, and 40 bits that hardly anybody else has."""
    random = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:5], "big")
    return (0xFD << 120) | (random << 80)


def choose(version: int, taken: Iterable[Subnet], routes: Iterable[Route], sources: Sources) -> Subnet:
    """The first subnet that nobody has. Raises PydockerError."""
    used = [_span(one) for one in (*taken, *(route.destination for route in routes if route.destination.prefixlen))
            if one.version == version]
    for subnet in candidates(version, sources):
        first, last = _span(subnet)
        if not any(start <= last and first <= end for start, end in used):
            return subnet
    raise PydockerError(f"could not find an available, non-overlapping IPv{version} address pool among the defaults "
                        "to assign to the network")


def _span(subnet: Subnet) -> tuple[int, int]:
    return int(subnet.network_address), int(subnet.broadcast_address)


def check_free(subnet: Subnet, networks: Iterable[Network], routes: Iterable[Route]) -> None:
    """Raises Forbidden for a subnet that overlaps another network's, or a route that it would hide or be hidden by.

    A wider route over a gateway is none of these: what is closer has precedence, and everything else goes on.
    """
    for network in networks:
        for pool in network.pools:
            if _overlap(subnet, other := ipaddress.ip_network(pool.subnet)):
                raise Forbidden(f"invalid pool request: Pool overlaps with other one on this address space: {subnet} "
                                f"and {other} of network {network.name}")
    for route in routes:
        wider = route.gateway and route.destination.prefixlen < subnet.prefixlen
        if route.destination.prefixlen and not wider and _overlap(subnet, route.destination):
            raise Forbidden(f"invalid pool request: {subnet} overlaps with the host's route {route}")


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def gateway(subnet: Subnet, ip_range: str = "", auxiliary: Mapping[str, str] | None = None) -> str:
    """The address that the network keeps for itself, where nobody says which: its first one.

    Raises InvalidParameter.
    """
    found = next(usable(Pool(str(subnet), "", ip_range, dict(auxiliary or {}))), None)
    if found is None:
        raise InvalidParameter(f"no address is left for a gateway in {ip_range or subnet}")
    return str(found)


def shortened(pool: Pool) -> Pool:
    """The pool with all its addresses in their usual form: by that they are compared, and shown."""
    return Pool(str(ipaddress.ip_network(pool.subnet)), str(ipaddress.ip_address(pool.gateway)) if pool.gateway else "",
                str(ipaddress.ip_network(pool.ip_range)) if pool.ip_range else "",
                {name: str(ipaddress.ip_address(one)) for name, one in pool.auxiliary.items()})


def check_reserved(pool: Pool) -> None:
    """Raises PydockerError: the gateway or an auxiliary address is somebody's already, in moby's words
    (daemon/libnetwork/network.go, ipamAllocateVersion)."""
    taken = _ends(ipaddress.ip_network(pool.subnet))
    named = [(f"gateway ({pool.gateway})", pool.gateway)] if pool.gateway else []
    named += [(f"secondary ip address ({name}:{text})", text) for name, text in pool.auxiliary.items()]
    for what, text in named:
        if (one := ipaddress.ip_address(text)) in taken:
            raise PydockerError(f"failed to allocate {what}: Address already in use")
        taken.add(one)


def _ends(subnet: Subnet) -> set[Address]:
    """The first address of a subnet names the subnet (in IPv6, any router of it: RFC 4291, 2.6.1), the last one of IPv4
    everybody in it; a subnet of two or one has no such."""
    if subnet.num_addresses <= 2:
        return set()
    return {subnet.network_address, *([subnet.broadcast_address] if subnet.version == 4 else [])}


def usable(pool: Pool) -> Iterator[Address]:
    """Every address that may be given away, in order."""
    subnet = ipaddress.ip_network(pool.subnet)
    spread = ipaddress.ip_network(pool.ip_range) if pool.ip_range else subnet
    kept = {ipaddress.ip_address(one) for one in (pool.gateway, *pool.auxiliary.values()) if one} | _ends(subnet)
    return (address for address in spread if address not in kept)


def address(network: Network, version: int, taken: Collection[str], wanted: str = "") -> tuple[str, Pool] | None:
    """A free address of that version (`a.b.c.d/len`) and its pool; None where the network has no such pools.

    `taken` are addresses without their prefix lengths. Raises Forbidden: `wanted` is another's; PydockerError: none is
    left.
    """
    pools = [pool for pool in network.pools if ipaddress.ip_network(pool.subnet).version == version]
    if not pools:
        return None
    if wanted:
        return _wanted(pools, taken, wanted)
    used = {ipaddress.ip_address(one) for one in taken}
    for pool in pools:
        found = next((one for one in usable(pool) if one not in used), None)
        if found is not None:
            return _with_length(found, pool), pool
    raise PydockerError(f"no available IPv{version} addresses on this network's address pools: {network.name} "
                        f"({network.id})")


def _wanted(pools: Iterable[Pool], taken: Collection[str], wanted: str) -> tuple[str, Pool]:
    one = ipaddress.ip_address(wanted)
    pool = next((pool for pool in pools if one in ipaddress.ip_network(pool.subnet)), None)
    if pool is None:
        raise PydockerError(f"no configured subnet contains IP address {wanted}")
    kept = {ipaddress.ip_address(other) for other in (pool.gateway, *pool.auxiliary.values(), *taken) if other}
    if one in kept | _ends(ipaddress.ip_network(pool.subnet)):
        raise Forbidden(f"Address already in use: {wanted}")
    return _with_length(one, pool), pool


def _with_length(one: Address, pool: Pool) -> str:
    return f"{one}/{ipaddress.ip_network(pool.subnet).prefixlen}"


def mac(ipv4: str, ipv6: str, id: str) -> str:
    """A hardware address for an endpoint, derived from its address: so the neighbours' tables stay right when the next
    container gets that address. 02 marks it as one that no manufacturer has given (IEEE 802, locally administered)."""
    if ipv4:
        tail = ipaddress.ip_interface(ipv4).ip.packed
    elif ipv6:
        tail = hashlib.sha256(ipaddress.ip_interface(ipv6).ip.packed).digest()[:4]
    else:
        tail = bytes.fromhex(id[:8])
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *tail))
