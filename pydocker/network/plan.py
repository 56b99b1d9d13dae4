"""From networks and endpoints to steps. Pure: the page to read for what a network is made of."""

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence

from pydocker.errors import NotSupported
from pydocker.model.network import BRIDGE, Endpoint, EndpointConfig, IPAMConfig, Network, Pool
from pydocker.network import default, ipam, options
from pydocker.network.naming import Listen
from pydocker.network.opening import Admit, Lead
from pydocker.network.places import (
    DefaultRoute,
    InnerAddress,
    InnerSysctls,
    InnerUp,
    Ipvlan,
    Loopback,
    Macvlan,
    MakeNamespace,
    NoDefaultRoute,
    Plug,
    Way,
)
from pydocker.network.steps import HostAddress, LinkUp, MakeBridge, MakeDummy, MakeVlan, Site, Sysctls
from runtime.step import Step

Steps = tuple[Step[Site], ...]
Place = tuple[Network, Endpoint, EndpointConfig]


def network(it: Network, table: str) -> Steps:
    """What the host has of a network."""
    if it.driver != BRIDGE:
        if it.vlan:
            return MakeVlan(it.interface, it.interface.rpartition(".")[0], it.vlan), LinkUp(it.interface)
        lonely = it.driver in (options.MACVLAN, options.IPVLAN) and not it.options.get("parent")
        return (MakeDummy(it.interface), LinkUp(it.interface)) if lonely else ()
    mac = ipam.mac(next(_addresses(it, 4), ""), next(_addresses(it, 6), ""), it.id)
    return (MakeBridge(it.interface, mac, options.mtu(it)), *addressed(it, ()), LinkUp(it.interface),
            Admit(table, it))


def addressed(it: Network, present: Sequence[str]) -> Steps:
    """The host's own addresses on the bridge, but those that are there."""
    conf = f"net/ipv6/conf/{it.interface}"
    values = ((f"{conf}/disable_ipv6", "0" if it.ipv6 else "1"), (f"{conf}/accept_ra", "0"),
              (f"net/ipv4/conf/{it.interface}/route_localnet", "0" if it.internal else "1"))
    missing = [one for one in addresses(it) if one not in present]
    return (Sysctls(values), *(HostAddress(it.interface, one) for one in missing))


def addresses(it: Network) -> Iterator[str]:
    """The host's own ones in a bridge network, with their prefix lengths."""
    return (one for version in (4, 6) for one in _addresses(it, version))


def _addresses(it: Network, version: int) -> Iterator[str]:
    if version == 4 and options.enabled(it, options.INHIBIT, default=False):
        return
    for pool in it.pools:
        subnet = ipaddress.ip_network(pool.subnet)
        if subnet.version == version and pool.gateway:
            yield f"{pool.gateway}/{subnet.prefixlen}"


def sandbox(netns: str, places: Sequence[Place]) -> Steps:
    """A container's namespace, with an interface for each place, and the way out."""
    plugged = [step for place in places for step in connected(netns, *place)]
    listen = (Listen(netns),) if named(places) else ()
    return (MakeNamespace(netns), Loopback(netns), *listen, *plugged, *ways_out(netns, (), places))


def named(places: Sequence[Place]) -> bool:
    """Whether there are names to be answered: in every network but the default one, as in Docker."""
    return any(it.name != BRIDGE for it, _, _ in places)


def led(table: str, places: Sequence[Place]) -> Steps:
    """What leads its published ports to a container."""
    return tuple(Lead(table, it, endpoint) for it, endpoint, _ in places if endpoint.published)


def connected(netns: str, it: Network, endpoint: Endpoint, config: EndpointConfig) -> Steps:
    """One more interface."""
    name, given = endpoint.interface, options.sysctls(config, endpoint.interface)
    conf = f"net/ipv6/conf/{name}"
    values = ((f"{conf}/disable_ipv6", "0" if endpoint.ipv6 else "1"), (f"{conf}/accept_ra", "0"), *given)
    return (
        _interface(netns, it, endpoint),
        InnerSysctls(netns, values),
        *(InnerAddress(netns, name, one) for one in (endpoint.ipv4, endpoint.ipv6, *_link_local(config)) if one),
        InnerUp(netns, name),
    )


def _link_local(config: EndpointConfig) -> tuple[str, ...]:
    given = (config.ipam_config.link_local_ips or ()) if config.ipam_config else ()
    return tuple(f"{one}/{16 if ipaddress.ip_address(one).version == 4 else 64}" for one in given)


