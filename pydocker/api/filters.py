"""`filters=` of a query: which containers or images a list shall show.

The value is JSON. Docker's command line sends `{"status": {"running": true}}`, other clients the documented
`{"status": ["running"]}`. Several values of one key are alternatives (labels: all have to be there), several keys all
have to hold; a key that nobody knows is an error, since a list that was not filtered looks just like one that was.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model import reference
from pydocker.model.container import Container, Status
from pydocker.model.image import Image
from pydocker.wire.containers import network
from pydocker.wire.times import from_rfc3339

T = TypeVar("T")
Values = tuple[str, ...]
Filters = Mapping[str, Values]
Test = Callable[[T], bool]

# Docker has two more states, which no container of this engine is ever in.
_STATUSES = frozenset(Status) | {"paused", "restarting"}


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
        "network": lambda values: lambda it: network(it.record.host) in values,
        "health": lambda values: lambda it: "none" in values,
        "is-task": lambda values: lambda it: any(value.lower() in ("false", "0") for value in values),
        # No container of this engine has ports or volumes yet, so none has the one that is looked for.
        "publish": lambda values: lambda it: False,
        "expose": lambda values: lambda it: any(_port(value) in it.record.config.exposed_ports for value in values),
        "volume": lambda values: lambda it: False,
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


def image_tests(filters: Filters, find: Callable[[str], Image]) -> list[Test[Image]]:
    """One test for each key. `find` resolves an image's name."""
    tables: Mapping[str, Callable[[Values], Test[Image]]] = {
        "reference": lambda values: lambda it: any(_is_called(it, value) for value in values),
        "dangling": lambda values: lambda it: _truth("dangling", values[0]) == (not it.names),
        "label": lambda values: lambda it: _has_labels(values, it.config.config.labels or {}),
        "before": lambda values: lambda it: any(_created(it) < _created(find(value)) for value in values),
        "since": lambda values: lambda it: any(_created(it) > _created(find(value)) for value in values),
    }
    return [_known(tables, key)(values) for key, values in filters.items()]


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
    if wrong := [value for value in values if value not in _STATUSES]:
        raise InvalidParameter(f"invalid filter 'status={wrong[0]}'")
    return lambda it: it.state.status in values


def _exited(values: Values) -> Test[Container]:
    try:
        codes = {int(value) for value in values}
    except ValueError:
        raise InvalidParameter(f"invalid filter 'exited={', '.join(values)}'") from None
    return lambda it: it.state.status is Status.EXITED and it.state.exit_code in codes


def _ancestor(values: Values, image_id: Callable[[str], str | None]) -> Test[Container]:
    ids = {image_id(value) for value in values}
    return lambda it: it.record.image in ids


def _port(value: str) -> str:
    return value if "/" in value else f"{value}/tcp"


def _is_called(image: Image, pattern: str) -> bool:
    return any(_fits(name, pattern) for name in (*image.names, *image.digests))


def _fits(name: str, pattern: str) -> bool:
    """Whether an image's name fits: with or without its tag, `*` and `?` as in a shell."""
    parsed = reference.parse(name)
    candidates = (name, parsed.familiar_name, str(parsed), parsed.name)
    return any(fnmatch.fnmatchcase(candidate, pattern) for candidate in candidates)


def as_called(image: Image, chosen: Mapping[str, Values]) -> Image:
    """With only the names that a filter by reference asks for: `docker images web:1` shows no `web:2`."""
    patterns = chosen.get("reference", ())
    if not patterns:
        return image
    names, digests = ([name for name in given if any(_fits(name, pattern) for pattern in patterns)]
                      for given in (image.names, image.digests))
    return msgspec.structs.replace(image, names=tuple(names), digests=tuple(digests))


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidParameter(f"invalid filter '{key}={value}'")
    return value.lower() in ("true", "1")


def _created(image: Image) -> float:
    return from_rfc3339(image.config.created or "")
