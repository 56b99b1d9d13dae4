"""What callers pass besides ids: choices for reading logs, how long to wait for what, what an image of it says."""

from enum import StrEnum

import msgspec

from pydocker.model.image import ImageDefaults


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a log. `since` and `until` in nanoseconds since the epoch, 0: no bound; `tail` None: all lines."""

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    tail: int | None = None
    follow: bool = False
    timestamps: bool = False
    details: bool = False


class WaitCondition(StrEnum):
    """Docker's three: not running now, the next exit, gone for good."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


class CommitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` are Dockerfile instructions; where `config` says something, it is not the container's own setting."""

    author: str = ""
    comment: str = ""
    changes: tuple[str, ...] = ()
    pause: bool = True
    config: ImageDefaults | None = None
