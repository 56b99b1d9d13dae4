"""`--dns`, `--dns-search`, `--dns-option`, `--add-host`: what cannot be right, in Docker's words (docker/cli opts).

They become lines of files in the container: so nothing of them may hold a line's end, or anything else that is not
seen.
"""

import ipaddress
from collections.abc import Sequence

from pydocker.containers import links
from pydocker.containers.etcfiles import GATEWAY
from pydocker.errors import InvalidParameter
from pydocker.model.container import HostConfig


def check(host: HostConfig) -> None:
    """Raises InvalidParameter."""
    for address in host.dns or ():
        if not _is_address(address):
            raise InvalidParameter(f"IP address is not correctly formatted: {address}")
    _check_words("dns-search", host.dns_search or ())
    _check_words("dns-option", host.dns_options or ())
    for text in host.extra_hosts or ():
        _check_extra_host(text)
    for text in host.links or ():
        links.parse(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text.isprintable()  # a zone (fe80::1%eth0) may be anything


def _check_words(flag: str, words: Sequence[str]) -> None:
    for word in words:
        if not word.strip() or not word.isprintable():
            raise InvalidParameter(f"invalid {flag}: {word!r}")


def _check_extra_host(text: str) -> None:
    name, colon, address = text.partition(":")
    if not colon or not name or not name.isprintable() or " " in name:
        raise InvalidParameter(f'bad format for add-host: "{text}"')
    if address != GATEWAY and not _is_address(address):
        raise InvalidParameter(f'invalid IP address in add-host: "{address}"')
