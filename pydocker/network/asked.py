"""From `POST /networks/create` to a network: what cannot be is refused, what was left open is chosen. Pure."""

import ipaddress
import re
from collections.abc import Container, Iterable, Iterator, Sequence

from msgspec.structs import replace

from pydocker.errors import Conflict, Forbidden, InvalidParameter, NotFound
from pydocker.model.network import BRIDGE, HOST, PREDEFINED, Asked, Network, NetworkId, Pool
from pydocker.network import ipam, options, parents
from pydocker.network.ipam import Route, Sources, Subnet

_BLOCK = re.compile(r"[^/%]+/(0|[1-9]\d{0,2})", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", re.ASCII)


def completed(asked: Asked, others: Sequence[Network]) -> Asked:
    """The request with what it takes from a configuration-only network. Raises Forbidden, NotFound.

    Rules and words: moby daemon/libnetwork/network.go, validateConfiguration and applyConfigurationTo.
    """
    if asked.config_only and (asked.ingress or asked.internal or asked.attachable or asked.scope):
        raise Forbidden("configuration network can only contain network specific fields. Network operator fields like "
                        "[ ingress | internal | attachable | scope ] are not supported.")
    if not asked.config_from:
        return asked
    if asked.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    if (asked.ipam_driver not in ("", "default") or asked.ipam_options or asked.pools or asked.labels
            or not asked.ipv4 or asked.ipv6):
        raise Forbidden("user specified configurations are not supported if the network depends on a configuration "
                        "network")
    if asked.options:
        raise Forbidden("network driver options are not supported if the network depends on a configuration network")
    found = next((one for one in others if one.config_only and one.name == asked.config_from), None)
    if found is None:
        raise NotFound(f'configuration network "{asked.config_from}" does not exist')
    return replace(asked, ipv4=found.ipv4, ipv6=found.ipv6, options=found.options, labels=found.labels,
                   pools=found.pools)


def check(asked: Asked) -> None:
    """Everything that needs no look at other networks. Raises Forbidden, InvalidParameter, NotFound."""
    if asked.name in (*PREDEFINED, "default"):
        raise Forbidden(f"operation is not permitted on predefined {asked.name} network ")
    if not asked.name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if asked.name == "container":
        raise InvalidParameter("invalid network name 'container': it stands for another container's network")
    if not _NAME.fullmatch(asked.name):
        raise InvalidParameter(f"invalid network name {asked.name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if asked.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if asked.scope == "swarm":
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")
    if asked.scope not in ("", "local"):
        raise InvalidParameter(f"invalid scope {asked.scope!r}: the networks of an engine alone are local")
    if not asked.config_only:  # whose driver nobody knows yet
        _check_driver(asked)
    if asked.ipam_driver not in ("", "default"):
        raise InvalidParameter(f"could not find an IPAM driver called {asked.ipam_driver!r}: there is only 'default'")
    if asked.ipam_options:
        raise InvalidParameter(f"unknown option of the IPAM driver 'default': {min(asked.ipam_options)!r}")
    if not asked.ipv4 and not asked.ipv6:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")
    _check_pools(asked)


def _check_driver(asked: Asked) -> None:
    driver, parent = asked.driver or BRIDGE, asked.options.get("parent")
    if driver in (HOST, options.NULL):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    options.check(driver, asked.options)
    if asked.ipv6:
        options.check_ipv6(asked.options)
    if driver == BRIDGE:
        return
    if parent == "lo":
        raise InvalidParameter(f"loopback interface is not a valid {driver} parent link")
    if asked.options.get("macvlan_mode") == "passthru" and not parent:
        raise InvalidParameter("macvlan mode passthru needs a parent interface: -o parent=…")


def _check_pools(asked: Asked) -> None:
    faults = [fault for pool in asked.pools for fault in _faults(pool, ipv6=asked.ipv6)]
    if faults:
        raise InvalidParameter("invalid network config:\n" + "\n".join(faults))
    subnets = [ipaddress.ip_network(pool.subnet) for pool in asked.pools]
    for number, subnet in enumerate(subnets):
        if any(subnet.version == other.version and subnet.overlaps(other) for other in subnets[:number]):
            raise InvalidParameter("multiple overlapping subnet configuration is not supported")
    if not asked.ipv4 and any(subnet.version == 4 for subnet in subnets):
        raise InvalidParameter("an IPv4 subnet was given for a network without IPv4")


def _faults(pool: Pool, *, ipv6: bool) -> Iterator[str]:
    """What is wrong with a pool, in moby's words (api/types/network/ipam.go)."""
    try:
        given = _block(pool.subnet)
    except ValueError:
        yield f"invalid subnet {pool.subnet}: invalid CIDR block notation"
        return
    if given.version == 6 and not ipv6:
        yield f"invalid subnet {pool.subnet}: IPv6 is not enabled on this network (--ipv6)"
        return
    subnet = given.network
    if given.ip != subnet.network_address:
        yield f"invalid subnet {pool.subnet}: it should be {subnet}"
    if pool.ip_range:
        yield from _range_faults(pool.ip_range, subnet)
    for name, value in (("gateway " + pool.gateway, pool.gateway),
                        *((f"auxiliary address {key}", one) for key, one in pool.auxiliary.items())):
        if (value or not name.startswith("gateway")) and (fault := _address_fault(value, subnet)):
            yield f"invalid {name}: {fault}"


def _block(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """`a.b.c.d/n`; Python would also take a netmask for the length, a zone, and zeros in front. Raises ValueError."""
    if not _BLOCK.fullmatch(text):
        raise ValueError
    return ipaddress.ip_interface(text)


def _range_faults(ip_range: str, subnet: Subnet) -> Iterator[str]:
    try:
        given = _block(ip_range)
    except ValueError:
        yield f"invalid ip-range {ip_range}: invalid CIDR block notation"
        return
    if given.version != subnet.version:
        yield f"invalid ip-range {ip_range}: parent subnet is an IPv{subnet.version} block"
        return
    if given.network.prefixlen < subnet.prefixlen:
        yield f"invalid ip-range {ip_range}: CIDR block is bigger than its parent subnet {subnet}"
    if given.ip != given.network.network_address:
        yield f"invalid ip-range {ip_range}: it should be {given.network}"
    if not subnet.overlaps(given.network):
        yield f"invalid ip-range {ip_range}: parent subnet {subnet} doesn't contain ip-range"


def _address_fault(text: str, subnet: Subnet) -> str:
    try:
        address = ipaddress.ip_address(text)
        if "%" in text:  # a zone may be anything, and is no part of an address that is given to somebody
            raise ValueError
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    return "" if address in subnet else f"parent subnet {subnet} doesn't contain this address"


def decide(asked: Asked, id: NetworkId, created: float, others: Sequence[Network], routes: Sequence[Route],
           sources: Sources, links: Container[str] = ()) -> Network:
    """The network; `links` are the host's. Raises Conflict (the name is taken), Forbidden (a subnet is), PydockerError
    (none is free)."""
    if any(other.name == asked.name for other in others):
        raise Conflict(f"network with name {asked.name} already exists")
    if asked.config_only:
        return Network(id=id, name=asked.name, created=created, driver=options.NULL, ipv4=asked.ipv4, ipv6=asked.ipv6,
                       options=asked.options, labels=asked.labels, pools=asked.pools, config_only=True)
    driver = asked.driver or BRIDGE
    interface = _interface(asked, driver, id)
    others = [other for other in others if not other.config_only]
    sharing = [other for other in others if other.interface == interface]
    for other in sharing:
        if fault := parents.sharing_fault(id, driver, asked.options, other):
            raise Conflict(fault)
    return Network(
        id=id, name=asked.name, created=created, driver=driver, ipv4=asked.ipv4, ipv6=asked.ipv6,
        internal=asked.internal or (driver != BRIDGE and not asked.options.get("parent")), attachable=asked.attachable,
        options=asked.options, labels=asked.labels, interface=interface, config_from=asked.config_from,
        vlan=parents.vlan(asked.options.get("parent", ""), sharing, links) if driver != BRIDGE else 0,
        pools=tuple(sorted(_pools(asked, others, routes, sources), key=_version)))


def _version(pool: Pool) -> int:
    """Of its addresses: IPv4 is shown first, as in Docker."""
    return ipaddress.ip_network(pool.subnet).version


def _interface(asked: Asked, driver: str, id: str) -> str:
    """The bridge, or the parent of macvlan and ipvlan: without one, a dummy link that leads nowhere."""
    if driver == BRIDGE:
        return asked.options.get(options.NAME) or f"br-{id[:12]}"
    return asked.options.get("parent") or f"dm-{id[:12]}"


def _pools(asked: Asked, others: Sequence[Network], routes: Sequence[Route],
           sources: Sources) -> Iterator[Pool]:
    given = [ipaddress.ip_network(pool.subnet).version for pool in asked.pools]
    for pool in asked.pools:
        subnet = ipaddress.ip_network(pool.subnet)
        if (asked.driver or BRIDGE) == BRIDGE or not asked.options.get("parent"):
            ipam.check_free(subnet, others, routes)
        else:
            ipam.check_free(subnet, others, ())  # a macvlan's is that of its parent's wire
        made = replace(pool, gateway=pool.gateway or (
            ipam.gateway(subnet, pool.ip_range, pool.auxiliary) if _has_gateway(asked) else ""))
        ipam.check_reserved(made)
        yield ipam.shortened(made)
    for version, wanted in ((4, asked.ipv4), (6, asked.ipv6)):
        if wanted and version not in given:
            subnet = ipam.choose(version, _subnets(others), routes, sources)
            yield Pool(str(subnet), ipam.gateway(subnet) if _has_gateway(asked) else "")


def _has_gateway(asked: Asked) -> bool:
    """Whether one is chosen where none was named. On a macvlan's wire the gateway is somebody else, whom only the user
    knows; an ipvlan of layer three needs none (since Docker 28)."""
    if asked.driver == options.IPVLAN:
        return bool(asked.options.get("parent")) and asked.options.get("ipvlan_mode", "l2") == "l2"
    return asked.driver != options.MACVLAN


def _subnets(networks: Iterable[Network]) -> Iterator[Subnet]:
    return (ipaddress.ip_network(pool.subnet) for network in networks for pool in network.pools)
