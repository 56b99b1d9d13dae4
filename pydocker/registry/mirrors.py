"""Where a repository is asked for: its mirrors, in the administrator's order, and its own registry at last.

    "registries": {
        "docker.io":           {"mirrors": ["mirror.lan:5000/hub", "http://10.0.0.7:5000"]},
        "registry.lan/nightly": {"insecure": true}
    }

The longest prefix of the complete name (`docker.io/library/alpine`) that ends at a slash decides. In a mirror's name
the prefix is replaced: with the entry above, `docker.io/library/alpine` is `mirror.lan:5000/hub/library/alpine`.
A mirror is for pulling only, and is never shown what was meant for the registry: it gets no credentials.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydocker.config import RegistryEntry
from pydocker.model.reference import Reference
from pydocker.registry import hosts

_SCHEME = re.compile(r"(https?)://")


class Location(NamedTuple):
    """One place: `host[:port]`, the repository's path there, and what the configuration says about it."""

    authority: str
    path: str
    insecure: bool = False
    mirror: bool = False


def locations(reference: Reference, registries: Mapping[str, RegistryEntry]) -> tuple[Location, ...]:
    """Every place of a repository, in the order in which they are tried; the last one is its own registry."""
    prefix, entry = _entry(reference.name, registries)
    own = Location(hosts.registry(reference.domain), reference.path, entry.insecure)
    return (*_mirrors(reference.name.removeprefix(prefix).lstrip("/"), entry), own)


def _mirrors(rest: str, entry: RegistryEntry) -> Iterator[Location]:
    for mirror in entry.mirrors:
        scheme = _SCHEME.match(mirror)
        authority, _, path = mirror.removeprefix(scheme[0] if scheme else "").rstrip("/").partition("/")
        whole = "/".join(filter(None, (path, rest)))
        yield Location(authority, whole, insecure=bool(scheme and scheme[1] == "http"), mirror=True)


def _entry(name: str, registries: Mapping[str, RegistryEntry]) -> tuple[str, RegistryEntry]:
    fitting = [prefix for prefix in registries if f"{name}/".startswith(f"{prefix}/")]
    prefix = max(fitting, key=len, default="")
    return prefix, registries.get(prefix, RegistryEntry())
