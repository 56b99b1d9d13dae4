"""--log-driver and --log-opt: what is logged where, and how much of it is kept.

Without options a container may fill 30 MiB, not the disk (Docker's default has no bound).
"""

import re
from pathlib import Path

from pydocker.errors import InvalidParameter
from pydocker.model.container import LogConfig
from pydocker.monitor.launch import LogSettings

DRIVERS = ("json-file", "none")
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([kmgt]?)i?b?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}  # decimal here, as docker/go-units FromHumanSize


def settings(config: LogConfig, directory: Path, id: str) -> LogSettings:
    """Raises InvalidParameter: an unknown driver or option, a senseless value."""
    if config.type not in DRIVERS:
        raise InvalidParameter(f'logger: no log driver named "{config.type}" is registered')
    if config.type == "none":
        return LogSettings()
    found = LogSettings(str(directory / f"{id}-json.log"))
    for name in config.config.keys() - {"max-size", "max-file"}:
        raise InvalidParameter(f"unknown log opt '{name}' for json-file log driver")
    return LogSettings(found.path, _size(config.config.get("max-size"), found.max_size),
                       _count(config.config.get("max-file"), found.files))


def _size(text: str | None, default: int) -> int:
    if text is None:
        return default
    match = _SIZE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise InvalidParameter(f"invalid max-size: {text[:40]!r}")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _count(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 0 < int(text) <= 1000):
        raise InvalidParameter(f"invalid max-file: {text[:40]!r}")
    return int(text)
