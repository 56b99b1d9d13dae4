"""How often to ask again, and how long to wait in between: exponential back-off with jitter.

Asked again are questions that the same answer might not follow: a connection that broke, 429 (too many requests) and
the 5xx that speak of a moment (500, 502, 503, 504). `Retry-After` (RFC 9110, section 10.2.3) is obeyed up to `most`
seconds; a registry that wants more than that (Docker Hub's pull limit is counted in hours) gets no second question:
the person is told.
"""

import email.utils
import random
import time
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
