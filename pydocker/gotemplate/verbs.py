"""printf, as Go's fmt has it: `%-10s|%5.2f|%q|%x|%v|%+v|%T|%[2]d|%*d`.

What does not fit is no error, and stands in the text: `%!d(string=hi)`, `%!d(MISSING)`, `%!(EXTRA int=1)`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from pydocker.gotemplate.lexer import quoted
from pydocker.gotemplate.values import Function, Nil, Struct, Value, float_text, kind, plain, utf8

_VERB = re.compile(r"%([-+# 0]*)(?:(\d+)|((?:\[[^]]*\])?\*))?(?:(\.)(?:(\d+)|((?:\[[^]]*\])?\*))?)?(\[[^]]*\])?(.)?",
                   re.DOTALL | re.ASCII)
_WIDEST = 10**6


class _Spec:
    """One verb: its flags, width and precision (None: not given)."""

    def __init__(self, flags: str, width: int | None, precision: int | None, verb: str) -> None:
        self.minus = "-" in flags
        self.plus = "+" in flags
        self.sharp = "#" in flags
        self.space = " " in flags
        self.zero = "0" in flags and not self.minus
        self.width = width or 0
        self.precision = precision
        self.verb = verb

    def padded(self, text: str, *, zero: bool = False) -> str:
        """To its width; zeros go between a sign and its digits."""
        missing = self.width - len(text)
        if missing <= 0:
            return text
        if self.minus:
            return text + " " * missing
        if not (zero and self.zero):
            return " " * missing + text
        sign = text[:1] if text[:1] in ("+", "-", " ") else ""
        return sign + "0" * missing + text[len(sign):]


class _Arguments:
    """Which argument is next; `%[n]` chooses, after which nothing counts as left over."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._values = values
        self._next = 0
        self.reordered = False
        self.bad = False

    def choose(self, index: str | None) -> None:
        if not index:
            return
        self.reordered = True
        if re.fullmatch(r"\[\d{1,9}\]", index, re.ASCII) and 1 <= int(index[1:-1]) <= len(self._values):
            self._next = int(index[1:-1]) - 1
        else:
            self.bad = True

    def take(self) -> tuple[bool, Value]:
        if self._next >= len(self._values):
            return False, None
        self._next += 1
        return True, self._values[self._next - 1]

    def rest(self) -> Sequence[Value]:
        return self._values[self._next:]


def printf(format: str, *values: Value) -> str:
    """`format` with its verbs filled."""
    arguments = _Arguments(values)
    text = _VERB.sub(lambda found: _filled(found, arguments), format)
    if arguments.reordered or not (left := arguments.rest()):
        return text
    return text + "%!(EXTRA " + ", ".join(_typed(value) for value in left) + ")"


def _typed(value: Value) -> str:
    return "<nil>" if value is None else f"{kind(value)}={plain(value)}"


def _filled(found: re.Match[str], arguments: _Arguments) -> str:
    flags, digits, star, dot, precise, precise_star, index, verb = found.groups()
    arguments.bad, complaint = False, ""
    width = int(digits) if digits and len(digits) < 8 else _WIDEST + 1 if digits else None
    if star:
        width, complaint = _counted(star, arguments, "%!(BADWIDTH)")
        if width is not None and width < 0:
            flags, width = flags + "-", -width
    precision = int(precise[:8]) if precise else 0 if dot else None
    if precise_star:
        precision, worse = _counted(precise_star, arguments, "%!(BADPREC)")
        complaint += worse
        precision = precision if precision is None or precision >= 0 else None
    arguments.choose(index)
    if verb is None:
        return complaint + "%!(NOVERB)"
    if verb == "%":
        return complaint + "%"
    if arguments.bad:
        return f"{complaint}%!{verb}(BADINDEX)"
    there, value = arguments.take()
    if not there:
        return f"{complaint}%!{verb}(MISSING)"
    if (width or 0) > _WIDEST:
        width, complaint = None, complaint + "%!(BADWIDTH)"
    if (precision or 0) > _WIDEST:
        precision, complaint = None, complaint + "%!(BADPREC)"
    return complaint + _shown(value, _Spec(flags, width, precision, verb))


def _counted(star: str, arguments: _Arguments, complaint: str) -> tuple[int | None, str]:
    arguments.choose(star[:-1])
    _, value = arguments.take()
    if type(value) is int and abs(value) <= _WIDEST:
        return value, ""
    return None, complaint


def _shown(value: Value, spec: _Spec) -> str:
    if spec.verb == "T":
        return spec.padded("<nil>" if value is None else kind(value))
    if value is None:
        return spec.padded("<nil>") if spec.verb == "v" else f"%!{spec.verb}(<nil>)"
    if spec.verb == "v" and spec.sharp:
        return spec.padded(_go_syntax(value))
    if spec.verb == "v" and not isinstance(value, bool | int | float | str):
        return _composite(value, spec)
    if isinstance(value, list | tuple):
        return "[" + " ".join(_shown(one, spec) for one in value) + "]"
    if isinstance(value, Mapping):
        return _mapping(value, spec)
    return _single(value, spec)


def _composite(value: Value, spec: _Spec) -> str:
    """Flags hold for what is in it, one by one; a nil has nothing in it."""
    if isinstance(value, Nil):
        return spec.padded(value.shown) if value.shown == "<nil>" else value.shown
    if not isinstance(value, Mapping):
        return "[" + " ".join(_inner(one, spec) for one in value) + "]"
    return _mapping(value, spec)


