"""--log-driver and --log-opt: what is logged where, and how much of it is kept.

Without options a container may fill 30 MiB (`json-file`), or 100 (`local`, compressed in part), not the disk: Docker's
json-file has no bound. Options that Docker finds wrong when the container starts are refused when it is created.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model.container import HostConfig, Record
from pydocker.monitor.launch import LogSettings

JOURNAL = "/run/systemd/journal/socket"
_FIRST_MIB = 1 << 20
_ROTATION = frozenset({"max-size", "max-file", "compress"})
_TOLD = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
_KNOWN = {"json-file": _ROTATION | _TOLD, "local": _ROTATION, "journald": _TOLD, "none": None}
DRIVERS = tuple(sorted(_KNOWN))
_ALWAYS = frozenset({"mode", "max-buffer-size"})
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_PREFIXES = ("", "k", "m", "g", "t", "p")


def check(host: HostConfig) -> None:
    """Raises InvalidParameter, in Docker's words: an unknown driver or option, a senseless value."""
    driver, options = host.log_config.type, host.log_config.config
    if driver not in _KNOWN:
        raise InvalidParameter(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    known = _KNOWN[driver]
    if known is None:  # `none` takes anything, and does nothing with it
        return
    _buffer(options)
    for name in sorted(options.keys() - known - _ALWAYS):
        raise InvalidParameter(f"unknown log opt '{name}' for {_called(driver)}")
    if driver != "journald":
        with _initializing():
            _rotation(driver, options)
    for name in ("labels-regex", "env-regex"):
        _pattern(options.get(name, ""))


@contextlib.contextmanager
def _initializing() -> Iterator[None]:
    """What Docker finds out when the container starts, it says like this."""
    try:
        yield
    except InvalidParameter as error:
        raise InvalidParameter(f"failed to initialize logging driver: {error}") from error


def _called(driver: str) -> str:
    return f"log driver {driver}" if driver == "local" else f"{driver} log driver"


def settings(record: Record, directory: Path) -> LogSettings:
    """What the monitor is told. Raises PydockerError: the journal is not there."""
    driver, options = record.host.log_config.type, record.host.log_config.config
    buffer = _buffer(options)
    if driver == "none":
        return LogSettings()
    if driver == "journald":
        if not os.path.exists(JOURNAL):
            raise PydockerError("failed to initialize logging driver: journald is not enabled on this host")
        return LogSettings(driver, JOURNAL, extra={**_journal_fields(record), **attributes(record, _field_name)},
                           buffer=buffer)
    path = path_of(record, directory)
    size, files, compress = _rotation(driver, options)
    extra = attributes(record) if driver == "json-file" else {}
    if driver == "json-file" and (text := tag(record)):
        extra["tag"] = text
    return LogSettings(driver, path, size, files, compress, extra, buffer)


def path_of(record: Record, directory: Path) -> str:
    """Of the newest file of the log; empty where it is not in files."""
    return {"json-file": str(directory / f"{record.id}-json.log"),
            "local": str(directory / "local-logs" / "container.log")}.get(record.host.log_config.type, "")


def _rotation(driver: str, options: Mapping[str, str]) -> tuple[int, int, bool]:
    """Bytes of a file, number of files, whether the older ones are compressed."""
    presets = {"json-file": (10 * _FIRST_MIB, 3, False), "local": (20 * 10**6, 5, True)}
    size, files, compress = presets[driver]
    if "max-size" in options:
        size = _size(options["max-size"], 1000)  # decimal, as docker/go-units FromHumanSize
        if size <= 0:
            raise InvalidParameter("max-size must be a positive number")
    if "max-file" in options:
        files = _count(options["max-file"])
    if "compress" in options:
        compress = _truth(options["compress"])
    if compress and files == 1:
        if "compress" in options:
            raise InvalidParameter("compress cannot be true when max-file is less than 2 or max-size is not set")
        compress = False
    return size, files, compress


def _size(text: str, step: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text[:40]}'")
    return int(float(match[1]) * step ** _PREFIXES.index(match[2].lower()))


def _count(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise InvalidParameter(f'strconv.Atoi: parsing "{text[:40]}": invalid syntax')
    if int(text) < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    if int(text) > 1000:
        raise InvalidParameter("max-file cannot be more than 1000")
    return int(text)


def _truth(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise InvalidParameter(f'strconv.ParseBool: parsing "{text[:40]}": invalid syntax')
    return text in _TRUE


def _buffer(options: Mapping[str, str]) -> int:
    """How much may wait for a slow log before it is lost; 0: the container waits."""
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    asked = options.get("max-buffer-size")
    if asked is None:
        return _FIRST_MIB if mode == "non-blocking" else 0
    if mode != "non-blocking":
        raise InvalidParameter("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    try:
        return max(_size(asked, 1024), 1)  # binary, as RAMInBytes
    except InvalidParameter as error:
        raise InvalidParameter(f"error parsing option max-buffer-size: {error}") from error


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidParameter(f"error parsing regexp: {error}: `{text[:200]}`") from error


def attributes(record: Record, name: Callable[[str], str] = str) -> dict[str, str]:
    """The labels and variables that the options ask for, by name or by pattern."""
    options = record.host.log_config.config
    variables = dict(entry.split("=", 1) for entry in record.config.env if "=" in entry)
    found = {**_chosen(record.config.labels, options.get("labels", ""), options.get("labels-regex", "")),
             **_chosen(variables, options.get("env", ""), options.get("env-regex", ""))}
    return {name(key): value for key, value in found.items()}


def _chosen(there: Mapping[str, str], names: str, pattern: str) -> dict[str, str]:
    asked = set(names.split(",")) if names else set()
    matches: Callable[[str], object] = _pattern(pattern).search if pattern else lambda key: None
    return {key: value for key, value in there.items() if key in asked or matches(key)}


def tag(record: Record, preset: str = "") -> str:
    """What the option asks for, filled in. Raises InvalidParameter."""
    template = record.host.log_config.config.get("tag") or preset
    if "{{" not in template:
        return template
    from pydocker.containers import logtags  # here, since most containers have none, and its parser is large

    return logtags.tag(record, template)


def _journal_fields(record: Record) -> dict[str, str]:
    text = tag(record, record.id[:12])
    return {"CONTAINER_ID": record.id[:12], "CONTAINER_ID_FULL": record.id, "CONTAINER_NAME": record.name,
            "CONTAINER_TAG": text, "IMAGE_NAME": record.image_name, "SYSLOG_IDENTIFIER": text}


def _field_name(name: str) -> str:
    """The journal's: capitals, digits, underlines, and none of these in front."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper()).lstrip("_") if name.isascii() else _field_name(
        re.sub(r"[^\x00-\x7f]", "_", name))
