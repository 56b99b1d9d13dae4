"""Which events a filter lets through, and what a time may look like."""

import json

import pytest

from pydocker.api import events, filters
from pydocker.api.exchange import Request
from pydocker.errors import InvalidParameter
from pydocker.model.event import Event, Kind, event

CONTAINER = event(Kind.CONTAINER, "exec_create: sh -c true", "abc123",
                  {"name": "web", "image": "registry:5000/app:1.2", "tier": "front"})
IMAGE = event(Kind.IMAGE, "pull", "busybox:latest", {"name": "busybox"})
NAMED = event(Kind.IMAGE, "tag", "sha256:aa", {"name": "other:1"})


def shown(given: dict[str, list[str]]) -> list[Event]:
    wanted = events.tests(filters.parse(json.dumps(given)))
    return [one for one in (CONTAINER, IMAGE, NAMED) if filters.passes(wanted, one)]


@pytest.mark.parametrize(("given", "expected"), [
    ({}, [CONTAINER, IMAGE, NAMED]),
    ({"type": ["image"]}, [IMAGE, NAMED]),
    ({"type": ["image"], "event": ["pull"]}, [IMAGE]),
    ({"event": ["pull", "tag"]}, [IMAGE, NAMED]),
    ({"event": ["exec_create"]}, [CONTAINER]),
    ({"event": ["exec"]}, []),
    ({"event": ["exec_create: sh -c true"]}, [CONTAINER]),
    ({"container": ["web"]}, [CONTAINER]),
    ({"container": ["abc"]}, [CONTAINER]),
    ({"container": ["busy"]}, []),
    ({"image": ["busybox"]}, [IMAGE]),
    ({"image": ["busybox:latest"]}, [IMAGE]),
    ({"image": ["registry:5000/app"]}, [CONTAINER]),
    ({"image": ["registry"]}, []),
    ({"image": ["other"]}, [NAMED]),
    ({"label": ["tier"]}, [CONTAINER]),
    ({"label": ["tier=front", "name=web"]}, [CONTAINER]),
    ({"label": ["tier=back"]}, []),
    ({"scope": ["local"]}, [CONTAINER, IMAGE, NAMED]),
    ({"scope": ["swarm"]}, []),
    ({"network": ["web"]}, []),
    ({"daemon": ["x"]}, []),
])
def test_filters(given: dict[str, list[str]], expected: list[Event]) -> None:
    assert shown(given) == expected


def test_a_key_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="invalid filter 'colour'"):
        events.tests({"colour": ("red",)})


@pytest.mark.parametrize(("text", "expected"), [
    ("", None), ("0", None), ("1700000000", 1_700_000_000 * 10**9), ("1700000000.000000007", 1_700_000_000 * 10**9 + 7),
    ("1700000000.5", 1_700_000_000 * 10**9 + 5 * 10**8), ("2023-11-14T22:13:20Z", 1_700_000_000 * 10**9),
])
def test_moments(text: str, expected: int | None) -> None:
    assert events.moment(Request(method="GET", path="/events", query={"since": [text]}), "since") == expected


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="invalid value for 'until'"):
        events.moment(Request(method="GET", path="/events", query={"until": ["yesterday"]}), "until")
