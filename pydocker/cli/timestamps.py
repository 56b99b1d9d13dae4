"""What `--since` and `--until` mean: a moment, or how long ago, as the seconds that the API wants.

    10m  1h30m                          before now
    2013-01-02T15:04:05[.999][Z|+02:00] a moment; without a zone: local time
    2013-01-02  2013-01-02T15:04        the same, less exact
    1136073600.000000001                seconds since the epoch, passed on as they are
"""

import re
import time
from datetime import datetime

from pydocker.cli.errors import CommandError
from pydocker.cli.flags import duration

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def seconds(text: str, what: str, now: float | None = None) -> str:
    """Seconds since the epoch, with their fraction. Raises CommandError that names the flag `what`."""
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return text
    if moment := _MOMENT.fullmatch(text):
        return _absolute(moment, text, what)
    try:
        return f"{(time.time() if now is None else now) - duration(text) / 1e9:.9f}"
    except ValueError as error:
        reason = f'failed to parse value as time or duration: "{text}"'
        raise CommandError(f'invalid value for "{what}": {reason}') from error


def _absolute(moment: re.Match[str], text: str, what: str) -> str:
    day, hour, minute, second, fraction, zone = moment.groups()
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}"
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone or ''}")
    except ValueError as error:
        raise CommandError(f'invalid value for "{what}": "{text}": {error}') from error
    return f"{int(whole.timestamp())}.{(fraction or '.')[1:].ljust(9, '0')}"