def _mapping(value: Mapping[str, Value], spec: _Spec) -> str:
    if isinstance(value, Struct):
        named = spec.verb == "v" and spec.plus
        return "{" + " ".join((f"{name}:" if named else "") + _inner(one, spec)
                              for name, one in value.items() if not isinstance(one, Function)) + "}"
    return "map[" + " ".join(f"{_inner(key, spec)}:{_inner(value[key], spec)}" for key in sorted(value)) + "]"


def _inner(value: Value, spec: _Spec) -> str:
    return spec.padded("<nil>") if value is None else _shown(value, spec)


def _single(value: Value, spec: _Spec) -> str:
    table: Mapping[str, Callable[[Value, _Spec], str]] = {}
    match value:
        case bool():
            table = {"t": _bool, "v": _bool}
        case str():
            table = _STRINGS
        case int():
            table = _INTEGERS
        case float():
            table = _FLOATS
    if spec.verb not in table:
        return f"%!{spec.verb}({_typed(value)})"
    return table[spec.verb](value, spec)


def _bool(value: bool, spec: _Spec) -> str:
    return spec.padded("true" if value else "false")


def _string(value: str, spec: _Spec) -> str:
    return spec.padded(value if spec.precision is None else value[:spec.precision])


def _quoted(value: str, spec: _Spec) -> str:
    text = value if spec.precision is None else value[:spec.precision]
    bare = spec.sharp and "`" not in text and text.isprintable()
    return spec.padded(f"`{text}`" if bare else quoted(text, ascii=spec.plus))


def _string_hex(value: str, spec: _Spec) -> str:
    content = utf8(value)[:spec.precision]
    text = content.hex(" ") if spec.space else content.hex()
    if spec.sharp and text:
        text = "0x" + text.replace(" ", " 0x")
    return spec.padded(text.upper() if spec.verb == "X" else text)


def _integer(value: int, spec: _Spec) -> str:
    verb = "d" if spec.verb == "v" else spec.verb
    digits = format(abs(value), {"O": "o", "b": "b", "d": "d", "o": "o", "x": "x", "X": "X"}[verb])
    if spec.precision is not None:
        digits = "" if spec.precision == 0 and value == 0 else digits.rjust(spec.precision, "0")
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    prefix = "0o" if verb == "O" else {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "") if spec.sharp else ""
    if spec.zero and spec.precision is None:
        # Go widens the digits to the width less the sign, and puts the base before them.
        digits = digits.rjust(spec.width - len(sign), "0")
    return spec.padded(sign + prefix + digits)


def _rune(value: int, spec: _Spec) -> str:
    character = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
    if spec.verb == "q":
        inner = quoted(character)[1:-1].replace(r"\"", '"')
        return spec.padded("'" + (r"\'" if character == "'" else inner) + "'")
    return spec.padded(character)


def _unicode(value: int, spec: _Spec) -> str:
    text = f"U+{value & (2**64 - 1):04X}"
    shown = spec.sharp and 0 <= value <= 0x10FFFF and chr(value).isprintable()
    return spec.padded(f"{text} '{chr(value)}'" if shown else text)


def _float(value: float, spec: _Spec) -> str:
    verb = "g" if spec.verb == "v" else spec.verb
    sign = "+" if spec.plus else " " if spec.space else ""
    if not math.isfinite(value):
        return _Spec("-" if spec.minus else "", spec.width, None, "").padded(
            sign + "Inf" if value > 0 else "-Inf" if value < 0 else sign * spec.plus + "NaN")
    if verb in "gG" and spec.precision is None:
        text = float_text(value)
    else:
        text = format(value, f".{6 if spec.precision is None else spec.precision}{verb}")
    if verb == "G":
        text = text.upper()
    return spec.padded(text if text.startswith("-") else sign + text, zero=True)


def _go_syntax(value: Value) -> str:
    """%#v"""
    match value:
        case None | Nil():
            return f"{kind(value)}(nil)" if isinstance(value, Nil) else "<nil>"
        case str():
            return quoted(value)
        case Struct():
            fields = ", ".join(f"{name}:{_inner_syntax(one)}" for name, one in value.items()
                               if not isinstance(one, Function))
            return f"{kind(value).lstrip('*')}{{{fields}}}"
        case Mapping():
            entries = ", ".join(f"{quoted(key)}:{_inner_syntax(value[key])}" for key in sorted(value))
            return f"{kind(value)}{{{entries}}}"
        case list() | tuple():
            return f"{kind(value)}{{{', '.join(map(_inner_syntax, value))}}}"
    return plain(value)


def _inner_syntax(value: Value) -> str:
    return "interface {}(nil)" if value is None else _go_syntax(value)


_STRINGS: Mapping[str, Callable[[Value, _Spec], str]] = {
    "s": _string, "v": _string, "q": _quoted, "x": _string_hex, "X": _string_hex}
_INTEGERS: Mapping[str, Callable[[Value, _Spec], str]] = {
    **dict.fromkeys("vbdoOxX", _integer), "c": _rune, "q": _rune, "U": _unicode}
_FLOATS: Mapping[str, Callable[[Value, _Spec], str]] = dict.fromkeys("veEfFgG", _float)


def sprint(*values: Value) -> str:
    """`print`: a blank stands between two of which neither is a string."""
    parts: list[str] = []
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def sprintln(*values: Value) -> str:
    """`println`: a blank between all of them, a line break at the end."""
    return " ".join(map(plain, values)) + "\n"
