"""`--format`: the part of Go's text/template that lists and inspections are asked with.

    {{.Names}}   {{.State.Running}}   {{json .Config}}   {{index .Config.Labels "a"}}   {{.}}   {{"text"}}

Every action is one value, or one function over values. Actions that this module does not know (`range`, `if`, pipes)
are refused by name. Values print as Go prints what a JSON document decodes to: `[a b]`, `map[k:v]`, `<no value>`.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from pydocker.errors import InvalidParameter

Printer = Callable[[object], str]
_Evaluator = Callable[[Any], Any]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\.[\w.]*|\w+|\S)', re.ASCII)


class TemplateError(InvalidParameter):
    """The template is wrong, or does not fit the value."""


def compile(text: str) -> Printer:
    """A function that prints a value through the template. Raises TemplateError for what it cannot do."""
    parts: list[str | _Evaluator] = []
    rest = text
    while True:
        before, opened, rest = rest.partition("{{")
        parts.append(before)
        if not opened:
            return lambda value: "".join(part if isinstance(part, str) else printed(part(value)) for part in parts)
        action, closed, rest = rest.partition("}}")
        if not closed:
            raise TemplateError("failed to parse template: template: :1: unclosed action")
        parts.append(_action(action, len(text) - len(rest) - len(action) - len("}}")))


def _action(text: str, column: int) -> _Evaluator:
    """`text` between the braces, which stands at `column` of the template.

    Trim markers (`{{- -}}`) are for blanks around, which single values do not have.
    """
    tokens = _TOKEN.findall(text.strip())
    if not tokens:
        raise TemplateError("failed to parse template: template: :1: missing value for command")
    head, *operands = tokens
    if head in _FUNCTIONS and operands:
        evaluators = [_operand(token, column + text.index(token)) for token in operands]
        return lambda value: _FUNCTIONS[head](*(evaluate(value) for evaluate in evaluators))
    if operands or (head.isidentifier() and head not in ("true", "false")):
        known = ", ".join(sorted(_FUNCTIONS))
        raise TemplateError(f"format {{{{{text}}}}} is not supported yet: {{{{.Field}}}} and the functions {known} are")
    return _operand(head, column + text.index(head))


def _operand(token: str, column: int) -> _Evaluator:
    if token == ".":
        return lambda value: value
    if token.startswith("."):
        names = token[1:].split(".")
        return lambda value: _field(value, names, column)
    if token[0] in '"`' and len(token) > 1:
        text = token[1:-1] if token[0] == "`" else msgspec.json.decode(token)
        return lambda value: text
    if re.fullmatch(r"\d+", token, re.ASCII):
        return lambda value: int(token)
    raise TemplateError(f"failed to parse template: template: :1: unexpected {token!r} in operand")


def _field(value: Any, names: list[str], column: int) -> Any:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            where = f'executing "" at <.{".".join(names)}>'
            raise TemplateError(f'template: :1:{column}: {where}: map has no entry for key "{name}"')
        value = value[name]
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            raise TemplateError(f"template: :1: error calling index: cannot index {printed(value)} with {key!r}")
    return value


def to_json(value: object) -> str:
    """Compact JSON as Go's encoder writes it: the three characters that matter to HTML are escaped."""
    text = msgspec.json.encode(value, order="sorted").decode()
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _join(value: Any, separator: Any) -> str:
    return str(separator).join(printed(item) for item in value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "index": _index,
    "len": len,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "join": _join,
}


def printed(value: object) -> str:
    """`value` as Go's fmt prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(printed, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
