"""`pydocker network …`: create, ls, rm, connect, disconnect, prune."""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pydocker.cli import phrases, table
from pydocker.cli.asking import confirmed
from pydocker.cli.command import NONE, ONE, SOME, TWO, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import FILTER, LABEL, PAIRS, Kind, switch, value, values
from pydocker.cli.name_flags import LINK
from pydocker.cli.network_flags import ADDRESS, OWN_ADDRESS, priority
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import networks, upkeep
from pydocker.client.api import ApiError

_HEADINGS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6",
             "Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT"}
_COLUMNS = ("ID", "Name", "Driver", "Scope")


def create(session: Session, arguments: tuple[str, ...], **given: Any) -> int:
    """Make a network, and print its id."""
    request: dict[str, object] = {
        "Name": arguments[0], "Driver": given["driver"] or "bridge", "Internal": bool(given["internal"]),
        "Attachable": bool(given["attachable"]), "Options": dict(given["opt"]), "Labels": dict(given["label"]),
        "IPAM": {"Driver": given["ipam_driver"] or "default", "Options": dict(given["ipam_opt"]),
                 "Config": _pools(given)}}
    for flag, field, usual in (("ipv4", "EnableIPv4", True), ("ipv6", "EnableIPv6", False)):
        if given[flag] is not usual:
            request[field] = given[flag]
    for flag, field in (("ingress", "Ingress"), ("config_only", "ConfigOnly"), ("scope", "Scope")):
        if given[flag]:
            request[field] = given[flag]
    if given["config_from"]:
        request["ConfigFrom"] = {"Network": given["config_from"]}
    session.say(networks.create(session.client(), request).id)
    return 0


