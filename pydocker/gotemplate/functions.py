"""What a pipeline may call: Go's own functions, and those that Docker's commands add.

Sources: Go, text/template/funcs.go; docker/cli, templates/templates.go. A function raises ValueError with Go's words.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote_plus

import msgspec

from pydocker.gotemplate.values import (
    NO_POINTER,
    Function,
    Map,
    Nil,
    Row,
    Struct,
    Value,
    kind,
    of_utf8,
    plain,
    size,
    truth,
    utf8,
)
from pydocker.gotemplate.verbs import printf, sprint, sprintln

_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SCRIPT = {"\\": r"\\", "'": r"\'", '"': r"\"", "<": r"\u003C", ">": r"\u003E", "&": r"\u0026", "=": r"\u003D"}


def to_json(value: Value) -> str:
    """Compact JSON as Go's encoder writes it: maps by key, fields in their order."""
    try:
        text = msgspec.json.encode(_encodable(value)).decode()
    except UnicodeEncodeError as error:
        raise ValueError(f"json: unsupported value: {error.reason}") from error
    for escaped in "\u2028\u2029<>&" if _has_rows(value) else "\u2028\u2029":
        text = text.replace(escaped, f"\\u{ord(escaped):04x}")
    return text


def _has_rows(value: Value) -> bool:
    return isinstance(value, Row) or (isinstance(value, list | tuple) and any(isinstance(one, Row) for one in value))


def _encodable(value: Value) -> Value:
    match value:
        case Nil():
            return None
        case str():
            return of_utf8(utf8(value)).encode("utf-8", "replace").decode() if not value.isascii() else value
        case Struct() if not isinstance(value, Row):
            return {name: _encodable(one) for name, one in value.items() if not isinstance(one, Function)}
        case Mapping():
            return {key: _encodable(value[key]) for key in sorted(value) if not isinstance(value[key], Function)}
        case list() | tuple():
            return [_encodable(one) for one in value]
        case float() if value.is_integer() and abs(value) < 1e21:
            return int(value)
    return value


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        value = _indexed(value, key)
    return value


def _indexed(value: Value, key: Value) -> Value:
    match value:
        case None:
            raise ValueError("index of untyped nil")
        case Struct():
            raise ValueError(f"can't index item of type {kind(value)}")
        case Mapping():
            if not isinstance(key, str):
                raise ValueError(f"value has type {kind(key)}; should be string" if key is not None else
                                 "value is nil; should be string")
            return value.get(key, value.zero if isinstance(value, Map) else None)
        case str():
            return utf8(value)[_position(key, len(utf8(value)))]
        case list() | tuple():
            return value[_position(key, len(value))]
        case Nil() if value is not NO_POINTER:
            return "" if value.shown == "map[]" else _position(key, 0)
    raise ValueError("index of nil pointer" if value is NO_POINTER else f"can't index item of type {kind(value)}")


def _position(key: Value, count: int) -> int:
    _check_position(key, count)
    if key == count:
        raise ValueError("reflect: slice index out of range")
    return int(key)


def _check_position(key: Value, count: int) -> None:
    if type(key) is not int:
        raise ValueError(f"cannot index slice/array with {'nil' if key is None else f'type {kind(key)}'}")
    if not 0 <= key <= count:
        raise ValueError(f"index out of range: {key}")


def _slice(value: Value, *bounds: Value) -> Value:
    if len(bounds) > 3:
        raise ValueError(f"too many slice indexes: {len(bounds)}")
    items = _sliceable(value, bounds)
    for bound in bounds:
        _check_position(bound, len(items))
    first, last, most = tuple(bounds) + (0, len(items), len(items))[len(bounds):]
    for lower, upper in ((first, last), (last, most)):
        if lower > upper:
            raise ValueError(f"invalid slice index: {lower} > {upper}")
    return of_utf8(items[first:last]) if isinstance(items, bytes) else items[first:last]


def _sliceable(value: Value, bounds: Sequence[Value]) -> Any:
    match value:
        case None:
            raise ValueError("slice of untyped nil")
        case str() if len(bounds) == 3:
            raise ValueError("cannot 3-index slice a string")
        case str():
            return utf8(value)
        case list() | tuple():
            return value
        case Nil() if value.shown == "[]":
            return ()
    raise ValueError(f"can't slice item of type {kind(value)}")


def _length(value: Value) -> int:
    if (found := size(value)) is None:
        raise ValueError("reflect: call of reflect.Value.Type on zero Value" if value is None else
                         "len of nil pointer" if value is NO_POINTER else f"len of type {kind(value)}")
    return found


