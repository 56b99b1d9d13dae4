"""What a template works on, and what Go makes of it: its print (`%v`), its type's name, its truth.

JSON's values are themselves. Three kinds more tell apart what Go's types tell apart and JSON does not:

    Struct   an object whose fields are known: it prints as {a b}, and an unknown field is an error
    Map      an object with any keys; one that it lacks is the type's zero value
    Nil      null, where Go knows of which type: it prints as [], map[] or <nil>

None is what has no value at all (Go's invalid reflect.Value, and a nil interface): `<no value>`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydocker.errors import InvalidParameter

Value = Any  # what a template may meet: JSON's values, and the kinds below


class TemplateError(InvalidParameter):
    """The template is wrong, or does not fit the value."""


class Function(NamedTuple):
    """What can be called: the types of its arguments (`any`, `string`, `int`), and of any more of them (`rest`).

    It raises ValueError for values that it cannot take.
    """

    call: Callable[..., Value]
    takes: tuple[str, ...] = ("any",)
    rest: str | None = None


class Struct(dict[str, Value]):
    """Fields in order. `kind` is the name of its type, for errors; a Function among the fields is a method."""

    def __init__(self, fields: Mapping[str, Value], kind: str = "") -> None:
        super().__init__(fields)
        self.kind = kind


class Row(Struct):
    """One line of a list. In its JSON the fields are sorted, and <, > and & escaped, as Docker's are."""


class Map(dict[str, Value]):
    """`zero` is what a key gives that is not there."""

    def __init__(self, entries: Mapping[str, Value], zero: Value = None) -> None:
        super().__init__(entries)
        self.zero = zero


class Nil:
    """A typed null. `shown` is how it prints, which tells the kind: `[]`, `map[]`, or `<nil>` (a pointer)."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __len__(self) -> int:
        return 0


_FIXED = 6  # digits before the point: a number with more of them gets an exponent

NO_LIST, NO_MAP, NO_POINTER = Nil("[]"), Nil("map[]"), Nil("<nil>")


def printed(value: Value) -> str:
    """`value` as a template prints it."""
    return "<no value>" if value is None else plain(value)


def plain(value: Value, *, names: bool = False) -> str:
    """`%v` of Go's fmt, or `%+v`, which names the fields of structs."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case float():
            return float_text(value)
        case Nil():
            return value.shown
        case Struct():
            fields = ((name, plain(one, names=names)) for name, one in value.items() if not isinstance(one, Function))
            return "{" + " ".join(f"{name}:{text}" if names else text for name, text in fields) + "}"
        case Mapping():
            return "map[" + " ".join(f"{key}:{plain(value[key], names=names)}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(plain(one, names=names) for one in value) + "]"
    return str(value)


def float_text(number: float) -> str:
    """The shortest text that reads as `number`, with an exponent below 1e-4 and from 1e6 on (strconv, 'g')."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{number:+}"[:1] + "Inf"
    digits, exponent = _shortest(number)
    if -4 <= exponent < _FIXED:
        return f"{number:.{max(len(digits) - 1 - exponent, 0)}f}"
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{'-' if math.copysign(1, number) < 0 else ''}{mantissa}e{exponent:+03d}"


def _shortest(number: float) -> tuple[str, int]:
    """Significant digits, and the decimal exponent of the first one. Python's repr is the shortest text, as Go's."""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    lost = len(whole + fraction) - len(digits)
    return digits.rstrip("0") or "0", len(whole) - 1 - lost + int(exponent or 0) if digits else 0


def kind(value: Value) -> str:
    """The name of the Go type that `value` would have."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "float64"
        case Struct():
            return value.kind or "struct"
        case Mapping():
            return "map[string]interface {}"
        case Function():
            return "func"
        case list() | tuple():
            return "[]string" if all(isinstance(one, str) for one in value) else "[]interface {}"
        case Nil():
            return {"[]": "[]interface {}", "map[]": "map[string]interface {}"}.get(value.shown, "*struct")
    return "nil"


def truth(value: Value) -> bool:
    """What `if` goes by: false are zero, what is empty and what is nil; a struct is true."""
    return True if isinstance(value, Struct) else bool(value)


def size(value: Value) -> int | None:
    """What `len` counts (of a string its bytes), or None for what has no length."""
    if isinstance(value, Struct) or value is NO_POINTER:
        return None
    if isinstance(value, str):
        return len(utf8(value))
    return len(value) if isinstance(value, list | tuple | Mapping | Nil) else None


def utf8(text: str) -> bytes:
    """The bytes that a string is in Go; those of argv that were no text come back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, from JSON
        return text.encode("utf-8", "replace")


def of_utf8(content: bytes) -> str:
    """The string of these bytes."""
    return content.decode("utf-8", "surrogateescape")

