"""Times as the Engine API writes them, and spans of time as Docker says them.

Inside the engine a time is a float, seconds since the epoch, and 0.0 means never. On the wire it is RFC 3339 in UTC
with nanoseconds; never is Go's zero time.
"""

import re
from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400


def rfc3339(seconds: float) -> str:
    """`seconds` since the epoch as RFC 3339, UTC, with nine digits; NEVER for 0."""
    if not seconds:
        return NEVER
    whole, nanoseconds = divmod(round(seconds * 1e6) * 1000, 10**9)  # a float holds microseconds of today, no more
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def whole(seconds: float) -> str:
    """The same without a fraction."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def from_rfc3339(text: str) -> float:
    """Seconds since the epoch; 0.0 for NEVER and for text that is no time (an image may claim anything)."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)
    if match is None or text == NEVER:
        return 0.0
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + ("+00:00" if zone in "Zz" else zone))
    except ValueError:
        return 0.0
    return moment.timestamp() + float(fraction or 0)


def span(seconds: float) -> str:
    """A length of time in Docker's words: `3 minutes`, `About an hour`, `2 weeks` (docker/go-units, HumanDuration)."""
    for limit, words in _SPANS:
        if seconds < limit:
            return words.format(s=int(seconds), m=int(seconds / _MINUTE), h=_hours(seconds), d=_hours(seconds) // 24,
                                w=_hours(seconds) // 24 // 7, M=_hours(seconds) // 24 // 30)
    return f"{int(seconds / _HOUR) // 24 // 365} years"


def _hours(seconds: float) -> int:
    return int(seconds / _HOUR + 0.5)


# Below this many seconds: these words. Hours are rounded before they are compared, hence the halves.
_SPANS = (
    (1 * _SECOND, "Less than a second"),
    (2 * _SECOND, "1 second"),
    (1 * _MINUTE, "{s} seconds"),
    (2 * _MINUTE, "About a minute"),
    (1 * _HOUR, "{m} minutes"),
    (1.5 * _HOUR, "About an hour"),
    (47.5 * _HOUR, "{h} hours"),
    (14 * _DAY - 0.5 * _HOUR, "{d} days"),
    (60 * _DAY - 0.5 * _HOUR, "{w} weeks"),
    (730 * _DAY - 0.5 * _HOUR, "{M} months"),
)
