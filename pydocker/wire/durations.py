"""Lengths of time as Go writes them: `1h2m3.5s`."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def duration(text: str) -> int:
    """Nanoseconds from Go's `1h2m3.5s`."""
    parts = _DURATION.findall(text)
    if text == "0":
        return 0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        missing = "missing unit in duration" if re.fullmatch(r"\d+", text) else "invalid duration"
        raise ValueError(f'time: {missing} "{text}"')
    found = [float(number) * _NANOSECONDS[unit] for number, unit in parts]
    if sum(found) >= 2**63:
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(map(round, found))
