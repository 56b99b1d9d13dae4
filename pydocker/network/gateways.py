"""How a bridge network meets the world outside, by options of Docker's: with NAT, without protection, or routed.

    nat               containers go out behind the host's address; published ports lead in, and nothing else does
    nat-unprotected   the same, but who routes to a container's address reaches all of its ports
    routed            no NAT: containers keep their addresses, and a published port opens the container's own
"""

from pydocker.model.network import Network

MODE = {4: "com.docker.network.bridge.gateway_mode_ipv4", 6: "com.docker.network.bridge.gateway_mode_ipv6"}
ADDRESS = {4: "com.docker.network.host_ipv4", 6: "com.docker.network.host_ipv6"}  # instead of any of the host's
TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"  # eth1:eth2
NAT, UNPROTECTED, ROUTED = "nat", "nat-unprotected", "routed"
MODES = (NAT, UNPROTECTED, ROUTED)


def mode(network: Network, version: int) -> str:
    """One of MODES, for IPv4 or IPv6."""
    return network.options.get(MODE[version]) or NAT


def trusted(network: Network) -> tuple[str, ...]:
    """Interfaces of the host's from which containers may be reached by their addresses."""
    return tuple(filter(None, network.options.get(TRUSTED, "").split(":")))