def _pools(given: Mapping[str, Any]) -> list[dict[str, object]]:
    """Each range, gateway and auxiliary address to the subnet that it is in (docker/cli, createIPAMConfig)."""
    import ipaddress  # three milliseconds, which no other command has a use for

    subnets = [one for text in given["subnet"] for one in text.split(",")]
    if len(subnets) < len(given["ip_range"]) or len(subnets) < len(given["gateway"]):
        raise CommandError("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, dict[str, Any]] = {subnet: {"Subnet": subnet} for subnet in subnets}
    ranges = []
    with contextlib.suppress(ValueError):  # what is no subnet, the server has a word about
        ranges = [ipaddress.ip_network(subnet, strict=False) for subnet in subnets]
    if any(one.overlaps(other) for one, other in itertools.combinations(ranges, 2) if one.version == other.version):
        raise CommandError("multiple overlapping subnet configuration is not supported")

    def holder(what: str, text: str) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            inside = ipaddress.ip_interface(text).ip
            for subnet, pool in zip(ranges, pools.values(), strict=False):
                if inside in subnet:
                    return pool
        raise CommandError(f"no matching subnet for {what} {text}")

    for what, flag, field, plural in (("range", "ip_range", "IPRange", "ranges"),
                                      ("gateway", "gateway", "Gateway", "gateways")):
        for text in given[flag]:
            pool = holder(what, text)
            if field in pool:
                raise CommandError(f"cannot configure multiple {plural} ({text}, {pool[field]}) on the same subnet "
                                   f"({pool['Subnet']})")
            pool[field] = text
    for name, text in given["aux_address"]:
        holder("aux-address", text).setdefault("AuxiliaryAddresses", {})[name] = text
    return list(pools.values())


def ls(session: Session, arguments: tuple[str, ...], *, filter: tuple[tuple[str, str], ...], format: str | None,
       no_trunc: bool, quiet: bool) -> int:
    """List the networks, by name."""
    found = networks.listed(session.client(), {"filters": filters(filter)})
    rows = [_row(one, whole=no_trunc) for one in sorted(found, key=lambda one: phrases.natural(one.name))]
    session.write(table.shown(rows, _HEADINGS, _COLUMNS, table.chosen(format, quiet),
                              "*network.networkContext"))
    return 0


def _row(one: networks.Network, *, whole: bool) -> table.Row:
    return {
        "ID": one.id if whole else phrases.short_id(one.id), "Name": one.name, "Driver": one.driver,
        "Scope": one.scope, "IPv4": str(one.ipv4).lower(), "IPv6": str(one.ipv6).lower(),
        "Internal": str(one.internal).lower(), "CreatedAt": phrases.written(one.created),
        **table.labelled(one.labels)}


def remove(session: Session, arguments: tuple[str, ...], *, force: bool) -> int:
    """Remove networks; `force`: one that is not there is no failure, and not told of (as that of `rm -f` is)."""
    status = 0
    for name in arguments:
        try:
            networks.remove(session.client(), name)
            session.say(name)
        except ApiError as error:
            if not (force and error.status == 404):
                session.warn(told(error))
                status = 1
    return status


def connect(session: Session, arguments: tuple[str, ...], **given: Any) -> int:
    """Put a container into one more network."""
    network, container = arguments
    addresses = {"IPv4Address": given["ip"], "IPv6Address": given["ip6"], "LinkLocalIPs": list(given["link_local_ip"])}
    settings: dict[str, object] = {
        "IPAMConfig": {name: found for name, found in addresses.items() if found}, "Links": list(given["link"]),
        "Aliases": [one for text in given["alias"] for one in text.split(",")],
        "DriverOpts": dict(given["driver_opt"]), "GwPriority": given["gw_priority"]}
    networks.connect(session.client(), network, container, {name: found for name, found in settings.items() if found})
    return 0


def disconnect(session: Session, arguments: tuple[str, ...], *, force: bool) -> int:
    network, container = arguments
    networks.disconnect(session.client(), network, container, force=bool(force))
    return 0


def prune(session: Session, arguments: tuple[str, ...], *, filter: tuple[tuple[str, str], ...], force: bool) -> int:
    """Remove the networks that nobody is in."""
    question = "This will remove all custom networks not used by at least one container."
    if not (force or confirmed(session, question)):
        return 0
    removed: Sequence[str] = upkeep.prune_networks(session.client(), filters(filter)).networks_deleted or ()
    if removed:
        session.write("Deleted Networks:\n" + "".join(f"{name}\n" for name in removed) + "\n")
    return 0


_PRIORITY = Kind("int", priority)

CREATE = Command(
    "create", create, synopsis="NETWORK", arity=ONE, help="Create a network", flags=(
        switch("--attachable", help="Enable manual container attachment"),
        values("--aux-address", kind=PAIRS, help="Auxiliary IPv4 or IPv6 addresses used by Network driver"),
        value("--config-from", help="The network from which to copy the configuration"),
        switch("--config-only", help="Create a configuration only network"),
        value("-d", "--driver", help="Driver to manage the Network", shown='"bridge"'),
        values("--gateway", kind=ADDRESS, help="IPv4 or IPv6 Gateway for the master subnet"),
        switch("--ingress", help="Create swarm routing-mesh network"),
        switch("--internal", help="Restrict external access to the network"),
        values("--ip-range", help="Allocate container ip from a sub-range"),
        value("--ipam-driver", help="IP Address Management Driver", shown='"default"'),
        values("--ipam-opt", kind=PAIRS, help="Set IPAM driver specific options"),
        switch("--ipv4", help="Enable or disable IPv4 address assignment", shown="true"),
        switch("--ipv6", help="Enable or disable IPv6 address assignment"),
        values("--label", kind=LABEL, help="Set metadata on a network"),
        values("-o", "--opt", kind=PAIRS, help="Set driver specific options"),
        value("--scope", help="Control the network's scope"),
        values("--subnet", help="Subnet in CIDR format that represents a network segment")))
LS = Command(
    "ls", ls, synopsis="", arity=NONE, help="List networks", aliases=("network ls", "network list"), flags=(
        values("-f", "--filter", kind=FILTER, help='Provide filter values (e.g. "driver=bridge")'),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("--no-trunc", help="Do not truncate the output"),
        switch("-q", "--quiet", help="Only display network IDs")))
RM = Command(
    "rm", remove, synopsis="NETWORK [NETWORK...]", arity=SOME, help="Remove one or more networks",
    aliases=("network rm", "network remove"),
    flags=(switch("-f", "--force", help="Do not error if the network does not exist"),))
CONNECT = Command(
    "connect", connect, synopsis="NETWORK CONTAINER", arity=TWO, help="Connect a container to a network", flags=(
        values("--alias", help="Add network-scoped alias for the container"),
        values("--driver-opt", kind=PAIRS, help="driver options for the network"),
        value("--gw-priority", kind=_PRIORITY,
              help="Highest gw-priority provides the default gateway. Accepts positive and negative values."),
        value("--ip", kind=OWN_ADDRESS, help='IPv4 address (e.g., "172.30.100.104")'),
        value("--ip6", kind=OWN_ADDRESS, help='IPv6 address (e.g., "2001:db8::33")'),
        values("--link", kind=LINK, help="Add link to another container"),
        values("--link-local-ip", kind=ADDRESS, help="Add a link-local address for the container")))
DISCONNECT = Command(
    "disconnect", disconnect, synopsis="NETWORK CONTAINER", arity=TWO, help="Disconnect a container from a network",
    flags=(switch("-f", "--force", help="Force the container to disconnect from a network"),))
PRUNE = Command(
    "prune", prune, synopsis="", arity=NONE, help="Remove all unused networks", flags=(
        values("--filter", kind=FILTER, help='Provide filter values (e.g. "until=<timestamp>")'),
        switch("-f", "--force", help="Do not prompt for confirmation")))