def _basic(value: Value) -> str:
    for name, type_ in (("bool", bool), ("int", int), ("float", float), ("string", str)):
        if isinstance(value, type_):
            return name
    return ""


def _equal(first: Value, *others: Value) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Value, other: Value) -> bool:
    if _basic(first) != _basic(other):
        if first is not None and other is not None:
            raise ValueError("incompatible types for comparison")
        return False
    if _basic(first):
        return bool(first == other)
    if any(value is None or isinstance(value, Nil) for value in (first, other)):
        return all(value is None or isinstance(value, Nil) for value in (first, other))
    if not isinstance(first, Struct):
        raise ValueError(f"non-comparable type {plain(first)}: {kind(first)}")
    return bool(first == other)


def _less(first: Value, other: Value) -> bool:
    if not _basic(first) or not _basic(other):
        raise ValueError("invalid type for comparison")
    if _basic(first) != _basic(other):
        raise ValueError("incompatible types for comparison")
    if isinstance(first, bool):
        raise ValueError("invalid type for comparison")
    return bool(utf8(first) < utf8(other) if isinstance(first, str) else first < other)


def _at_most(first: Value, other: Value) -> bool:
    return _less(first, other) or _same(first, other)


def _html(*values: Value) -> str:
    return "".join(_HTML.get(one, one) for one in sprint(*values))


def _script(*values: Value) -> str:
    return "".join(_SCRIPT.get(one) or (one if one >= " " else f"\\u{ord(one):04X}") for one in sprint(*values))


def _query(*values: Value) -> str:
    return quote_plus(utf8(sprint(*values)), safe="~")


def _call(function: Value, *_: Value) -> NoReturn:
    raise ValueError("call of nil" if function is None else f"non-function of type {kind(function)}")


def _join(values: Value, separator: str) -> str:
    return "" if isinstance(values, Nil) else separator.join(sprint(one) for one in values)


def _split(text: str, separator: str) -> list[str]:
    """Go's: an empty separator cuts between all characters."""
    return text.split(separator) if separator else list(text)


def _title(text: str) -> str:
    return re.sub(r"(?<![\w'])\w", lambda found: found[0].title(), text)


def _pad(text: str, before: int, after: int) -> str:
    if min(before, after) < 0:
        raise ValueError("strings: negative Repeat count")
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    if length < 0:
        raise ValueError(f"runtime error: slice bounds out of range [:{length}]")
    return text[:length]


_TEXT, _TEXTS, _NUMBER, _ANY = "string", "[]string", "int", "any"
BUILTIN: Mapping[str, Function] = {
    "and": Function(lambda first, *_: first, rest=_ANY), "or": Function(lambda first, *_: first, rest=_ANY),
    "not": Function(lambda value: not truth(value)),
    "len": Function(_length), "index": Function(_index, rest=_ANY), "slice": Function(_slice, rest=_ANY),
    "print": Function(sprint, (), _ANY), "println": Function(sprintln, (), _ANY),
    "printf": Function(printf, (_TEXT,), _ANY),
    "html": Function(_html, (), _ANY), "js": Function(_script, (), _ANY), "urlquery": Function(_query, (), _ANY),
    "call": Function(_call, rest=_ANY),
    "eq": Function(_equal, rest=_ANY), "ne": Function(lambda first, other: not _same(first, other), (_ANY, _ANY)),
    "lt": Function(_less, (_ANY, _ANY)), "le": Function(_at_most, (_ANY, _ANY)),
    "gt": Function(lambda first, other: not _at_most(first, other), (_ANY, _ANY)),
    "ge": Function(lambda first, other: not _less(first, other), (_ANY, _ANY)),
}
DOCKERS: Mapping[str, Function] = {
    "json": Function(to_json), "join": Function(_join, (_TEXTS, _TEXT)), "split": Function(_split, (_TEXT, _TEXT)),
    "title": Function(_title, (_TEXT,)), "lower": Function(str.lower, (_TEXT,)), "upper": Function(str.upper, (_TEXT,)),
    "pad": Function(_pad, (_TEXT, _NUMBER, _NUMBER)), "truncate": Function(_truncate, (_TEXT, _NUMBER)),
}
# In the heading of a table a column is named by the same template, filled with titles: those stay as they are.
HEADING: Mapping[str, Function] = {
    **{name: Function(lambda text: text, (_TEXT,)) for name in ("json", "title", "lower", "upper")},
    **{name: Function(lambda text, _: text, (_TEXT, _ANY)) for name in ("join", "split", "truncate")},
}
ALL: Mapping[str, Function] = {**BUILTIN, **DOCKERS}
