"""From tokens to a tree (Go, text/template/parse/parse.go). What can be found wrong before there is a value, is.

A variable has to be declared, a function known, a branch closed; a constant can only stand first in a pipeline.
"""

from collections.abc import Container, Mapping
from typing import NamedTuple, NoReturn

from pydocker.gotemplate import lexer, literals
from pydocker.gotemplate.lexer import Token
from pydocker.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    Identifier,
    Leave,
    Null,
    Operand,
    Pipe,
    Statement,
    Text,
    Variable,
)

_OPERANDS = frozenset(("bool", "char", "dot", "field", "identifier", "left", "number", "raw", "string", "variable"))


class Tree(NamedTuple):
    """A parsed template, and those that it defines for its own use."""

    name: str
    text: str
    body: tuple[Statement, ...]
    defined: Mapping[str, tuple[Statement, ...]]


def parse(text: str, functions: Container[str], name: str = "") -> Tree:
    """The tree of `text`, which may call `functions`. Raises TemplateError."""
    return _Parser(text, functions, name).whole()


class _Parser:
    def __init__(self, text: str, functions: Container[str], name: str) -> None:
        self._text = text
        self._name = name
        self._functions = functions
        self._tokens = lexer.tokens(text, name)
        self._ahead: list[Token] = []
        self._variables = ["$"]
        self._ranges = 0
        self._at = 0
        self._defined: dict[str, tuple[Statement, ...]] = {}

    # Tokens, one after the other.

    def _next(self) -> Token:
        token = self._ahead.pop() if self._ahead else next(self._tokens)
        self._at = token.at
        return token

    def _back(self, token: Token) -> None:
        self._ahead.append(token)

    def _solid(self) -> Token:
        """The next one that is no blank."""
        token = self._next()
        return self._next() if token.kind == "space" else token

    def _peek(self) -> Token:
        token = self._next()
        self._back(token)
        return token

    def _fail(self, reason: str) -> NoReturn:
        raise lexer.wrong(self._text, self._at, reason, self._name)

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        self._fail(f"unexpected {token.told()} in {context}")

    def _expect(self, kind: str, context: str) -> Token:
        token = self._solid()
        if token.kind != kind:
            self._unexpected(token, context)
        return token

    # Statements.

    def whole(self) -> Tree:
        body, end = self._list(top=True)
        if end is not None:
            self._fail(f"unexpected {{{{{end}}}}}")
        return Tree(self._name, self._text, body, self._defined)

    def _list(self, *, top: bool = False) -> tuple[tuple[Statement, ...], str | None]:
        """Statements up to `end` or `else`, which is the second value; None: the text ends."""
        found: list[Statement] = []
        while (token := self._next()).kind != "end":
            if token.kind == "text":
                found.append(Text(token.at, token.text))
                continue
            word = self._solid()
            if word.kind == "keyword" and word.text in ("end", "else"):
                if word.text == "end":
                    self._expect("close", "end")
                return tuple(found), word.text
            if (statement := self._statement(word, top)) is not None:
                found.append(statement)
        if not top:
            self._fail("unexpected EOF")
        return tuple(found), None

    def _statement(self, word: Token, top: bool) -> Statement | None:
        match word.text if word.kind == "keyword" else "":
            case "if" | "with" | "range":
                return self._branch(word)
            case "break" | "continue":
                return self._leave(word)
            case "template":
                return self._call()
            case "block":
                return self._block(word)
            case "define":
                self._define(word, top)
                return None
        self._back(word)
        pipe = self._pipe("command", "close", word.at)
        return Action(word.at, pipe)

    def _branch(self, word: Token) -> Branch:
        kept = len(self._variables)
        pipe = self._pipe(word.text, "close", word.at)
        self._ranges += word.text == "range"
        body, end = self._list()
        self._ranges -= word.text == "range"
        orelse = self._else(word) if end == "else" else ()
        del self._variables[kept:]
        return Branch(word.at, word.text, pipe, body, orelse)

    def _else(self, word: Token) -> tuple[Statement, ...]:
        """`{{else}}…{{end}}`, or `{{else if …}}`, which needs no `end` of its own."""
        token = self._solid()
        if token.kind == "keyword" and token.text == word.text and word.text in ("if", "with"):
            return (self._branch(token),)
        if token.kind != "close":
            self._unexpected(token, "else")
        body, end = self._list()
        if end == "else":
            self._fail("expected end; found {{else}}")
        return body

    def _leave(self, word: Token) -> Leave:
        token = self._solid()
        if token.kind != "close":
            self._unexpected(token, f"{{{{{word.text}}}}}")
        if not self._ranges:
            self._fail(f"{{{{{word.text}}}}} outside {{{{range}}}}")
        return Leave(word.at, word.text)

    def _quoted(self, context: str) -> tuple[int, str]:
        """Where it stands, and what it says."""
        token = self._solid()
        if token.kind not in ("string", "raw"):
            self._unexpected(token, context)
        return token.at, self._text_of(token)

    def _call(self) -> Call:
        at, name = self._quoted("template clause")
        token = self._solid()
        if token.kind == "close":
            return Call(at, name, None)
        self._back(token)
        return Call(at, name, self._pipe("template clause", "close", token.at))

    def _block(self, word: Token) -> Call:
        """Defines it and calls it."""
        at, name = self._quoted("block clause")
        pipe = self._pipe("block clause", "close", word.at)
        self._body_of(name)
        return Call(at, name, pipe)

    def _define(self, word: Token, top: bool) -> None:
        if not top:
            self._unexpected(word, "command")
        _, name = self._quoted("define clause")
        self._expect("close", "define clause")
        self._body_of(name)

    def _body_of(self, name: str) -> None:
        outer, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        body, end = self._list()
        if end == "else":
            self._fail("unexpected {{else}} in define clause")
        self._variables, self._ranges = outer, ranges
        if body or name not in self._defined:
            self._defined[name] = body

    # Pipelines.

    def _pipe(self, context: str, end: str, at: int) -> Pipe:
        variables, assigns = self._declared(context)
        commands: list[Command] = []
        while (token := self._solid()).kind != end:
            if token.kind not in _OPERANDS and token.text != "nil":
                self._unexpected(token, context)
            self._back(token)
            commands.append(self._command())
        self._check(commands, context)
        self._variables += () if assigns else variables
        return Pipe(at, variables, assigns, tuple(commands))

    def _check(self, commands: list[Command], context: str) -> None:
        if not commands:
            self._fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], Constant | Dot | Null):
                self._fail(f"non executable command in pipeline stage {stage}")

    def _declared(self, context: str) -> tuple[tuple[str, ...], bool]:
        """`$x :=`, `$i, $x :=`, `$x =`."""
        names: list[str] = []
        while (token := self._solid()).kind == "variable":
            blank = self._next()
            sign = self._next() if blank.kind == "space" else blank
            if sign.kind in ("declare", "assign"):
                return (*names, token.text), sign.kind == "assign"
            if sign.text != "," or sign.kind != "other":
                self._back(sign)
                if blank.kind == "space":
                    self._back(blank)
                break
            names.append(token.text)
            if context != "range" or len(names) > 1:
                self._fail(f"too many declarations in {context}")
        if names:
            self._fail("range can only initialize variables")
        self._back(token)
        return (), False

    def _known(self, name: str) -> None:
        if name not in self._variables:
            self._fail(f"undefined variable {lexer.quoted(name)}")

    def _command(self) -> Command:
        """Operands with blanks between them, up to a `|` (which is taken) or the pipeline's end."""
        operands: list[Operand] = []
        at = self._peek().at
        while True:
            token = self._solid()
            if token.kind in _OPERANDS or token.text == "nil":
                operands.append(self._operand(token))
                token = self._next()
                if token.kind == "space":
                    continue
            if token.kind == "pipe":
                break
            self._back(token)
            if token.kind not in ("close", "right"):
                self._unexpected(token, "operand")
            break
        return Command(at, tuple(operands))

    def _operand(self, token: Token) -> Operand:
        found = self._term(token)
        names: list[str] = []
        at = self._peek().at
        while (ahead := self._next()).kind == "field":
            names.append(ahead.text[1:])
        self._back(ahead)
        if not names:
            return found
        match found:
            case Field():
                return Field(at, (*found.names, *names))
            case Variable():
                return Variable(at, found.name, (*found.names, *names))
            case Constant() | Null() | Dot():
                self._fail(f"unexpected . after term {lexer.quoted(str(found))}")
        return Chain(at, found, tuple(names))

    def _term(self, token: Token) -> Operand:
        at, text = token.at, token.text
        match token.kind:
            case "identifier":
                if text not in self._functions:
                    self._fail(f"function {lexer.quoted(text)} not defined")
                return Identifier(at, text)
            case "dot":
                return Dot(at)
            case "field":
                return Field(at, (text[1:],))
            case "variable":
                self._known(text)
                return Variable(at, text)
            case "left":
                return self._pipe("parenthesized pipeline", "right", at)
            case "bool":
                return Constant(at, text == "true", text)
            case "keyword":
                return Null(at)
        return Constant(at, self._number(token) if token.kind in ("number", "char") else self._text_of(token), text)

    def _text_of(self, token: Token) -> str:
        try:
            return literals.text_of(token.text)
        except ValueError as error:
            self._fail(str(error))

    def _number(self, token: Token) -> int | float:
        try:
            return literals.character(token.text) if token.kind == "char" else literals.number(token.text)
        except ValueError as error:
            self._fail(f"{error}: {token.text if token.kind == 'char' else lexer.quoted(token.text)}")
