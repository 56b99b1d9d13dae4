"""The options of networks and endpoints (`-o`, `--driver-opt`), by Docker's names; what nobody knows is refused."""

import ipaddress
import re
from collections.abc import Callable, Mapping

from pydocker.errors import InvalidParameter, NotFound
from pydocker.model.network import BRIDGE, HOST, EndpointConfig, Network
from pydocker.network import gateways

NAME = "com.docker.network.bridge.name"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
BINDING = "com.docker.network.bridge.host_binding_ipv4"
INHIBIT = "com.docker.network.bridge.inhibit_ipv4"
DEFAULT = "com.docker.network.bridge.default_bridge"
MTU = "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
IFNAME = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
MACVLAN, IPVLAN, NULL = "macvlan", "ipvlan", "null"
IPV6_MTU = 1280  # RFC 8200, 5; below it, a link has no IPv6 at all
DRIVERS = (BRIDGE, MACVLAN, IPVLAN, HOST, NULL)

MACVLAN_MODES = {"private": "private", "vepa": "vepa", "bridge": "bridge", "passthru": "passthru"}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}

_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.(?:IFNAME|ifname)\.([a-z0-9_]+)=(-?\d+)", re.ASCII)
_LINK = re.compile(r"(?!\.{1,2}\Z)[^\s/:]{1,15}")  # dev_valid_name() of net/core/dev.c, and no quoting in nft


def _truth(value: str) -> bool:
    return value.lower() in ("true", "1", "t", "false", "0", "f", "")


def _mtu(value: str) -> bool:
    return value.isascii() and value.isdigit() and (int(value) == 0 or 68 <= int(value) <= 65535)  # RFC 791


def _link(value: str) -> bool:
    return bool(_LINK.fullmatch(value)) and value.isascii() and not any(letter in value for letter in "\"'\\%*")


def _prefix(value: str) -> bool:
    """A number comes behind it."""
    return _link(value) and len(value) <= 13


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _ipv4(value: str) -> bool:
    return bool(re.fullmatch(r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}", value, re.ASCII))


def _ipv6(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 6 and "%" not in value
    except ValueError:
        return False


def _links(value: str) -> bool:
    return all(map(_link, value.split(":")))


_KNOWN: Mapping[str, Mapping[str, Callable[[str], bool]]] = {
    BRIDGE: {NAME: _link, ICC: _truth, MASQUERADE: _truth, BINDING: _ipv4, INHIBIT: _truth, DEFAULT: _truth, MTU: _mtu,
             PREFIX: _prefix, **dict.fromkeys(gateways.MODE.values(), _one_of(*gateways.MODES)),
             gateways.ADDRESS[4]: _ipv4, gateways.ADDRESS[6]: _ipv6, gateways.TRUSTED: _links},
    MACVLAN: {"parent": _link, "macvlan_mode": _one_of(*MACVLAN_MODES), MTU: _mtu, PREFIX: _prefix},
    IPVLAN: {"parent": _link, "ipvlan_mode": _one_of(*IPVLAN_MODES), "ipvlan_flag": _one_of(*IPVLAN_FLAGS), MTU: _mtu,
             PREFIX: _prefix},
}


def check(driver: str, options: Mapping[str, str]) -> None:
    """Raises NotFound for a driver, InvalidParameter for an option or a value, that there is not."""
    if driver not in _KNOWN:
        raise NotFound(f'could not find plugin {driver} in v1 plugin registry: plugin "{driver}" not found')
    for name, value in options.items():
        right = _KNOWN[driver].get(name)
        if right is None:
            raise InvalidParameter(f'unknown option "{name}" of a network of driver "{driver}"')
        if not right(value):
            raise InvalidParameter(f'invalid value "{value}" of the option "{name}"')


def check_ipv6(options: Mapping[str, str]) -> None:
    """Raises InvalidParameter: a network with IPv6 cannot have these."""
    if 0 < int(options.get(MTU) or 0) < IPV6_MTU:
        raise InvalidParameter(f"IPv6 needs an MTU of at least {IPV6_MTU}: {MTU}={options[MTU]}")


def enabled(network: Network, option: str, default: bool = True) -> bool:
    """Whether an option that is true or false is on."""
    value = network.options.get(option, "")
    return value.lower() in ("true", "1", "t") if value else default


def mtu(network: Network) -> int:
    """0: what the kernel takes."""
    return int(network.options.get(MTU) or 0)


def check_endpoint(options: Mapping[str, str]) -> None:
    """Raises InvalidParameter."""
    for name, value in options.items():
        if name == IFNAME and not _link(value):
            raise InvalidParameter(f"invalid interface name {value!r} in {IFNAME}")
        if name not in (IFNAME, SYSCTLS):
            raise InvalidParameter(f'unknown option "{name}" of an endpoint')
    sysctls(EndpointConfig(driver_opts=dict(options)), "eth0")


def sysctls(config: EndpointConfig, interface: str) -> tuple[tuple[str, str], ...]:
    """Those of an endpoint's interface: paths below /proc/sys and what is written there. Raises InvalidParameter."""
    text = (config.driver_opts or {}).get(SYSCTLS, "")
    return tuple(_sysctl(one, interface) for one in text.split(",") if one)


def _sysctl(text: str, interface: str) -> tuple[str, str]:
    match = _SYSCTL.fullmatch(text)
    if match is None:
        raise InvalidParameter(
            f"unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', "
            "'X' must be 'ipv4', 'ipv6' or 'mpls'")
    return f"net/{match[1]}/{match[2]}/{interface}/{match[3]}", match[4]
