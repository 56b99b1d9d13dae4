"""The default network, `bridge`, as the configuration file has it. Pure.

The keys are those of Docker's daemon.json; what they become: moby daemon/daemon_unix.go, initBridgeDriver.
"""

import ipaddress
from collections.abc import Iterator

from pydocker.config import Config
from pydocker.model.network import BRIDGE, Asked, Network, Pool
from pydocker.network import ipam, options

GATEWAY = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
"""An auxiliary address of this name is the containers' way out, in place of the bridge's own address."""


def asked(config: Config) -> Asked:
    """What is asked for it."""
    named = {options.DEFAULT: "true", options.ICC: _word(config.icc), options.MASQUERADE: _word(config.ip_masq),
             options.BINDING: "0.0.0.0", options.NAME: config.bridge}
    if config.mtu:
        named[options.MTU] = str(config.mtu)
    return Asked(name=BRIDGE, ipv6=config.ipv6, options=named, pools=(
        *_pool(4, config.bip, config.fixed_cidr, config.default_gateway),
        *_pool(6, config.bip6, config.fixed_cidr_v6, config.default_gateway_v6)))


def _word(value: bool) -> str:
    return str(value).lower()


def _pool(version: int, bip: str, fixed: str, gateway: str) -> Iterator[Pool]:
    """The bridge's address with its subnet, the part of that for containers, and their way out."""
    others = {GATEWAY[version]: gateway} if gateway and gateway != bip.partition("/")[0] else {}
    if bip:
        own = ipaddress.ip_interface(bip)
        yield ipam.shortened(Pool(str(own.network), str(own.ip), fixed, others))
    elif fixed:
        yield ipam.shortened(Pool(fixed, auxiliary=others))


def follows(network: Network, wanted: Asked) -> bool:
    """Whether it is as the configuration wants it; what that leaves open, it may have any way."""
    pools = {ipaddress.ip_network(pool.subnet).version: pool for pool in wanted.pools}
    return (network.options == wanted.options and network.ipv6 == wanted.ipv6
            and all(_fits(pool, pools.get(ipaddress.ip_network(pool.subnet).version)) for pool in network.pools))


def _fits(pool: Pool, wanted: Pool | None) -> bool:
    if wanted is None:
        return not pool.ip_range and not pool.auxiliary
    return ((pool.subnet, pool.ip_range, pool.auxiliary) == (wanted.subnet, wanted.ip_range, wanted.auxiliary)
            and wanted.gateway in ("", pool.gateway))
