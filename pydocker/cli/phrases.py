"""Sizes and ages as Docker says them (docker/go-units): `1.99MB`, `3 minutes ago`."""

import re
import time

from pydocker.wire.times import span

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def decimal_size(count: float, digits: int = 3) -> str:
    """`count` bytes in powers of 1000, with so many significant digits."""
    return _scaled(count, 1000, _DECIMAL, digits)


def binary_size(count: float) -> str:
    """`count` bytes in powers of 1024, four digits."""
    return _scaled(count, 1024, _BINARY, 4)


def _scaled(count: float, step: int, units: tuple[str, ...], digits: int) -> str:
    power = 0
    while count >= step and power < len(units) - 1:
        count /= step
        power += 1
    return f"{count:.{digits}g}{units[power]}"


def ago(seconds: float, now: float | None = None) -> str:
    """How long ago that moment (seconds since the epoch) was."""
    return f"{span(max(0.0, (time.time() if now is None else now) - seconds))} ago"


def moment(seconds: float) -> str:
    """Go's default print of a local time: `2026-11-21 05:16:04 +0000 UTC`."""
    local = time.localtime(seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S %z', local)} {local.tm_zone}"


def written(text: str) -> str:
    """Go's default print of a time that came as RFC 3339, in the zone that it came in; anything else as it is."""
    found = re.fullmatch(r"([\d-]+)T([\d:]+)(\.\d+)?(Z|[+-]\d\d:\d\d)", text, re.ASCII)
    if not found:
        return text
    date, clock, fraction, zone = found.groups()
    offset = zone.replace(":", "")
    named = "+0000 UTC" if zone == "Z" else f"{offset} {offset}"
    return f"{date} {clock}{(fraction or '').rstrip('0').rstrip('.')} {named}"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; the last one becomes an ellipsis where something was cut off."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short_id(identifier: str) -> str:
    """The first twelve digits, without the algorithm."""
    return identifier.removeprefix("sha256:")[:12]


def natural(text: str) -> list[tuple[int, str]]:
    """What to sort by, to have `9/tcp` before `80/tcp` and `v9` before `v10` (docker/cli, sortorder.NaturalLess)."""
    return [(int(part), "") if at % 2 else (-1, part)
            for at, part in enumerate(re.split(r"(\d+)", text, flags=re.ASCII))]