def _interface(netns: str, it: Network, endpoint: Endpoint) -> Step[Site]:
    mtu = options.mtu(it)
    match it.driver:
        case "bridge":
            return Plug(netns, it.interface, endpoint.host_interface, endpoint.interface, endpoint.mac, mtu,
                        isolated=not options.enabled(it, options.ICC), hairpin=bool(endpoint.published))
        case options.MACVLAN:
            return Macvlan(netns, it.interface, endpoint.interface, it.options.get("macvlan_mode", "bridge"),
                           endpoint.mac, mtu)
        case options.IPVLAN:
            return Ipvlan(netns, it.interface, endpoint.interface, it.options.get("ipvlan_mode", "l2"), mtu=mtu,
                          flag=it.options.get("ipvlan_flag", "bridge"))
    raise NotSupported(f"network {it.name}: no container can be plugged into one of driver {it.driver}")


def endpoint(it: Network, config: EndpointConfig, taken: Sequence[Endpoint], interface: str, *, id: str, container: str,
             name: str, names: Sequence[str]) -> Endpoint:
    """A place in a network: the addresses asked for, or free ones. Raises PydockerError, Forbidden."""
    asked = config.ipam_config or IPAMConfig()
    found = {version: ipam.address(it, version, [_bare(one, version) for one in taken], wanted)
             for version, wanted in ((4, asked.ipv4_address), (6, asked.ipv6_address))}
    (ipv4, pool4), (ipv6, pool6) = found[4] or ("", Pool("")), found[6] or ("", Pool(""))
    routed = it.driver == options.IPVLAN and it.options.get("ipvlan_mode", "l2") != "l2"
    leads_out = not it.internal and not routed
    return Endpoint(
        id=id, network=it.id, network_name=it.name, container=container, name=name,
        host_interface=_cable(it, ipv4 or ipv6) if it.driver == BRIDGE else "", interface=interface,
        mac=config.mac_address or ("" if it.driver == options.IPVLAN else ipam.mac(ipv4, ipv6, id)),
        ipv4=ipv4, ipv6=ipv6, gateway=_gateway(it, 4, pool4) if leads_out else "",
        gateway6=_gateway(it, 6, pool6) if leads_out else "",
        names=tuple(names), links=config.links or ())


def _gateway(it: Network, version: int, pool: Pool) -> str:
    """Of a bridge network it may be another router on the bridge, named as Docker names it."""
    other = pool.auxiliary.get(default.GATEWAY[version]) if it.driver == BRIDGE else None
    return other or pool.gateway


def _cable(it: Network, address: str) -> str:
    """The name of the host's end, which follows from the address: so of two that have the same one, the second comes
    upon the first (`Plug`). As long as a name can be (IFNAMSIZ, 16 bytes), so that no others share one."""
    return "veth" + hashlib.sha256(f"{it.id} {address}".encode()).hexdigest()[:11]


def _bare(one: Endpoint, version: int) -> str:
    return (one.ipv4 if version == 4 else one.ipv6).partition("/")[0]


def interface(it: Network, config: EndpointConfig, used: Sequence[str]) -> str:
    """Its name in the container: the one that was asked for, or the first free of eth0, eth1, …"""
    asked = (config.driver_opts or {}).get(options.IFNAME)
    if asked:
        return asked
    prefix = it.options.get(options.PREFIX) or "eth"
    return next(name for number in range(len(used) + 1) if (name := f"{prefix}{number}") not in used)


def ways_out(netns: str, before: Sequence[Place], after: Sequence[Place]) -> Steps:
    """What has to be changed of the default routes when these places become those."""
    return tuple(step for version in (4, 6)
                 if (new := way_out(after, version)) != (old := way_out(before, version))
                 for step in ((DefaultRoute(netns, new[0], version, new[1], old),) if new else
                              (NoDefaultRoute(netns, version, old),) if old else ()))


def way_out(places: Sequence[Place], version: int) -> Way | None:
    """The interface and the gateway of the default route."""
    able = [(-config.gw_priority, it.name, endpoint.interface, via) for it, endpoint, config in places
            if (via := _via(it, endpoint, version)) is not None]
    return min(able)[2:] if able else None


def _via(it: Network, endpoint: Endpoint, version: int) -> str | None:
    if it.internal or not (endpoint.ipv4 if version == 4 else endpoint.ipv6):
        return None
    gateway = endpoint.gateway if version == 4 else endpoint.gateway6
    routed = it.driver == options.IPVLAN and it.options.get("ipvlan_mode", "l2") != "l2"
    return gateway if gateway or routed else None


def names(network: Network, name: str, id: str, hostname: str, aliases: Sequence[str]) -> tuple[str, ...]:
    """What DNS answers to: name, aliases, short id, host name. Not on the default network, as in Docker."""
    if network.name == BRIDGE:
        return ()
    return tuple(dict.fromkeys(one for one in (name, *aliases, id[:12], hostname) if one))
