"""The host's links that macvlans and ipvlans are made of: who may share one, and which is a VLAN to be made. Pure.

Rules and words: moby daemon/libnetwork/drivers/macvlan and ipvlan.
"""

import re
from collections.abc import Container, Mapping, Sequence

from pydocker.errors import InvalidParameter
from pydocker.model.network import BRIDGE, Network
from pydocker.network import options


def sharing_fault(id: str, driver: str, given: Mapping[str, str], other: Network) -> str:
    """Why two networks cannot have one interface, in moby's words; empty: they can, as two macvlans do."""
    interface = other.interface
    if BRIDGE in (driver, other.driver):
        return (f"cannot create network {id} ({interface}): conflicts with network {other.id} ({interface}): networks "
                "have same bridge name")
    if options.IPVLAN in (driver, other.driver):
        return f"network {other.name} ({other.id[:12]}) is already using parent interface {interface}"
    if given.get("macvlan_mode") == "passthru":
        return f"cannot use mode passthru, macvlan network {other.id} is already using parent interface {interface}"
    if other.options.get("macvlan_mode") == "passthru":
        return f"macvlan network {other.id} is already using parent interface {interface} in mode passthru"
    return ""


def vlan(parent: str, sharing: Sequence[Network], links: Container[str]) -> int:
    """The number of the VLAN whose link has to be made, or was made for another network: `eth0.10` on eth0.

    0: the link is the host's own. Raises InvalidParameter (words: moby daemon/libnetwork/drivers/macvlan).
    """
    if not parent or parent in links:
        return next((other.vlan for other in sharing), 0)
    below, dot, number = parent.rpartition(".")
    if not dot:
        raise InvalidParameter(f"invalid subinterface vlan name {parent}, example formatting is eth0.10: the host has "
                               f"no link {parent}")
    if not re.fullmatch(r"\d{1,4}", number, re.ASCII):
        raise InvalidParameter(f"unable to parse a valid vlan id from: {parent} (ex. eth0.10 for vlan 10)")
    if not 1 <= int(number) <= 4094:
        raise InvalidParameter(f"vlan id must be between 1-4094, received: {int(number)}")
    if below not in links:
        raise InvalidParameter(f"-o parent interface was not found on the host: {below}")
    return int(number)
