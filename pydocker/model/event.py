"""An event: that something happened to a container, an image, … (Engine API, `EventMessage`).

It is stored as it goes over the wire, one JSON object a line, so that a reader hands on what it has read.
"""

import time
from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What an event is about."""

    CONTAINER = "container"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"


class Actor(msgspec.Struct, frozen=True, rename={"id": "ID", "attributes": "Attributes"}):
    """Whom it happened to; for a container the attributes are its labels, its name, its image, and what the action
    adds."""

    id: str
    attributes: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={
        "origin": "from", "type": "Type", "action": "Action", "actor": "Actor", "nanoseconds": "timeNano"}):
    """One event. The first three are what it had instead of type and actor before API 1.22, and still has beside them.
    """

    status: str = ""
    id: str = ""
    origin: str = ""
    type: str
    action: str
    actor: Actor
    scope: str
    time: int  # seconds since the epoch
    nanoseconds: int  # the same moment, exactly


def event(type: Kind, action: str, id: str, attributes: Mapping[str, str], now: int | None = None) -> Event:
    """An event of this moment (`now` in nanoseconds)."""
    now = time.time_ns() if now is None else now
    old = {"status": action, "id": id} if type in (Kind.CONTAINER, Kind.IMAGE) else {}
    origin = attributes.get("image", "") if type is Kind.CONTAINER else ""
    return Event(**old, origin=origin, type=type, action=action, actor=Actor(id, dict(attributes)), scope="local",
                 time=now // 10**9, nanoseconds=now)
