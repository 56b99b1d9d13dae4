"""Which networks a container is to be in: from what the request says to what its record holds.

Source of rules and words: moby daemon/container_operations.go, runconfig/hostconfig_unix.go.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping

import msgspec

from pydocker.containers import links
from pydocker.containers.sharing import OTHER
from pydocker.errors import InvalidParameter
from pydocker.model.container import Config, HostConfig
from pydocker.model.network import BRIDGE, HOST, NONE, PREDEFINED, EndpointConfig, IPAMConfig, Network
from pydocker.network import options
from pydocker.network.service import Networks

SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", re.ASCII)


def decide(networks: Networks, host: HostConfig, asked: Mapping[str, EndpointConfig]) -> dict[str, EndpointConfig]:
    """What is asked for in each network, by the networks' names; that of the mode comes first.

    Raises NotFound (no such network), InvalidParameter.
    """
    mode = BRIDGE if host.network_mode in ("", "default") else host.network_mode
    if mode.startswith(OTHER):
        if asked:
            raise InvalidParameter(SHARED)
        return {}
    found = {networks.find(mode).name: EndpointConfig()}
    for ref, config in asked.items():
        network = networks.find(mode if ref == "default" else ref)
        check(network, config)
        found[network.name] = normal(config)
    check_together(tuple(found))
    return found


def check_together(names: tuple[str, ...]) -> None:
    """Raises InvalidParameter for networks that exclude each other."""
    if len(names) > 1 and HOST in names:
        raise InvalidParameter(SHARED)
    if len(names) > 1 and NONE in names:
        raise InvalidParameter(_PRIVATE)


def check(network: Network, config: EndpointConfig) -> None:
    """Raises InvalidParameter, with everything that is wrong with it."""
    if config.mac_address and not _MAC.fullmatch(config.mac_address):
        raise InvalidParameter(f"invalid MAC address {config.mac_address}")
    if config.mac_address and int(config.mac_address[:2], 16) & 1:
        raise InvalidParameter(f"invalid MAC address {config.mac_address}: it is a multicast address")
    for text in config.links or ():
        links.parse(text)
    if faults := [*_faults(network, config)]:
        raise InvalidParameter("invalid endpoint settings:\n" + "\n".join(faults))
    options.check_endpoint(config.driver_opts or {})


def _faults(network: Network, config: EndpointConfig) -> Iterator[str]:
    asked = config.ipam_config or IPAMConfig()
    if network.name in PREDEFINED:
        if asked.ipv4_address or asked.ipv6_address:
            yield "user specified IP address is supported on user defined networks only"
            return
        if config.aliases:
            yield "network-scoped alias is supported only for containers in user defined networks"
    for version, text in ((4, asked.ipv4_address), (6, asked.ipv6_address)):
        if text:
            yield from _address_faults(network, version, text)
    for text in asked.link_local_ips or ():
        if not _is_address(text):
            yield f"invalid link-local IP address: {text}"


def _address_faults(network: Network, version: int, text: str) -> Iterator[str]:
    if not _is_address(text, version):
        yield f"invalid IPv{version} address: {text}"
        return
    subnets = [ipaddress.ip_network(pool.subnet) for pool in network.pools]
    if not any(subnet.version == version and ipaddress.ip_address(text) in subnet for subnet in subnets):
        yield f"no configured subnet or ip-range contain the IP address {text}"


def _is_address(text: str, version: int = 0) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    # With a zone (fd00::5%x), one address would be several, and several containers'.
    return not found.is_unspecified and version in (0, found.version) and "%" not in text


def check_mode(config: Config, host: HostConfig) -> None:
    """What cannot go with a network that is shared. Raises InvalidParameter; `config` is what the user wrote."""
    mode = host.network_mode
    if mode.startswith(OTHER):
        if not mode.removeprefix(OTHER):
            raise InvalidParameter("Invalid network mode: invalid container format container:<name|id>")
        if config.hostname:
            raise InvalidParameter("conflicting options: hostname and the network mode")
        if host.dns:
            raise InvalidParameter("conflicting options: dns and the network mode")
        if host.extra_hosts:
            raise InvalidParameter("conflicting options: custom host-to-IP mapping and the network mode")
        if host.port_bindings or host.publish_all_ports:
            raise InvalidParameter("conflicting options: port publishing and the container type network mode")
        if config.exposed_ports:
            raise InvalidParameter("conflicting options: port exposing and the container type network mode")


def normal(config: EndpointConfig) -> EndpointConfig:
    """Hardware addresses in one form, and addresses in their shortest."""
    asked = config.ipam_config
    if asked is not None:
        asked = msgspec.structs.replace(asked, ipv4_address=_short(asked.ipv4_address),
                                        ipv6_address=_short(asked.ipv6_address))
    return msgspec.structs.replace(config, mac_address=config.mac_address.lower().replace("-", ":"), ipam_config=asked)


def _short(text: str) -> str:
    return str(ipaddress.ip_address(text)) if text else ""
