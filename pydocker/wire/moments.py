"""Moments as people write them for `--since` and `--until` (moby, api/types/time, GetTimestamp).

    10m  1h30m                          before now
    2013-01-02T15:04:05[.999][Z|+02:00] a moment; without a zone: local time
    2013-01-02  2013-01-02T15:04        the same, less exact
    1136073600.000000001                seconds since the epoch
"""

import re
import time
from datetime import datetime

from pydocker.wire.durations import duration

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def seconds(text: str, now: float | None = None) -> str:
    """Seconds since the epoch with their fraction, as the API takes them. Raises ValueError with the reason."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return text
    if moment := _MOMENT.fullmatch(text):
        return _absolute(moment, text)
    try:
        return f"{(time.time() if now is None else now) - duration(text) / 1e9:.9f}"
    except ValueError:
        raise ValueError(f'failed to parse value as time or duration: "{text}"') from None


def _absolute(moment: re.Match[str], text: str) -> str:
    day, hour, minute, second, fraction, zone = moment.groups()
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}"
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone or ''}")
    except ValueError as error:
        raise ValueError(f'"{text}": {error}') from error
    return f"{int(whole.timestamp())}.{(fraction or '.')[1:].ljust(9, '0')}"
