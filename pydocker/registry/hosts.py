"""Where a domain's registry is, and whether it may be spoken to without TLS.

                        plain HTTP   certificate checked
    loopback            yes          yes                     nobody else can listen or answer there
    insecure-registries yes          no                      the administrator said so, by name or by subnet
    anybody else        no           yes                     a silent fallback to HTTP was CVE-2014-5277

TLS is tried first in all three: plain HTTP is what is spoken with a server that does not answer to it.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_REGISTRIES = {"docker.io": "registry-1.docker.io"}  # Docker Hub's names differ from its address


@dataclass(frozen=True, slots=True)
class Access:
    """What is allowed with one host."""

    plain: bool
    verified: bool


PUBLIC = Access(plain=False, verified=True)
LOOPBACK = Access(plain=True, verified=True)
INSECURE = Access(plain=True, verified=False)


def registry(domain: str) -> str:
    """The `host[:port]` that serves the images of a reference's domain."""
    return _REGISTRIES.get(domain, domain)


def resolve(host: str) -> Sequence[str]:
    """The addresses of a host as text; none if it has none (the connection will tell why)."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def access(authority: str, insecure: Iterable[str], resolve: Callable[[str], Sequence[str]] = resolve) -> Access:
    """What is allowed with `host[:port]`. Subnets (`10.0.0.0/8`) are compared with the host's addresses, as in Docker.

    A name that merely resolves to a loopback address is not loopback: whoever answers for the name could say so.
    """
    host = (urlsplit(f"//{authority}").hostname or "").lower()
    entries = [entry.lower() for entry in insecure]
    if authority.lower() in entries:
        return INSECURE
    subnets = [network for entry in entries if (network := _network(entry)) is not None]
    if subnets:
        addresses = [address for text in (host, *resolve(host)) if (address := _address(text)) is not None]
        if any(address in network for address in addresses for network in subnets):
            return INSECURE
    return LOOPBACK if is_loopback(host) else PUBLIC


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, whatever any name server says."""
    literal = _address(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in entry:
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def origin(url: str) -> tuple[str, str]:
    """Scheme and `host:port` of a URL: two URLs with the same ones share credentials, any others do not (RFC 6454)."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, f"{(parts.hostname or '').lower()}:{port}"
