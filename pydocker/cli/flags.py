"""What a flag's value may look like: Docker's kinds of flags, as click parameter types.

A kind turns the text behind a flag into what the Engine API wants to have (bytes, 1e-9 CPUs, lists), and says in
Docker's words what is wrong with it:

    invalid argument "x" for "-m, --memory" flag: invalid size: 'x'

`Flag` is click's Option, told in one line: names, kind, help. Nothing here has a default of its own: a flag that was
not given stays None (or empty), so that a request holds what was asked for and the server's defaults hold for the rest.
"""

import re
from collections.abc import Callable
from typing import Any

import click

from pydocker.cli.errors import BadUsage
from pydocker.wire.durations import duration

Reader = Callable[[str], object]


class Kind(click.ParamType[Any]):
    """One kind of value: `name` is what the help shows for it; `read` raises ValueError with the reason."""

    def __init__(self, name: str, read: Reader) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            raise BadUsage(f'invalid argument "{value}" for "{_names(param)}" flag: {error}') from error


class Flag(click.Option):
    """One flag. `many`: it may be given repeatedly; `implied`: its value when it stands alone (`--rm` is `--rm=true`).

    `to` names the field of the create request that it fills; `shown` is the default that the help mentions.
    """

    def __init__(
        self, *names: str, kind: Kind, help: str, many: bool = False, implied: str | None = None, to: str = "",
        shown: str = "",
    ) -> None:
        super().__init__(names, type=kind, multiple=many, help=help, metavar=kind.name)
        self.implied = implied
        self.to = to
        self.shown = shown

    def consumed(self, given: list[str]) -> str | list[str]:
        """All the values that were given, or the last one: what click expects of a parser."""
        return given if self.multiple else given[-1]


class Absent(Flag):
    """A flag of Docker's that this command line has not: known, so that it gets a plain answer.

    `why` it never will have it; empty: it is still to come.
    """

    why = ""


def _names(param: click.Parameter | None) -> str:
    """`-m, --memory`, as pflag names a flag in its errors: by the first of its long names."""
    long = [name for name in param.opts if name.startswith("--")][:1] if param else []
    return ", ".join([*(name for name in param.opts if not name.startswith("--")), *long]) if param else ""


