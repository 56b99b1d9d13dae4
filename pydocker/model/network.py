"""A network as the engine knows it, and a container's place in one.

    Network    <data root>/networks/<id>/network.json      what was asked for and decided when it was created
    Endpoint   <run root>/networks/<id>/endpoints.json     one for each running container in it: its addresses, names
                                                           and published ports. Whoever allocates, answers names or
                                                           writes firewall rules reads this one document.
    EndpointConfig   in a container's config.json          what it asks for in a network, whether it runs or not

Addresses are text, as everywhere in Docker's API; a subnet and an endpoint's address carry their prefix length
(`172.18.0.2/16`), all others do not.
"""

from typing import NewType

import msgspec

NetworkId = NewType("NetworkId", str)  # 64 lower-case hexadecimal digits

BRIDGE = "bridge"  # the default network, and the driver of most others
HOST = "host"
NONE = "none"
PREDEFINED = (BRIDGE, HOST, NONE)


class Pool(msgspec.Struct, frozen=True):
    """A subnet whose addresses a network gives away: those of `ip_range`, where there is one.

    `auxiliary` are addresses, by any name, that belong to somebody else and are never given away.
    """

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = {}


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """`created` is in seconds since 1970. `interface` is the host's end of it: the bridge, or a macvlan's parent.

    `vlan` is not 0 where that parent is a VLAN link (`eth0.10`) that was not there: it is made, and goes with the last
    network on it. One that is `config_only` is a set of settings that others may take over (`config_from`: its name);
    no container can be in it.
    """

    id: NetworkId
    name: str
    created: float
    driver: str = BRIDGE
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam_options: dict[str, str] = {}
    pools: tuple[Pool, ...] = ()
    interface: str = ""
    vlan: int = 0
    config_only: bool = False
    config_from: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a network. Its pools may lack a gateway; without pools the engine chooses the subnets."""

    name: str
    driver: str = ""
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam_driver: str = ""
    ipam_options: dict[str, str] = {}
    pools: tuple[Pool, ...] = ()
    ingress: bool = False
    scope: str = ""
    config_only: bool = False
    config_from: str = ""


class PortBinding(msgspec.Struct, frozen=True, rename={"host_ip": "HostIp", "host_port": "HostPort"}):
    """One `-p`, as in HostConfig.PortBindings: empty words leave the choice to the engine; a port may be a range."""

    host_ip: str = ""
    host_port: str = ""


class IPAMConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename={
    "ipv4_address": "IPv4Address", "ipv6_address": "IPv6Address", "link_local_ips": "LinkLocalIPs",
}):
    """The addresses that a container asks for in a network."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] | None = None


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True, rename={
    "ipam_config": "IPAMConfig", "links": "Links", "aliases": "Aliases", "mac_address": "MacAddress",
    "driver_opts": "DriverOpts", "gw_priority": "GwPriority",
}):
    """What a container asks for in one network: the part of Docker's EndpointSettings that a request may carry."""

    ipam_config: IPAMConfig | None = None
    links: tuple[str, ...] | None = None
    aliases: tuple[str, ...] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0


class Published(msgspec.Struct, frozen=True):
    """A port of the host's that leads to one of the container's. `host_ip` "" stands for every address."""

    protocol: str  # tcp, udp or sctp
    host_ip: str
    host_port: int
    container_port: int


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A running container's place in a network.

    `interface` is its name inside, `host_interface` the other end of the pair (empty where there is none: macvlan).
    `names` are those that DNS answers to; the gateways are empty in networks that lead nowhere.
    """

    id: str  # 64 lower-case hexadecimal digits, new at every start
    network: NetworkId
    network_name: str = ""
    container: str
    name: str = ""  # the container's, when it was connected
    host_interface: str = ""
    interface: str = "eth0"
    mac: str = ""
    ipv4: str = ""  # a.b.c.d/len
    ipv6: str = ""
    gateway: str = ""
    gateway6: str = ""
    names: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # `web:db`: who is called db, for this container alone
    published: tuple[Published, ...] = ()
