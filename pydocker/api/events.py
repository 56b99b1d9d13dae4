"""`GET /events`: what happened, and what happens now, as a stream of JSON lines.

The client's connection is the subscription; when it hangs up, the stream ends. A filter's values are alternatives, its
keys have all to hold (moby, daemon/events/filter.go, whose sense of `image`, `event` and names this is).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from pydocker.api import filters
from pydocker.api.cancel import Cancel, HasFd
from pydocker.api.exchange import Request, Result, Stream
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.model.event import Event
from pydocker.wire import moments

Test = filters.Test[Event]

# Actions with words behind a colon: their first word stands for all of them.
_WORDY = frozenset(("health_status", "exec_create", "exec_start"))


class Backend(Protocol):
    def events(self, since: int | None, until: int | None, gone: HasFd | None) -> Iterator[Event]: ...


def events(backend: Backend, request: Request) -> Result:
    since, until = moment(request, "since"), moment(request, "until")
    if since is not None and until is not None and until < since:
        raise InvalidParameter(f"`since` time ({since // 10**9}) cannot be after `until` time ({until // 10**9})")
    wanted, gone = tests(filters.parse(request.text("filters"))), Cancel()
    # An end without a beginning means: from the first that is known (as in Docker).
    found = backend.events(0 if since is None and until is not None else since, until, gone)
    return Stream(_lines(found, wanted), cancel=gone.set)


def moment(request: Request, key: str) -> int | None:
    """A time of the query in nanoseconds since the epoch: as seconds, as RFC 3339, or as how long ago."""
    text = request.text(key).strip()
    if not text or text == "0":
        return None
    try:
        whole, _, fraction = moments.seconds(text).partition(".")
        return int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))
    except ValueError as error:
        raise InvalidParameter(f"invalid value for '{key}': {error}") from error


def _lines(found: Iterator[Event], wanted: list[Test]) -> Iterator[bytes]:
    for one in found:
        if filters.passes(wanted, one):
            yield msgspec.json.encode(one) + b"\n"


def tests(chosen: filters.Filters) -> list[Test]:
    """One test for each key. Raises InvalidParameter for one that nobody knows."""
    filters.only(chosen, *_TESTS)
    return [_test(key, values) for key, values in chosen.items()]


def _test(key: str, values: filters.Values) -> Test:
    return lambda it: _TESTS[key](it, values)


def _named(kind: str) -> Callable[[Event, filters.Values], bool]:
    """Of that kind, and its id or its name begins so."""
    def holds(it: Event, values: filters.Values) -> bool:
        names = (it.actor.id, it.actor.attributes.get("name", ""))
        return it.type == kind and any(name.startswith(value) for name in names for value in values)
    return holds


def _action(it: Event, values: filters.Values) -> bool:
    if _WORDY.intersection(values):
        return it.action.startswith(values)
    return it.action in values


def _image(it: Event, values: filters.Values) -> bool:
    """The image itself, or a container that was made from it; with or without the tag."""
    name = it.actor.attributes.get("name" if it.type == "image" else "image", "")
    return any(one in values for one in (it.actor.id, name, _untagged(it.actor.id), _untagged(name)))


def _untagged(name: str) -> str:
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _labels(it: Event, values: filters.Values) -> bool:
    """All of them: `key`, or `key=value`."""
    pairs = (value.partition("=") for value in values)
    attributes = it.actor.attributes
    return all(key in attributes and (not equals or attributes[key] == value) for key, equals, value in pairs)


_TESTS: Mapping[str, Callable[[Event, filters.Values], bool]] = {
    "type": lambda it, values: it.type in values,
    "event": _action,
    "scope": lambda it, values: it.scope in values,
    "image": _image,
    "label": _labels,
    **{kind: _named(kind) for kind in (
        "container", "config", "daemon", "network", "node", "plugin", "secret", "service", "volume")},
}

ROUTES: Routes[Backend] = (
    ("GET", "/events", events),
)
