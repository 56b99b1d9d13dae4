"""How often to ask again, and how long to wait in between: exponential back-off with jitter.

Asked again are questions that the same answer might not follow: a connection that broke, 429 (too many requests) and
the 5xx that speak of a moment (500, 502, 503, 504). `Retry-After` (RFC 9110, section 10.2.3) is obeyed up to `most`
seconds; a registry that wants more than that (Docker Hub's pull limit is counted in hours) gets no second question:
the person is told.

`RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600` say how much of that is left (IETF draft "RateLimit
header fields for HTTP", as Docker Hub speaks it).
"""

import email.utils
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

TRANSIENT = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. `attempts` counts the first one; `connect` and `read` bound each wait for the network."""

    attempts: int = 5
    first: float = 0.5
    most: float = 20.0
    connect: float = 15.0
    read: float = 60.0

    def delay(self, failures: int, asked: float | None = None) -> float | None:
        """What to wait after the given number of failures in a row; None: give up."""
        if failures >= self.attempts or (asked is not None and asked > self.most):
            return None
        return max(asked or 0.0, min(self.first * 2.0 ** (failures - 1), self.most))

    def wait(self, failures: int, asked: float | None = None) -> bool:
        """Wait; False at once where `delay` says to give up."""
        delay = self.delay(failures, asked)
        if delay is None:
            return False
        # several layers fail at the same moment: they should not all come back at the same moment, too
        time.sleep(delay if asked else delay * random.uniform(0.5, 1.0))
        return True


def retry_after(header: str | None, now: float) -> float | None:
    """The seconds that a `Retry-After` header asks for, which may be a number or a date; None where it is neither."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a registry says is left of a limit. `window` in seconds; 0 where it does not say."""

    remaining: int
    limit: int = 0
    window: int = 0

    def __str__(self) -> str:
        of = f" of {self.limit}" if self.limit else ""
        return f"Rate limit: {self.remaining}{of} pulls left" + (f" in {told(self.window)}" if self.window else "")


_LIMIT = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?", re.ASCII)


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What an answer's headers say about a limit; None where they say nothing that can be understood."""
    remaining = _LIMIT.match(headers.get("RateLimit-Remaining", ""))
    limit = _LIMIT.match(headers.get("RateLimit-Limit", ""))
    if remaining is None:
        return None
    window = remaining[2] or (limit[2] if limit else None)
    return RateLimit(int(remaining[1]), int(limit[1]) if limit else 0, int(window or 0))


def told(seconds: float) -> str:
    """`20 seconds`, `6 hours`: the largest unit that says it well enough."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or (seconds >= length and seconds % length == 0):
            return _counted(round(seconds / length), unit)
    return _counted(max(round(seconds), 1), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")
