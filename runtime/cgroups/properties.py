"""A property of a systemd unit, as it is told over D-Bus; and any property, by an annotation of config.json.

A property is told with its type in D-Bus' letters, as busctl(1) takes it: `MemoryMax t 67108864`, a list with its
length first: `AllowedCPUs ay 1 3`.
"""

import re
from collections.abc import Mapping

import msgspec

from runtime.errors import InvalidSpec

INFINITY = 2**64 - 1
PREFIX = "org.systemd.property."


class Property(msgspec.Struct, frozen=True):
    """One property of a unit. `since` is the version of systemd that knows it, where that is not an old one."""

    name: str
    type: str
    words: tuple[str, ...]
    since: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return (self.name, self.type, *self.words)


def text(name: str, value: str) -> Property:
    return Property(name, "s", (value,))


def yes(name: str) -> Property:
    return Property(name, "b", ("true",))


def count(name: str, value: int | None) -> tuple[Property, ...]:
    return (Property(name, "t", (str(value),)),) if value else ()


def bytes_(name: str, value: int | None) -> tuple[Property, ...]:
    """-1 is no limit, 0 is none asked for."""
    return (Property(name, "t", (str(INFINITY if value < 0 else value),)),) if value else ()


def most(word: str) -> str:
    return str(INFINITY) if word == "max" else word


TYPES = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
         "double": "d"}


def annotated(annotations: Mapping[str, str]) -> tuple[Property, ...]:
    """`org.systemd.property.TimeoutStopUSec: uint64 5000000` and the like: any property, by an annotation."""
    return tuple(annotation(key, value) for key, value in sorted(annotations.items()) if key.startswith(PREFIX))


def annotation(key: str, value: str) -> Property:
    name = key.removeprefix(PREFIX)
    if not re.fullmatch(r"[A-Za-z]{3,}", name, re.ASCII):
        raise InvalidSpec(f"$.annotations: annotation {key} name incorrect: expected three letters or more")
    kind, words = variant(key, value)
    if re.search(r"[a-z]Sec$", name):  # documented in seconds, and told in microseconds
        if kind in ("s", "b", "as"):
            raise InvalidSpec(f"$.annotations: annotation {key}={value} value parse error: not a number")
        return Property(f"{name.removesuffix('Sec')}USec", "t", (str(int(float(words[0]) * 1_000_000)),))
    return Property(name, kind, words)


def variant(key: str, value: str) -> tuple[str, tuple[str, ...]]:
    """A value in GVariant's text form: a string in quotes, a number with or without its type, a truth, strings."""
    text = value.strip()
    string = r"'([^'\\]*)'|\"([^\"\\]*)\""
    if found := re.fullmatch(string, text):
        return "s", (found[1] or found[2] or "",)
    if text in ("true", "false"):
        return "b", (text,)
    if found := re.fullmatch(r"(?:([a-z]+[0-9]*) +)?([+-]?[0-9]{1,20}(?:\.[0-9]+)?)", text, re.ASCII):
        kind = TYPES.get(found[1], "") if found[1] else "d" if "." in found[2] else "i"
        if kind:
            return kind, (found[2],)
    if re.fullmatch(rf"\[ *(?:(?:{string}) *(?:, *|(?=\])))*\]", text):
        items = tuple(one or other for one, other in re.findall(string, text))
        return "as", (str(len(items)), *items)
    raise InvalidSpec(f"$.annotations: annotation {key}={value} value parse error")
