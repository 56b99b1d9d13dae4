"""A template as tokens: the text between actions, and what stands in them (Go, text/template/parse/lex.go).

    {{- and -}} take the white space beside them away       {{/* a comment */}} is nothing
"""

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from pydocker.gotemplate.values import TemplateError

KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"))
_BLANK = " \t\r\n"
# What may follow a name: a blank, the end of the action, and these.
_END = re.compile(r"(?=[ \t\r\n.,|:()]|\}\}|$)")
_CLOSE = re.compile(r"([ \t\r\n]-)?\}\}")

# In this order; `kind` is the group's name. The last one takes what none of them can.
_TOKENS = re.compile(r"""
    (?P<space>[ \t\r\n]+)
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\[^\n])*')
  | (?P<declare>:=)
  | (?P<assign>=)
  | (?P<pipe>\|)
  | (?P<left>\()
  | (?P<right>\))
  | (?P<number>[+-]?(?=\.?[0-9])(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*
               |[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?)
  | (?P<field>\.\w+)
  | (?P<dot>\.)
  | (?P<variable>\$\w*)
  | (?P<word>\w+)
  | (?P<other>.)
""", re.VERBOSE | re.DOTALL)
_UNFINISHED = {'"': "unterminated quoted string", "`": "unterminated raw quoted string",
               "'": "unterminated character constant", ":": "expected :="}


class Token(NamedTuple):
    """`kind`: text, open, close, end (of all), bool, keyword, identifier, or a group of the pattern above."""

    kind: str
    text: str
    at: int  # characters from the template's beginning

    def told(self) -> str:
        """As Go names a token in its errors."""
        if self.kind == "end":
            return "EOF"
        if self.kind in ("keyword", "dot"):
            return f"<{self.text}>"
        return quoted(self.text[:10]) + "..." if len(self.text) > 10 else quoted(self.text)


def quoted(text: str, *, ascii: bool = False) -> str:
    """`text` as Go's %q writes it, or its %+q, which writes ASCII only."""
    escapes = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
               "\\": r"\\", '"': r"\""}
    return '"' + "".join(escapes.get(one) or _escaped(one, ascii) for one in text) + '"'


def _escaped(one: str, ascii: bool) -> str:
    code = ord(one)
    if one.isprintable() and (one.isascii() or not ascii):
        return one
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no text
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def wrong(text: str, at: int, reason: str, name: str) -> TemplateError:
    """What does not parse: Go tells the line alone."""
    return TemplateError(f"template: {name}:{1 + text.count(chr(10), 0, at)}: {reason}")


def tokens(text: str, name: str) -> Iterator[Token]:
    """All of them, the last one of kind `end`. Raises TemplateError."""
    at, trim = 0, False
    while True:
        opened = text.find("{{", at)
        piece = text[at:opened if opened >= 0 else None]
        start = at + len(piece) - len(piece.lstrip(_BLANK)) if trim else at
        piece = text[start:at + len(piece)]
        trims_before = opened >= 0 and re.match(r"-[ \t\r\n]", text[opened + 2:opened + 4]) is not None
        if trims_before:
            piece = piece.rstrip(_BLANK)
        if piece:
            yield Token("text", piece, start)
        if opened < 0:
            yield Token("end", "", len(text))
            return
        inside = opened + (4 if trims_before else 2)
        if text.startswith("/*", inside):
            at, trim = _comment(text, inside, name)
        else:
            yield Token("open", "{{", opened)
            at, trim = yield from _action(text, inside, name)


def _comment(text: str, at: int, name: str) -> tuple[int, bool]:
    end = text.find("*/", at)
    if end < 0:
        raise wrong(text, at, "unclosed comment", name)
    closed = _CLOSE.match(text, end + 2)
    if not closed:
        raise wrong(text, at, "comment ends before closing delimiter", name)
    return closed.end(), bool(closed[1])


def _action(text: str, at: int, name: str) -> Generator[Token, None, tuple[int, bool]]:
    """The tokens up to the closing braces; returns where the next text begins, and whether it is trimmed."""
    depth = 0
    while True:
        if closed := _CLOSE.match(text, at):
            if depth:
                raise wrong(text, at, "unclosed left paren", name)
            yield Token("close", "}}", closed.end() - 2)
            return closed.end(), bool(closed[1])
        found = _TOKENS.match(text, at)
        if found is None:
            raise wrong(text, at, "unclosed action", name)
        token = _token(text, found, name)
        depth += (token.kind == "left") - (token.kind == "right")
        if depth < 0:
            raise wrong(text, at, "unexpected right paren", name)
        yield token
        at = found.end()


def _token(text: str, found: re.Match[str], name: str) -> Token:
    kind, word, at = str(found.lastgroup), found[0], found.start()
    if kind in ("field", "variable", "word") and not _END.match(text, found.end()):
        raise wrong(text, at, f"bad character {_named(text[found.end()])}", name)
    if kind == "number" and re.match(r"\w", text[found.end():found.end() + 1]):
        raise wrong(text, at, f"bad number syntax: {quoted(text[at:found.end() + 1])}", name)
    if kind == "word":
        kind = "keyword" if word in KEYWORDS else "bool" if word in ("true", "false") else "identifier"
    if kind == "other":
        if word in _UNFINISHED:
            raise wrong(text, at, _UNFINISHED[word], name)
        if not (word.isascii() and word.isprintable()):
            raise wrong(text, at, f"unrecognized character in action: {_named(word)}", name)
    return Token(kind, word, at)


def _named(one: str) -> str:
    """`U+0024 '$'` (Go, %#U)."""
    return f"U+{ord(one):04X}" + (f" '{one}'" if one.isprintable() else "")