def boolean(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(text: str) -> int:
    """A decimal 64-bit integer."""
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -(2**63) <= (number := int(text)) < 2**63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _unsigned(text: str) -> int:
    """A decimal 16-bit integer without a sign."""
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if (number := int(text)) >= 2**16:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return number


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgtp])i?b?|b)?", re.ASCII | re.IGNORECASE)
_POWERS = {None: 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def size(text: str) -> int:
    """Bytes from `64m`, `1.5g`, `512`, `64MiB`: powers of 1024 (docker/go-units, RAMInBytes)."""
    match = _SIZE.fullmatch(text)
    unit = match[2].lower() if match and match[2] else None
    if match is None or (found := _number(match[1]) * 1024 ** _POWERS[unit]) >= 2**63:
        raise ValueError(f"invalid size: '{text}'")
    return int(found)


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _size_or_unlimited(text: str) -> int:
    return -1 if text == "-1" else size(text)


def cpus(text: str) -> int:
    """1e-9 CPUs from `1.5` (docker/cli, opts.ParseCPUs: a rational number, no more than nine digits)."""
    match = re.fullmatch(r"([+-]?)(?=\.?\d)(\d*)\.?(\d*)", text, re.ASCII)
    if match is None:
        raise ValueError(f"failed to parse {text} as a rational number")
    sign, whole, fraction = match.groups()
    if len(fraction.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    return (-1 if sign == "-" else 1) * (int(whole or 0) * 10**9 + int(fraction[:9].ljust(9, "0")))


_RESOURCES = frozenset(
    ("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
     "rttime", "sigpending", "stack"))


def ulimit(text: str) -> dict[str, object]:
    """`nofile=1024:2048`, as the API's Ulimit (docker/go-units, ParseUlimit)."""
    name, separator, values = text.partition("=")
    if not separator or not values:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _RESOURCES:
        raise ValueError(f"invalid ulimit type: {name}")
    if values.count(":") > 1:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    soft_text, _, hard_text = values.partition(":")
    soft = integer(soft_text)
    hard = integer(hard_text) if hard_text else soft
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def stream(text: str) -> str:
    """`stdin`, `stdout` or `stderr`, in any case."""
    if (name := text.lower()) not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name


def pair(text: str) -> tuple[str, str]:
    """`key=value`; without `=` the value is empty."""
    key, _, value = text.partition("=")
    return key, value


def label(text: str) -> tuple[str, str]:
    """The same; the name cannot be empty."""
    key, value = pair(text)
    if not key.strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return key, value


_NAMESPACED = frozenset((  # with net.* and fs.mqueue.*: what belongs to a container's namespaces
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced"))


def sysctl(text: str) -> tuple[str, str]:
    """`net.core.somaxconn=1024`; a sysctl without a value is nothing that could be set."""
    key, separator, value = text.partition("=")
    if not separator or not (key in _NAMESPACED or key.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return key, value


def condition(text: str) -> tuple[str, str]:
    """One `--filter name=value`; an empty text asks for nothing."""
    name, separator, value = text.partition("=")
    if text and not separator:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def variable(text: str) -> str:
    """One `--env`: `NAME=value` or `NAME`."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def restart(text: str) -> dict[str, object]:
    """`on-failure:3`, as the API's RestartPolicy (docker/cli, opts.ParseRestartPolicy)."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    if count and not re.fullmatch(r"[+-]?\d+", count, re.ASCII):
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def span(text: str) -> int:
    """Nanoseconds; what is below zero is read, so that it can be refused as that."""
    if text.startswith("-") and re.match(r"-[\d.]", text):
        return -duration(text[1:])
    return duration(text)


BOOL = Kind("", boolean)
STRING = Kind("string", str)
LIST = Kind("list", str)
INT = Kind("int", integer)
UINT = Kind("uint16", _unsigned)
BYTES = Kind("bytes", size)
SWAP = Kind("bytes", _size_or_unlimited)
CPUS = Kind("decimal", cpus)
DURATION = Kind("duration", span)
ULIMIT = Kind("ulimit", ulimit)
STREAM = Kind("list", stream)
LABEL = Kind("list", label)
PAIRS = Kind("map", pair)
RESTART = Kind("string", restart)
SYSCTL = Kind("map", sysctl)
FILTER = Kind("filter", condition)
ENV = Kind("list", variable)


def switch(*names: str, help: str, to: str = "", shown: str = "") -> Flag:
    """A flag that is on or off: `--rm`, `--rm=false`."""
    return Flag(*names, kind=BOOL, help=help, implied="true", to=to, shown=shown)


def value(*names: str, kind: Kind = STRING, help: str, to: str = "", shown: str = "") -> Flag:
    """A flag with one value; the last one given counts."""
    return Flag(*names, kind=kind, help=help, to=to, shown=shown)


def values(*names: str, kind: Kind = LIST, help: str, to: str = "") -> Flag:
    """A flag that may be given many times."""
    return Flag(*names, kind=kind, help=help, many=True, to=to)


def unlisted(*names: str, help: str) -> Flag:
    """A flag with one value of which help and completion say nothing: one that Docker has given up, and still takes."""
    flag = value(*names, help=help)
    flag.hidden = True
    return flag


def absent(*names: str, why: str = "") -> Absent:
    """A flag with a value that is refused."""
    return _with_reason(Absent(*names, kind=LIST, help=_refusal(why), many=True), why)


def absent_switch(*names: str, why: str = "") -> Absent:
    """A switch that is refused when it is on."""
    return _with_reason(Absent(*names, kind=BOOL, help=_refusal(why), implied="true", many=True), why)


def _refusal(why: str) -> str:
    return f"Not supported: {why}" if why else "Not supported yet"


def _with_reason(flag: Absent, why: str) -> Absent:
    flag.why = why
    return flag
