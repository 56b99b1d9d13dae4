"""`--link`, Docker's way to names before there were networks: on the default bridge, lines in /etc/hosts and
environment variables; on others, a name that DNS knows for one container alone (`network.names`).

Source of rules and words: moby daemon/links, docker/cli opts.ParseLink.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from pydocker.containers import etcfiles
from pydocker.containers.sharing import OTHER
from pydocker.containers.store import Store
from pydocker.errors import InvalidParameter, NotFound, PydockerError
from pydocker.model.container import ContainerId, HostConfig, Record
from pydocker.model.network import BRIDGE, HOST, Endpoint
from pydocker.network import hosts
from pydocker.network.endpoints import Endpoints
from pydocker.network.hosts import Line
from pydocker.storage import documents

_LINKED_BY = "linked-by.json"  # in a container's directory: who is linked to it
_UNDEFINED = "type networking can't be used with links. This would result in undefined behavior"


class Linked(NamedTuple):
    """Another container, as it is to be called here."""

    alias: str
    record: Record
    endpoint: Endpoint


def parse(text: str) -> tuple[str, str]:
    """`web:db` -> who, and its name here; `/web:/me/db` is how an inspected container says it. InvalidParameter."""
    if not text:
        raise InvalidParameter("empty string specified for links")
    target, *aliases = text.split(":")
    if len(aliases) > 1:
        raise InvalidParameter(f"bad format for links: {text}")
    alias = aliases[0] if aliases else target
    if target.startswith("/") and aliases:
        return target[1:], alias.rpartition("/")[2]
    return target, alias


def check_mode(host: HostConfig) -> None:
    """Raises InvalidParameter: the network is somebody else's."""
    if host.links and host.network_mode == HOST:
        raise InvalidParameter(f"conflicting options: host {_UNDEFINED}")
    if host.links and host.network_mode.startswith(OTHER):
        raise InvalidParameter(f"conflicting options: container {_UNDEFINED}")


def decided(store: Store, record: Record, asked: Sequence[str]) -> tuple[str, ...] | None:
    """What a record keeps: `/ID:/me/db`, as the other may be renamed; on other networks than the default one nothing,
    as the endpoint has it.

    Raises InvalidParameter: there is no such container, or nobody can be linked to it.
    """
    found = []
    for target, alias in map(parse, asked):
        try:
            other = store.record(store.resolve(target))
        except NotFound as error:
            raise InvalidParameter(f"could not get container for {target}: {error}") from error
        if other.host.network_mode == HOST:
            raise InvalidParameter(f"conflicting options: host {_UNDEFINED}")
        found.append(f"/{other.id}:/{record.name}/{alias}")
    return tuple(found) if record.host.links else None


def shown(store: Store, record: Record) -> Record:
    """The record with its links as users see them, by the names of now: `/web:/me/db`."""
    if not record.host.links:
        return record
    links = tuple(f"/{_name(store, target)}:/{record.name}/{alias}" for target, alias in map(parse, record.host.links))
    return replace(record, host=replace(record.host, links=links))


def _name(store: Store, target: str) -> str:
    try:
        return store.record(store.resolve(target)).name
    except (NotFound, FileNotFoundError):  # it is gone
        return target


def find(store: Store, endpoints: Endpoints, record: Record) -> list[Linked]:
    """Those that a container is linked to, in the default network. Raises PydockerError: one of them does not run."""
    found = []
    for target, alias in map(parse, record.host.links or ()):
        other = store.record(store.resolve(target))
        if BRIDGE not in other.networks:
            raise InvalidParameter(f"Cannot link to /{other.name}, as it does not belong to the default network")
        endpoint = next((one for one in endpoints.of(other.id) if one.network_name == BRIDGE), None)
        if endpoint is None:
            raise PydockerError(f"Cannot link to a non running container: /{other.name} AS /{record.name}/{alias}")
        found.append(Linked(alias, other, endpoint))
    return found


def lines(found: Sequence[Linked]) -> Iterator[Line]:
    """For /etc/hosts: the alias, its host name, its name."""
    for alias, record, endpoint in found:
        names = " ".join(dict.fromkeys((alias, record.config.hostname, record.name)))
        for address in (endpoint.ipv4, endpoint.ipv6):
            if address:
                yield Line(address.partition("/")[0], names)


