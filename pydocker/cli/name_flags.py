"""How the flags about names are written: `--dns`, `--dns-search`, `--add-host`, `--link` (docker/cli opts)."""

import re
import socket

from pydocker.cli.flags import Kind

_GATEWAY = "host-gateway"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}(?:\.{_LABEL})*)\.?\s*", re.ASCII)


def server(text: str) -> str:
    """--dns: an address, in its shortest form."""
    address = _address(text.strip())
    if address is None:
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return address


def _address(text: str) -> str | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError):
            continue
    return None


def domain(text: str) -> str:
    """--dns-search: a domain, or "." for none."""
    text = text.strip(" ")
    if text == ".":
        return text
    found = _DOMAIN.fullmatch(text)
    if found is None or len(found[1]) >= 255 or not re.search("[a-zA-Z]", text):
        raise ValueError(f"{text} is not a valid domain")
    return found[1]


def extra_host(text: str) -> str:
    """--add-host: NAME:ADDRESS or NAME=ADDRESS; an IPv6 address may stand in brackets."""
    name, sign, address = text.partition("=")
    if not sign:
        name, sign, address = text.partition(":")
    if not sign or not name or ":" in name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address != _GATEWAY:
        address = re.sub(r"^\[(.+)\]$", r"\1", address)
        if _address(address.strip()) is None:
            raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{address}"


def link(text: str) -> str:
    """--link: CONTAINER or CONTAINER:ALIAS."""
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


SERVER = Kind("list", server)
DOMAIN = Kind("list", domain)
EXTRA_HOST = Kind("list", extra_host)
LINK = Kind("list", link)
