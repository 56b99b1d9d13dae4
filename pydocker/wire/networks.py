"""Networks as the Engine API shows them, and a container's places in them (Network, NetworkSettings, …)."""

from collections.abc import Iterable

import msgspec

from pydocker.model.container import Container
from pydocker.model.network import BRIDGE, HOST, NONE, PREDEFINED, Endpoint, EndpointConfig, Network, Pool, Published
from pydocker.model.port import port
from pydocker.wire.times import rfc3339

Shape = dict[str, object]


def network(it: Network, members: Iterable[Endpoint] = ()) -> Shape:
    """One network of `GET /networks`, or with its members `GET /networks/{id}`."""
    return {
        "Name": it.name, "Id": it.id, "Created": rfc3339(it.created), "Scope": "local", "Driver": it.driver,
        "EnableIPv4": it.ipv4, "EnableIPv6": it.ipv6, "IPAM": {
            "Driver": "default", "Options": None if it.name in PREDEFINED else it.ipam_options,
            "Config": [_pool(pool) for pool in it.pools]},
        "Internal": it.internal, "Attachable": it.attachable, "Ingress": False,
        "ConfigFrom": {"Network": it.config_from}, "ConfigOnly": it.config_only, "Options": it.options,
        "Containers": {one.container: _member(one) for one in members},
        "Labels": it.labels, "Interface": it.interface,  # the last one is ours, and so are the last three of a member
    }


def _pool(pool: Pool) -> Shape:
    shape = {"Subnet": pool.subnet, "IPRange": pool.ip_range, "Gateway": pool.gateway,
             "AuxiliaryAddresses": pool.auxiliary}
    return {name: value for name, value in shape.items() if value}


def _member(one: Endpoint) -> Shape:
    return {"Name": one.name, "EndpointID": one.id, "MacAddress": one.mac, "IPv4Address": one.ipv4,
            "IPv6Address": one.ipv6, "Interface": one.interface, "HostInterface": one.host_interface,
            "Published": [msgspec.to_builtins(port) for port in one.published]}


def places(container: Container) -> Shape:
    """`NetworkSettings.Networks`: by the networks' names what was asked for, and what it has while it runs."""
    record = container.record
    mode = record.host.network_mode
    names = record.networks or ({mode: EndpointConfig()} if mode in (HOST, NONE) else {})  # of an earlier version
    ends = {end.network_name: end for end in container.endpoints}
    return {name: _place(config, ends.get(name)) for name, config in names.items()}


def _place(config: EndpointConfig, end: Endpoint | None) -> Shape:
    address, length = _split(end.ipv4 if end else "")
    address6, length6 = _split(end.ipv6 if end else "")
    return {
        **msgspec.to_builtins(config), "MacAddress": end.mac if end else config.mac_address,
        "NetworkID": end.network if end else "", "EndpointID": end.id if end else "",
        "Gateway": end.gateway if end else "", "IPAddress": address, "IPPrefixLen": length,
        "IPv6Gateway": end.gateway6 if end else "", "GlobalIPv6Address": address6, "GlobalIPv6PrefixLen": length6,
        "DNSNames": [*end.names] if end and end.names else None,
    }


def settings(container: Container) -> Shape:
    """`NetworkSettings` of an inspected container; what stands beside `Networks` is that of the default network."""
    by_name = places(container)
    default = next((end for end in container.endpoints if end.network_name == BRIDGE), None)
    address, length = _split(default.ipv4 if default else "")
    address6, length6 = _split(default.ipv6 if default else "")
    pid = container.state.pid
    return {
        "Bridge": "", "SandboxID": container.endpoints[0].id if container.endpoints else "",
        "SandboxKey": f"/proc/{pid}/ns/net" if pid else "", "Ports": ports(container), "HairpinMode": False,
        "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None, "EndpointID": default.id if default else "",
        "Gateway": default.gateway if default else "", "GlobalIPv6Address": address6,
        "GlobalIPv6PrefixLen": length6, "IPAddress": address, "IPPrefixLen": length,
        "IPv6Gateway": default.gateway6 if default else "", "MacAddress": default.mac if default else "",
        "Networks": by_name,
    }


def _split(address: str) -> tuple[str, int]:
    """`172.17.0.2/16` -> the address, and its prefix length."""
    bare, _, length = address.partition("/")
    return bare, int(length or 0)


def ports(container: Container) -> Shape:
    """`NetworkSettings.Ports` while it runs: by `80/tcp`, where each is published; null: exposed, and not published."""
    if not container.state.running:
        return {}
    found: dict[str, object] = dict.fromkeys(container.record.config.exposed_ports)
    for one in published(container):
        bound = found.setdefault(f"{one.container_port}/{one.protocol}", [])
        found[f"{one.container_port}/{one.protocol}"] = [
            *(bound if isinstance(bound, list) else ()), {"HostIp": one.host_ip, "HostPort": str(one.host_port)}]
    return found


def listed_ports(container: Container) -> list[Shape]:
    """`Ports` of a container in a list: exposed ones, and a line for each place where one is published."""
    lines: list[Shape] = [{"IP": one.host_ip, "PrivatePort": one.container_port, "PublicPort": one.host_port,
                           "Type": one.protocol} for one in published(container)]
    known = {f"{one.container_port}/{one.protocol}" for one in published(container)}
    exposed = container.record.config.exposed_ports if container.state.running else {}
    return lines + [{"PrivatePort": one.number, "Type": one.protocol} for key in exposed
                    if key not in known for one in (port(key),)]


def published(container: Container) -> list[Published]:
    """IPv4 before IPv6 for each port, as Docker has them."""
    return sorted((one for end in container.endpoints for one in end.published),
                  key=lambda one: (one.container_port, one.protocol, one.host_port, ":" in one.host_ip))