def environment(name: str, found: Sequence[Linked]) -> Iterator[str]:
    """What Docker tells of a linked container's ports, and of its environment."""
    for alias, record, endpoint in found:
        prefix = alias.upper().replace("-", "_")
        ports = sorted(map(_port, record.config.exposed_ports or ()))
        yield from _ports(prefix, endpoint.ipv4.partition("/")[0], ports)
        yield f"{prefix}_NAME=/{name}/{alias}"
        for entry in record.config.env:
            key, equals, value = entry.partition("=")
            if equals and key not in ("HOME", "PATH"):
                yield f"{prefix}_ENV_{key}={value}"


def _port(text: str) -> tuple[bool, str, int]:
    """`80/tcp`, so that they sort: tcp first, then by protocol and number."""
    number, _, protocol = text.partition("/")
    return protocol not in ("", "tcp"), protocol or "tcp", int(number)


def _ports(prefix: str, address: str, ports: Sequence[tuple[bool, str, int]]) -> Iterator[str]:
    for at, (_, protocol, number) in enumerate(ports):
        if at == 0:
            yield f"{prefix}_PORT={protocol}://{address}:{number}"
        one = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield from (f"{one}={protocol}://{address}:{number}", f"{one}_ADDR={address}", f"{one}_PORT={number}",
                    f"{one}_PROTO={protocol}")
    for first, last, protocol in _ranges(ports):
        one = f"{prefix}_PORT_{first}_{protocol.upper()}"
        yield from (f"{one}_START={protocol}://{address}:{first}", f"{one}_PORT_START={first}",
                    f"{one}_END={protocol}://{address}:{last}", f"{one}_PORT_END={last}")


def _ranges(ports: Sequence[tuple[bool, str, int]]) -> Iterator[tuple[int, int, str]]:
    """Ports that follow each other: the first and the last."""
    start = 0
    for at in range(1, len(ports) + 1):
        if at == len(ports) or ports[at][1:] != (ports[at - 1][1], ports[at - 1][2] + 1):
            if at - start > 1:
                yield ports[start][2], ports[at - 1][2], ports[start][1]
            start = at


def note(store: Store, record: Record, found: Sequence[Linked]) -> None:
    """Leave word with those it is linked to, so that it hears when one of them gets another address."""
    for linked in found:
        path = store.paths.container(linked.record.id) / _LINKED_BY
        known = _linked_by(path)
        if record.id not in known:
            documents.write(path, (*known, record.id), durable=False)


def moved(store: Store, endpoints: Endpoints, record: Record, places: Sequence[Endpoint]) -> None:
    """It has started: whoever runs and is linked to it finds its address of now in /etc/hosts."""
    own = next((one for one in places if one.network_name == BRIDGE), None)
    if own is None:
        return
    for id in _linked_by(store.paths.container(record.id) / _LINKED_BY):
        with contextlib.suppress(NotFound):
            other = store.record(id)
            names = [alias for target, alias in map(parse, other.host.links or ())
                     if target in (record.id, record.name)]  # the name is an earlier version's
            if names and endpoints.of(id):
                etcfiles.edit_hosts(store.paths.container(id), partial(_moved, names, own))


def _moved(names: Sequence[str], own: Endpoint, text: str) -> str:
    for name in names:
        for address in (own.ipv4, own.ipv6):
            text = hosts.moved(text, name, address.partition("/")[0]) if address else text
    return text


def _linked_by(path: Path) -> tuple[ContainerId, ...]:
    try:
        return documents.read(path, tuple[ContainerId, ...])
    except FileNotFoundError:
        return ()


def without(record: Record, alias: str) -> Record:
    """The record without this link. Raises NotFound: it has none of this name."""
    left = tuple(text for text in record.host.links or () if parse(text)[1] != alias)
    if left == (record.host.links or ()):
        raise NotFound(f"No such link: /{record.name}/{alias}")
    return replace(record, host=replace(record.host, links=left or None))
