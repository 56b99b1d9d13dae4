"""`filters=` of a query: which containers or images a list shall show.

The value is JSON. Docker's command line sends `{"status": {"running": true}}`, other clients the documented
`{"status": ["running"]}`. Several values of one key are alternatives (labels: all have to be there), several keys all
have to hold; a key that nobody knows is an error, since a list that was not filtered looks just like one that was.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model import reference
from pydocker.model.container import Container, HealthStatus, Status
from pydocker.model.image import Image
from pydocker.model.network import PREDEFINED, Network
from pydocker.model.volume import DRIVER, Volume
from pydocker.wire import moments
from pydocker.wire.containers import listed_mounts
from pydocker.wire.networks import places, published
from pydocker.wire.times import from_rfc3339

T = TypeVar("T")
Values = tuple[str, ...]
Filters = Mapping[str, Values]
Test = Callable[[T], bool]

_PATTERN = re.compile(r"\\(.)|(?=(.))(\[\^?[^]\[]+\]|.)", re.DOTALL)


def parse(text: str) -> Filters:
    """The filters in `text`. Raises InvalidParameter."""
    if not text:
        return {}
    try:
        decoded = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidParameter(f"invalid filters: {error}") from error
    return {key: tuple(value if isinstance(value, list) else [name for name, on in value.items() if on])
            for key, value in decoded.items() if value}


def container_tests(filters: Filters, image_id: Callable[[str], str | None],
                    find: Callable[[str], Container]) -> list[Test[Container]]:
    """One test for each key. `image_id`: the id that an image's name has now; `find`: a container by reference."""
    tables: Mapping[str, Callable[[Values], Test[Container]]] = {
        "id": lambda values: lambda it: _matches(values, it.record.id),
        "name": lambda values: lambda it: _matches(values, it.record.name) or _matches(values, f"/{it.record.name}"),
        "label": lambda values: lambda it: _has_labels(values, it.record.config.labels),
        "status": _status,
        "exited": _exited,
        "ancestor": lambda values: _ancestor(values, image_id),
        "before": lambda values: lambda it: any(it.record.created < find(value).record.created for value in values),
        "since": lambda values: lambda it: any(it.record.created > find(value).record.created for value in values),
        "network": lambda values: lambda it: _in_network(it, values),
        "health": _health,
        "isolation": lambda values: lambda it: True,  # a matter of Windows: here, all are alike
        "is-task": lambda values: _constant(not _truth("is-task", values[0])),  # nothing here is a swarm's
        "publish": lambda values: _has_port("publish", values, _published),
        "expose": lambda values: _has_port("expose", values, _exposed),
        "volume": lambda values: lambda it: any({mount.name or mount.source, mount.destination} & set(values)
                                                for mount in listed_mounts(it.record)),
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


def image_tests(filters: Filters, find: Callable[[str], Image]) -> list[Test[Image]]:
    """One test for each key. `find` resolves an image's name."""
    tables: Mapping[str, Callable[[Values], Test[Image]]] = {
        "reference": lambda values: lambda it: any(_is_called(it, value) for value in values),
        "dangling": _dangling,
        "label": lambda values: lambda it: _has_labels(values, it.config.config.labels or {}),
        "before": lambda values: _compared(values, find, lambda mine, other: mine < other),
        "since": lambda values: _compared(values, find, lambda mine, other: mine > other),
        "until": lambda values: _until(values, _created),
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


def image_prune_tests(filters: Filters) -> list[Test[Image]]:
    """Which images `prune` takes, of those that nobody uses: without filter, the dangling ones."""
    dangling = _truth("dangling", filters.get("dangling", ("true",))[0])
    others = _prune_tests(filters, lambda it: it.config.config.labels or {}, _created, also=("dangling",))
    return [*others, *([lambda it: not it.names] if dangling else [])]


def network_tests(filters: Filters, members: Callable[[Network], Sequence[object]]) -> list[Test[Network]]:
    """One test for each key. `members` are the containers in a network now."""
    tables: Mapping[str, Callable[[Values], Test[Network]]] = {
        "id": lambda values: lambda it: any(it.id.startswith(value) for value in values),
        "name": lambda values: lambda it: _matches(values, it.name),
        "driver": lambda values: lambda it: it.driver in values,
        "scope": lambda values: lambda it: "local" in values,
        "type": _type,
        "label": lambda values: lambda it: _has_labels(values, it.labels),
        "dangling": lambda values: _empty(_truth("dangling", values[0]), members),
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


def _type(values: Values) -> Test[Network]:
    if wrong := [value for value in values if value not in ("builtin", "custom")]:
        raise InvalidParameter(f"invalid filter: 'type'='{wrong[0]}'")
    return lambda it: ("builtin" if it.name in PREDEFINED else "custom") in values


def _empty(wanted: bool, members: Callable[[Network], Sequence[object]]) -> Test[Network]:
    return lambda it: it.name not in PREDEFINED and wanted is not bool(members(it))


def network_prune_tests(filters: Filters) -> list[Test[Network]]:
    """Which networks `prune` takes, of those that nobody is in."""
    return _prune_tests(filters, lambda it: it.labels, lambda it: it.created)


def container_prune_tests(filters: Filters) -> list[Test[Container]]:
    """Which containers `prune` takes, of those that do not run."""
    return _prune_tests(filters, lambda it: it.record.config.labels, lambda it: it.record.created)


def volume_tests(filters: Filters, users: Callable[[], Mapping[str, object]]) -> list[Callable[[str, Volume], bool]]:
    """One test for each key. `users` tells what has which volume."""
    tables: Mapping[str, Callable[[Values], Callable[[str, Volume], bool]]] = {
        "dangling": lambda values: _unused(_truth("dangling", values[0]), users),
        "driver": lambda values: lambda name, it: _matches(values, DRIVER),
        "label": lambda values: lambda name, it: _has_labels(values, it.labels),
        "name": lambda values: lambda name, it: _matches(values, name),
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


def _unused(wanted: bool, users: Callable[[], Mapping[str, object]]) -> Callable[[str, Volume], bool]:
    used = users()
    return lambda name, it: (name not in used) is wanted


def volume_prune_tests(filters: Filters, *, all: bool) -> list[Callable[[str, Volume], bool]]:
    """Which volumes `prune` takes, of those that nobody uses: the anonymous ones, unless `all`."""
    only(filters, "label", "label!", "all")
    all = _truth("all", filters["all"][0]) if "all" in filters else all
    tests: list[Callable[[str, Volume], bool]] = [] if all else [lambda name, it: it.anonymous]
    if "label" in filters:
        tests.append(lambda name, it: _has_labels(filters["label"], it.labels))
    if "label!" in filters:
        tests.append(lambda name, it: not _has_labels(filters["label!"], it.labels))
    return tests


def only(filters: Filters, *known: str) -> None:
    """Raises InvalidParameter for any other key."""
    for key in filters:
        _known(dict.fromkeys(known), key)


def _prune_tests(filters: Filters, labels: Callable[[T], Mapping[str, str]], created: Callable[[T], float],
                 also: tuple[str, ...] = ()) -> list[Test[T]]:
    only(filters, "until", "label", "label!", *also)
    tests: list[Test[T]] = []
    if "until" in filters:
        tests.append(_until(filters["until"], created))
    if "label" in filters:
        tests.append(lambda it: _has_labels(filters["label"], labels(it)))
    if "label!" in filters:
        tests.append(lambda it: not _has_labels(filters["label!"], labels(it)))
    return tests


def passes(tests: list[Test[T]], value: T) -> bool:
    return all(test(value) for test in tests)


def _known(tables: Mapping[str, T], key: str) -> T:
    try:
        return tables[key]
    except KeyError:
        raise InvalidParameter(f"invalid filter {key[:100]!r}") from None


def _matches(values: Values, text: str) -> bool:
    """Docker's match: equal, or found as a regular expression. An expression that is none matches nothing."""
    return any(value == text or _search(value, text) for value in values)


def _search(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _has_labels(wanted: Values, labels: Mapping[str, str]) -> bool:
    for want in wanted:
        key, equals, value = want.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _status(values: Values) -> Test[Container]:
    if wrong := [value for value in values if value not in frozenset(Status)]:
        raise InvalidParameter(f"invalid filter 'status={wrong[0]}'")
    return lambda it: it.state.status in values


def _health(values: Values) -> Test[Container]:
    if wrong := [value for value in values if value not in {"none", *HealthStatus}]:
        raise InvalidParameter(f"unrecognized filter value for health: {wrong[0]}")
    return lambda it: (it.state.health.status if it.state.health else "none") in values


def _constant(shown: bool) -> Test[Container]:
    return lambda it: shown


def _exited(values: Values) -> Test[Container]:
    try:
        codes = {int(value) for value in values}
    except ValueError:
        wrong = next(value for value in values if not re.fullmatch("[+-]?[0-9]+", value, re.ASCII))
        raise InvalidParameter(f'strconv.Atoi: parsing "{wrong[:100]}": invalid syntax') from None
    return lambda it: it.state.status is Status.EXITED and it.state.exit_code in codes


def _ancestor(values: Values, image_id: Callable[[str], str | None]) -> Test[Container]:
    ids = {image_id(value) for value in values}
    return lambda it: it.record.image in ids


def _in_network(container: Container, values: Values) -> bool:
    """By name or, while it runs, by the network's id or the beginning of it."""
    ids = [endpoint.network for endpoint in container.endpoints]
    return any(value in places(container) or any(value and id.startswith(value) for id in ids) for value in values)


def _has_port(key: str, values: Values, ports: Callable[[Container], set[tuple[int, str]]]) -> Test[Container]:
    """`80`, `53/udp`, `8000-8010/tcp`."""
    wanted = {port for value in values for port in _range(key, value)}
    return lambda it: bool(wanted & ports(it))


def _range(key: str, value: str) -> Iterator[tuple[int, str]]:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", value, re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if match is None or not first <= last <= 65535:
        raise InvalidParameter(f"invalid filter '{key}={value[:100]}'")
    return ((number, match[3] or "tcp") for number in range(first, last + 1))


def _published(container: Container) -> set[tuple[int, str]]:
    return {(one.host_port, one.protocol) for one in published(container)}


def _exposed(container: Container) -> set[tuple[int, str]]:
    """By its settings, and published ones, which are exposed by that."""
    keys = (key.partition("/") for key in container.record.config.exposed_ports)
    return {(int(number), protocol or "tcp") for number, _, protocol in keys if number.isdigit()} | {
        (one.container_port, one.protocol) for one in published(container)}


def _is_called(image: Image, pattern: str) -> bool:
    return any(_fits(name, pattern) for name in (*image.names, *image.digests))


def _fits(name: str, pattern: str) -> bool:
    """Whether an image's name fits: with or without its tag, `*` and `?` as in a shell."""
    parsed = reference.parse(name)
    candidates = [name, parsed.familiar_name]
    if pattern.startswith(f"{parsed.domain}/"):
        candidates += [str(parsed), parsed.name]  # not for `*/*/*`, which asks for what is not Docker Hub's
    matches = _shell_pattern(pattern)
    return any(matches(candidate) for candidate in candidates)


@functools.lru_cache(64)
def _shell_pattern(pattern: str) -> Callable[[str], object]:
    """Go's path.Match: `*` and `?` stop at a slash; `[a-z]`, `[^a-z]`, and a backslash before what is meant itself."""
    parts = []
    for escaped, kind, text in _PATTERN.findall(pattern):
        parts.append({"*": "[^/]*", "?": "[^/]", "[": text}.get(kind) or re.escape(escaped or kind))
    try:
        return re.compile("".join(parts), re.DOTALL).fullmatch
    except re.error as error:
        raise InvalidParameter(f"invalid filter 'reference={pattern[:100]}': syntax error in pattern") from error


def as_called(image: Image, chosen: Mapping[str, Values]) -> Image:
    """With only the names that a filter by reference asks for: `docker images web:1` shows no `web:2`."""
    patterns = chosen.get("reference", ())
    if not patterns:
        return image
    names, digests = ([name for name in given if any(_fits(name, pattern) for pattern in patterns)]
                      for given in (image.names, image.digests))
    return msgspec.structs.replace(image, names=tuple(names), digests=tuple(digests))


def _dangling(values: Values) -> Test[Image]:
    """Without tag. An image that only a digest names is in both lists, as in Docker's."""
    if _truth("dangling", values[0]):
        return lambda it: not it.names
    return lambda it: bool(it.names or it.digests)


def _compared(values: Values, find: Callable[[str], Image], holds: Callable[[float, float], bool]) -> Test[Image]:
    """By when they were created: all of the images that are named have to be newer, or older. One that is not there is
    an error, found before the list is made."""
    others = [_created(find(value)) for value in values]
    return lambda it: all(holds(_created(it), other) for other in others)


def _until(values: Values, created: Callable[[T], float]) -> Test[T]:
    """Created before that moment: a time, or how long ago. Raises InvalidParameter."""
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    try:
        moment = float(moments.seconds(values[0]))
    except ValueError as error:
        raise InvalidParameter(str(error)) from error
    return lambda it: created(it) <= moment


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidParameter(f"invalid filter '{key}=[{value}]'")
    return value.lower() in ("true", "1")


def _created(image: Image) -> float:
    return from_rfc3339(image.config.created or "")
