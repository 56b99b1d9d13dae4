"""The flags that connect a container: `--network` (short, or `name=…,ip=…,alias=…`), and those that speak of the first
network (`--ip`, `--mac-address`, `--network-alias`, …).

Source of rules and words: docker/cli opts/network.go, cli/command/container/opts.go.
"""

import contextlib
import csv
import re
import socket
from collections.abc import Mapping
from typing import Any

from pydocker.cli.errors import CommandError
from pydocker.cli.flags import Kind

_LONG = re.compile(r"\w+=\w+(,\w+=\w+)*")
_PLAIN = ("", "default", "bridge", "host", "none")  # networks that are there by themselves
Settings = dict[str, Any]


def attachment(text: str) -> tuple[str, Settings]:
    """One `--network`: its name, and the EndpointSettings that were asked for."""
    if not _LONG.search(text):
        return text, {}
    name = ""
    settings: Settings = {}
    for field in next(csv.reader([text])):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        if key == "name":
            name = value
        else:
            _enter(settings, key, value)
    if not name:
        raise ValueError("network name/id is not specified")
    return name, settings


def _enter(settings: Settings, key: str, value: str) -> None:
    match key:
        case "alias":
            settings.setdefault("Aliases", []).append(value)
        case "ip":
            settings.setdefault("IPAMConfig", {})["IPv4Address"] = address(value)
        case "ip6":
            settings.setdefault("IPAMConfig", {})["IPv6Address"] = address(value)
        case "link-local-ip":
            settings.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(address(value))
        case "mac-address":
            settings["MacAddress"] = value
        case "driver-opt":
            option, equals, chosen = value.partition("=")
            if not equals or not option:
                raise ValueError("invalid key value pair format in driver options")
            settings.setdefault("DriverOpts", {})[option.strip()] = chosen.strip()
        case "gw-priority":
            settings["GwPriority"] = priority(value)
        case _:
            raise ValueError(f"invalid field key {key}")


def address(text: str) -> str:
    """An IP address, checked here as Docker's client does."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            return socket.inet_ntop(family, socket.inet_pton(family, text))
    raise ValueError(f"invalid IP address: {text}")


def priority(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise ValueError(f"invalid gw-priority: {text}")
    return int(text)


NETWORK = Kind("network", attachment)
ADDRESS = Kind("ip", address)
OWN_ADDRESS = Kind("ip", lambda text: address(text) if text else "")  # empty: as if it had not been given

_ALONE = (  # flag, field of the settings, and how Docker calls the two together
    ("ip", ("IPAMConfig", "IPv4Address"), "--ip and per-network IPv4 address"),
    ("ip6", ("IPAMConfig", "IPv6Address"), "--ip6 and per-network IPv6 address"),
    ("link_local_ip", ("IPAMConfig", "LinkLocalIPs"), "--link-local-ip and per-network link-local IP addresses"),
    ("mac_address", ("MacAddress",), "--mac-address and per-network MAC address"),
    ("network_alias", ("Aliases",), "--network-alias and per-network alias"),
)


def fields(given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """NetworkMode and NetworkingConfig. Raises CommandError (125)."""
    networks: list[tuple[str, Settings]] = [(name, dict(settings)) for name, settings in given["network"]]
    mode = networks[0][0] if networks else "default"
    first = networks[0][1] if networks else {}
    for flag, path, both in _ALONE:
        if given[flag]:
            _put(first, path, given[flag], both)
    if given["link"] and mode not in _PLAIN and not mode.startswith("container:"):
        _put(first, ("Links",), given["link"], "--link and per-network links")
    names = [name for name, _ in networks]
    plain = [name in _PLAIN or name.startswith("container:") for name in names]
    if any(not name.strip() for name in names):
        raise CommandError("no name set for network", 125)
    if any(settings.get("Aliases") for (_, settings), alone in zip(networks, plain, strict=True) if alone):
        raise CommandError("network-scoped aliases are only supported for user-defined networks", 125)
    if len(set(plain)) > 1:
        raise CommandError("conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                           125)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CommandError(f'network "{twice}" is specified multiple times', 125)
    every = dict(networks) if networks else {"default": first}
    asked = {name: settings for name, settings in every.items() if settings or len(every) > 1}
    return [*([("HostConfig.NetworkMode", mode)] if networks else []),
            *([("NetworkingConfig.EndpointsConfig", asked)] if asked else [])]


def _put(settings: Settings, path: tuple[str, ...], value: object, both: str) -> None:
    *parents, last = path
    for parent in parents:
        settings = settings.setdefault(parent, {})
    if last in settings:
        raise CommandError(f"conflicting options: cannot specify both {both}", 125)
    settings[last] = list(value) if isinstance(value, tuple) else value
