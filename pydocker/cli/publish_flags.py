"""`-p` and `--expose`: from what was typed to ExposedPorts and PortBindings, as Docker's client makes them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydocker.cli.errors import CommandError
from pydocker.model.network import PortBinding
from pydocker.model.port import Port, expose, publish

Bindings = dict[str, list[dict[str, str]]]


def fields(given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What is published is exposed, too. Raises CommandError (125)."""
    try:
        published = [one for text in given["publish"] for one in publish(text)]
        exposed = [one for text in given["expose"] for one in expose(text)]
    except ValueError as error:
        raise CommandError(str(error), 125) from error
    ports: dict[str, object] = {str(one): {} for one in (*(inside for inside, _ in published), *exposed)}
    found = (("ExposedPorts", ports), ("HostConfig.PortBindings", bindings(published)))
    return [(path, value) for path, value in found if value]


def bindings(published: Iterable[tuple[Port, PortBinding]]) -> Bindings:
    """As JSON, by the container's ports."""
    found: Bindings = {}
    for inside, one in published:
        found.setdefault(str(inside), []).append({"HostIp": one.host_ip, "HostPort": one.host_port})
    return found


def words(exposed: Iterable[str], bound: Mapping[str, Iterable[Mapping[str, str]] | None]) -> list[str]:
    """The flags that make these fields: `fields` the other way round."""
    published = [("-p", f"{_at(one)}{inside}") for inside, each in bound.items() for one in each or ()]
    named = {inside for inside, each in bound.items() if each}
    return [word for pair in (*published, *(("--expose", one) for one in exposed if one not in named)) for word in pair]


def _at(binding: Mapping[str, str]) -> str:
    ip, port = binding.get("HostIp", ""), binding.get("HostPort", "")
    if ip:
        return f"{f'[{ip}]' if ':' in ip else ip}:{port}:"
    return f"{port}:" if port else ""
