"""What callers pass besides ids: choices for reading logs, and how long to wait for what."""

from enum import StrEnum

import msgspec


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a log. `since` and `until` in nanoseconds since the epoch, 0: no bound; `tail` None: all lines."""

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    tail: int | None = None
    follow: bool = False
    timestamps: bool = False


class WaitCondition(StrEnum):
    """Docker's three: not running now, the next exit, gone for good."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"
