"""`events`: a line of JSON with the figures of a container every few seconds, and one at each out-of-memory kill.

One loop waits for three things at once: the next time to look, the out-of-memory notice (`cgroups.oom`), and the end of
init (a pidfd becomes readable, pidfd_open(2)), which ends the stream.
"""

import os
import re
import time
from collections.abc import Callable
from select import POLLIN, poll

import msgspec

from runtime import cgroups
from runtime.cgroups import Cgroup
from runtime.cgroups.oom import OomNotices
from runtime.cgroups.stats import Stats
from runtime.errors import InvalidArgument, StepFailed, WrongState
from runtime.spec import Status
from runtime.state import Place, Record, start_time, status

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
Tell = Callable[[bytes], object]


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line; `type` is "stats" or "oom"."""

    type: str
    id: str
    data: Stats | None = None


def once(place: Place, tell: Tell) -> None:
    """The figures of this moment. Raises NoSuchContainer, WrongState, StepFailed."""
    tell(line(place, opened(place)[1].stats()))


def stream(place: Place, interval: float, tell: Tell) -> None:
    """Figures every `interval` seconds, and out-of-memory notices, until the container ends. Raises as `once` does."""
    record, cgroup = opened(place)
    end = pidfd(record)
    try:
        notices = cgroup.oom_notices()
    except StepFailed:
        os.close(end)
        raise
    try:
        follow(place, cgroup, notices, end, interval, tell)
    finally:
        notices.close()
        os.close(end)


def follow(place: Place, cgroup: Cgroup, notices: OomNotices, end: int, interval: float, tell: Tell) -> None:
    ready = poll()
    ready.register(end, POLLIN)
    if notices.descriptor >= 0:
        ready.register(notices.descriptor, notices.mask)
    next_look, ended = time.monotonic() + interval, False
    while not ended:
        found = dict(ready.poll(max(next_look - time.monotonic(), 0) * 1000))
        ended = end in found
        # Asked in any case: v2 tells late, and the container may have ended of it.
        for _ in range(notices.happened()):
            tell(msgspec.json.encode(Event(type="oom", id=place.id)) + b"\n")
        if not ended and time.monotonic() >= next_look:
            next_look += interval
            tell(line(place, cgroup.stats()))


def line(place: Place, stats: Stats) -> bytes:
    return msgspec.json.encode(Event(type="stats", id=place.id, data=stats)) + b"\n"


def opened(place: Place) -> tuple[Record, Cgroup]:
    """The container's cgroup, if it has not stopped."""
    record = place.record()
    if status(place, record) is Status.STOPPED:
        raise WrongState(f"container with id {place.id} is not running")
    return record, cgroups.open(record.cgroup_path, systemd=record.systemd)


def pidfd(record: Record) -> int:
    """A descriptor of init: first the descriptor, then the check that it is still the same process."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except (ProcessLookupError, ValueError) as error:
        raise WrongState(f"container with id {record.id} is not running") from error
    if start_time(record.pid) != record.start_time:
        os.close(descriptor)
        raise WrongState(f"container with id {record.id} is not running")
    return descriptor


def seconds(word: str) -> float:
    """A duration as Go writes it: 5s, 500ms, 1m30s. Raises InvalidArgument; it has to be more than nothing."""
    length = word[1:] if word[:1] in ("+", "-") else word
    parts = re.findall(r"([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|µs|ms|s|m|h)", length)
    if length != "0" and ("".join(number + unit for number, unit in parts) != length or not parts):
        raise InvalidArgument(f"invalid value {word!r} for flag --interval: expected a duration such as 5s or 500ms")
    total = sum(float(number) * UNITS[unit] for number, unit in parts)
    if total <= 0 or word.startswith("-"):
        raise InvalidArgument("duration interval must be greater than 0")
    return total
