"""Words of Dockerfile instructions: where they end, and what their quotes and variables stand for.

    $NAME  ${NAME}      its value, or nothing          'text'  "text"  \\c       quotes and backslashes, as in a shell
    ${NAME:-word}       `word` where it is empty       ${NAME-word}            `word` where it is not set
    ${NAME:+word}       `word` where it is not empty   ${NAME+word}            `word` where it is set
    ${NAME:?word}       an error where it is empty     ${NAME?word}            an error where it is not set
    ${NAME#pattern}  ${NAME##pattern}  ${NAME%pattern}  ${NAME%%pattern}       without that beginning, or end
    ${NAME/pattern/word}  ${NAME//pattern/word}                                with `word` for the first, or each

Pure. Source: moby/buildkit, frontend/dockerfile/shell/lex.go.
"""

import re
from collections.abc import Mapping

from pydocker.errors import InvalidParameter

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]?", re.ASCII)
_ENDS = {"'": "single-quote", '"': "double-quote", "}": "}"}


def words(text: str) -> list[str]:
    """Cut at blanks outside of quotes; the quotes stay. Raises InvalidParameter for one that is not closed."""
    found: list[str] = []
    at, word, quote = 0, "", ""
    while at < len(text):
        one = text[at]
        taken = text[at:at + 2] if one == "\\" and quote != "'" else one
        if one.isspace() and not quote:
            found, word = [*found, word] if word else found, ""
        else:
            word += taken
            if one in "'\"" and quote in ("", one):
                quote = "" if quote else one
        at += len(taken)
    if quote:
        raise _unclosed(text, quote)
    return [*found, word] if word else found


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its variables' values and without its quotes. Raises InvalidParameter."""
    return _Reader(text, variables).until("")


def _unclosed(text: str, end: str) -> InvalidParameter:
    return InvalidParameter(f"failed to process {text[:100]!r}: unexpected end of statement while looking for matching "
                            f"{_ENDS[end]}")


class _Reader:
    """Where one is in the text."""

    def __init__(self, text: str, variables: Mapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._at = 0

    def _peek(self) -> str:
        return self._text[self._at:self._at + 1]

    def _take(self) -> str:
        self._at += 1
        return self._text[self._at - 1:self._at]

    def until(self, stop: str) -> str:
        """Up to the character `stop` ("": to the end), which is taken."""
        found = ""
        while self._peek():
            one = self._take()
            if one == stop:
                return found
            found += self._shown(one)
        if stop:
            raise _unclosed(self._text, stop)
        return found

    def _shown(self, one: str) -> str:
        if one == "'":
            return self._single()
        if one == '"':
            return self._double()
        if one == "$":
            return self._dollar()
        return self._take() if one == "\\" else one

    def _single(self) -> str:
        inside, quote, _ = self._text[self._at:].partition("'")
        if not quote:
            raise _unclosed(self._text, "'")
        self._at += len(inside) + 1
        return inside

    def _double(self) -> str:
        found = ""
        while self._peek():
            one = self._take()
            if one == '"':
                return found
            if one == "\\":
                found += self._take() if self._peek() in ('"', "$", "\\") else one
            else:
                found += self._dollar() if one == "$" else one
        raise _unclosed(self._text, '"')

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        name = found[0] if found else ""
        self._at += len(name)
        return name

    def _dollar(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._take()
        name = self._name()
        if not name or not self._peek():
            raise InvalidParameter(f"failed to process {self._text[:100]!r}: syntax error: bad substitution")
        if self._peek() == "}":
            self._take()
            return self._variables.get(name, "")
        return self._modified(name)

    def _modified(self, name: str) -> str:
        value, kind = self._variables.get(name), self._take()
        if kind == ":":
            kind = self._take()
            value = value or None  # an empty one is none
            if kind not in ("-", "+", "?"):
                kind = f":{kind}"
        double = kind in ("#", "%", "/") and self._peek() == kind
        if double:
            self._take()
        match kind:
            case "-" | "+" | "?":
                return self._alternative(name, value, kind)
            case "#" | "%":
                return _without(value or "", self.until("}"), at_end=kind == "%", most=double)
            case "/":
                pattern, word = self.until("/"), self.until("}")
                return re.sub(_pattern(pattern), lambda _: word, value or "", count=0 if double else 1)
        raise InvalidParameter(f"failed to process {self._text[:100]!r}: unsupported modifier ({kind}) in substitution")

    def _alternative(self, name: str, value: str | None, kind: str) -> str:
        word = self.until("}")
        if kind == "+":
            return word if value is not None else ""
        if value is not None:
            return value
        if kind == "?":
            word = word or "not allowed to be unset"
            raise InvalidParameter(f"failed to process {self._text[:100]!r}: {name}: {word}")
        return word


def _pattern(pattern: str) -> str:
    """`*` and `?` as in a shell."""
    return "(?s:" + "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern) + ")"


def _without(value: str, pattern: str, *, at_end: bool, most: bool) -> str:
    """`value` without the shortest (`most`: the longest) beginning or end that fits."""
    lengths = range(len(value) + 1)
    for length in reversed(lengths) if most else lengths:
        cut = len(value) - length if at_end else length
        part, rest = (value[cut:], value[:cut]) if at_end else (value[:cut], value[cut:])
        if re.fullmatch(_pattern(pattern), part):
            return rest
    return value
