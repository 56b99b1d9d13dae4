"""Constants as Go's source writes them: "a\\tb", `raw`, 'c', 0x1f, 1_000, 1e3."""

import re

from pydocker.gotemplate.values import of_utf8, utf8

_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))
_DIGITS = {"x": 16, "o": 8, "b": 2}


def text_of(literal: str) -> str:
    """A quoted text without its quotes and escapes. Raises ValueError: `invalid syntax`."""
    if literal[0] == "`":
        return literal[1:-1].replace("\r", "")
    other = b"'" if literal[0] == '"' else b'"'
    return of_utf8(_ESCAPE.sub(lambda found: _unescaped(found, other), utf8(literal[1:-1])))


def _unescaped(found: re.Match[bytes], other: bytes) -> bytes:
    simple, two, octal, four, eight, wrong = found.groups()
    if wrong is not None or simple == other:  # in "…" there is no \', in '…' no \"
        raise ValueError("invalid syntax")
    if simple:
        return bytes((_SIMPLE[simple[0]],))
    if two or octal:
        number = int(two or octal, 16 if two else 8)
        if number > 255:
            raise ValueError("invalid syntax")
        return bytes((number,))
    number = int(four or eight, 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError("invalid syntax")
    return chr(number).encode()


def character(literal: str) -> int:
    """The number of the one character in it. Raises ValueError."""
    text = text_of(literal)
    if len(text) != 1:
        raise ValueError("malformed character constant")
    return ord(text)


def number(literal: str) -> int | float:
    """Raises ValueError: `illegal number syntax`, `integer overflow`."""
    found = re.fullmatch(r"([+-]?)(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|0[bB][01_]+|[1-9][0-9_]*)", literal, re.ASCII)
    if found:
        return _integer(*found.groups())
    if not re.fullmatch(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d[\d_]*)?", literal, re.ASCII):
        raise ValueError("illegal number syntax")
    try:
        value = float(literal)
    except ValueError:
        raise ValueError("illegal number syntax") from None
    if value in (float("inf"), float("-inf")):
        raise ValueError("illegal number syntax")
    return value


def _integer(sign: str, digits: str) -> int:
    """A leading zero alone means octal, too."""
    base = _DIGITS.get(digits[1:2].lower(), 8 if digits[0] == "0" and len(digits) > 1 else 10)
    bare = digits[2:] if digits[1:2].lower() in _DIGITS and digits[0] == "0" else digits
    if not re.fullmatch(r"_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*", bare, re.ASCII):
        raise ValueError("illegal number syntax")
    value = int(bare.replace("_", ""), base) * (-1 if sign == "-" else 1)
    if not -(2**63) <= value < 2**63:
        raise ValueError("integer overflow")
    return value
