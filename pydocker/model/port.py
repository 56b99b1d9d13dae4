"""Ports as Docker writes them: `80/tcp`, ranges of them, and all that `-p` and `--expose` take.

    [[IP:][HOST]:]CONTAINER[/PROTOCOL]          8080:80    127.0.0.1::53/udp    [::1]:80:80    8000-8010:80-90
    target=80,published=8080[,protocol=udp]     the same in words

The grammar and the complaints are those of Docker's own client (docker/go-connections, nat.ParsePortSpec;
docker/cli, container/opts.go). A host port that is a range, beside a single port of the container's, is a choice: one
of these will do.
"""

import ipaddress
import re

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model.network import PortBinding

PROTOCOLS = ("tcp", "udp", "sctp")
LARGEST = 65535


class Port(msgspec.Struct, frozen=True, order=True):
    """A port of a container's: `80/tcp`."""

    number: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


def port(key: str) -> Port:
    """What a key of PortBindings or ExposedPorts names. Raises InvalidParameter."""
    number, protocol = split(key)
    try:
        first, last = bounds(number)
    except ValueError as error:
        raise InvalidParameter(f'invalid port specification: "{key}"') from error
    if first != last or first == 0 or protocol.lower() not in PROTOCOLS:
        raise InvalidParameter(f'invalid port specification: "{key}"')
    return Port(first, protocol.lower())


def split(text: str) -> tuple[str, str]:
    """`80/udp` in two; without a protocol it is tcp. Without a number both are empty."""
    number, *rest = text.split("/")
    return (number, (rest[0] if rest else "") or "tcp") if number else ("", "")


def bounds(text: str) -> tuple[int, int]:
    """`80` or `80-90`. Raises ValueError in Docker's words."""
    if not text:
        raise ValueError("empty string specified for ports")
    first, *more = text.split("-")
    numbers = _number(first), _number(more[0] if more else first)
    if numbers[1] < numbers[0]:
        raise ValueError(f"invalid range specified for port: {text}")
    return numbers


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if len(text) > 20 or int(text) > LARGEST:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def publish(text: str) -> tuple[tuple[Port, PortBinding], ...]:
    """What one `-p` asks for. Raises ValueError in Docker's words."""
    spec = _in_short(text) if "=" in text else text
    *before, inside = spec.split(":")
    ip, outside = (":".join(before[:-1]), before[-1]) if before else ("", "")
    ip = _address(ip)
    number, protocol = split(inside)
    if not number:
        raise ValueError(f"no port specified: {spec}<empty>")
    mine, theirs = _range(number, "containerPort"), _range(outside, "hostPort") if outside else None
    several = mine[0] != mine[1]
    if theirs and several and theirs[1] - theirs[0] != mine[1] - mine[0]:
        raise ValueError(f"invalid ranges specified for container and host Ports: {number} and {outside}")
    if protocol.lower() not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return tuple((Port(each, protocol.lower()), PortBinding(ip, _host_port(theirs, each - mine[0], several)))
                 for each in range(mine[0], mine[1] + 1))


def _host_port(asked: tuple[int, int] | None, offset: int, several: bool) -> str:
    if asked is None:
        return ""
    first, last = asked
    return str(first + offset) if several or first == last else f"{first}-{last}"


def _in_short(text: str) -> str:
    """The long form as the short one. Its other words (`mode=`) mean nothing to a single container, in Docker too."""
    found = {"protocol": "tcp", "published": "", "target": ""}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{part}')")
        found[name] = value
    return f"{found['published']}:{found['target']}/{found['protocol']}"


def _address(text: str) -> str:
    """The address without brackets."""
    bare = text
    if text.startswith("["):
        bare, closed, rest = text[1:].partition("]")
        if not closed:
            raise ValueError(f"invalid IP address {text}: address {text}:: missing ']' in address")
        if rest:
            raise ValueError(f"invalid IP address {text}: address {text}:: missing port in address")
    if bare and not is_address(bare):
        raise ValueError(f"invalid IP address: {bare}")
    return bare


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address; one with a zone (`%eth0`) is not."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _range(text: str, what: str) -> tuple[int, int]:
    try:
        return bounds(text)
    except ValueError:
        raise ValueError(f"invalid {what}: {text}") from None


def expose(text: str) -> tuple[Port, ...]:
    """What one `--expose` names. Raises ValueError in Docker's words."""
    if ":" in text:
        raise ValueError(f"invalid port format for --expose: {text}")
    number, protocol = split(text)
    try:
        first, last = bounds(number)
    except ValueError as error:
        raise ValueError(f"invalid range format for --expose: {text}, error: {error}") from None
    return tuple(Port(each, protocol.lower()) for each in range(first, last + 1))


def check(bindings: dict[str, tuple[PortBinding, ...] | None]) -> None:
    """Raises InvalidParameter where an address or a port of the host's cannot be one."""
    for key, asked in bindings.items():
        port(key)
        for one in asked or ():
            if one.host_ip and not is_address(one.host_ip):
                raise InvalidParameter(f"invalid IP address: {one.host_ip}")
            wanted(one)


def wanted(binding: PortBinding) -> range:
    """The host ports that would do, in this order; empty: any. Raises InvalidParameter."""
    if binding.host_port in ("", "0"):
        return range(0)
    try:
        first, last = bounds(binding.host_port)
    except ValueError as error:
        raise InvalidParameter(f'invalid port specification: "{binding.host_port}"') from error
    return range(first, last + 1)
