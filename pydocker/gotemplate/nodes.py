"""The tree of a template. Every node knows where it stands, and its own text, since errors name both.

    Pipe     [$x :=] command | command | ...        Command   operand operand ...    (a function and its arguments)
    Operand  Field .A.B   Chain (…).A   Variable $x.A   Identifier f   Constant "a" 1 true   Dot .   Null nil   Pipe (…)
"""

import msgspec

from pydocker.gotemplate.lexer import quoted
from pydocker.gotemplate.values import Value


class Node(msgspec.Struct, frozen=True):
    at: int  # characters from the template's beginning


class Dot(Node, frozen=True):
    def __str__(self) -> str:
        return "."


class Null(Node, frozen=True):
    def __str__(self) -> str:
        return "nil"


class Identifier(Node, frozen=True):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


class Constant(Node, frozen=True):
    """`text` is how it was written."""

    value: Value
    text: str

    def __str__(self) -> str:
        return self.text


class Field(Node, frozen=True):
    """`.A.B`: of the value that the dot stands for."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node, frozen=True):
    """`$x.A`"""

    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


class Chain(Node, frozen=True):
    """`(…).A`: fields of something that is no field itself."""

    of: "Operand"
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.of})" if isinstance(self.of, Pipe) else str(self.of)
        return inner + "".join(f".{name}" for name in self.names)


class Command(Node, frozen=True):
    operands: tuple["Operand", ...]

    def __str__(self) -> str:
        return " ".join(f"({one})" if isinstance(one, Pipe) else str(one) for one in self.operands)


class Pipe(Node, frozen=True):
    """`assigns`: the variables are there already (`=`, not `:=`)."""

    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return sign + " | ".join(map(str, self.commands))


class Text(Node, frozen=True):
    text: str

    def __str__(self) -> str:
        return quoted(self.text)


class Action(Node, frozen=True):
    pipe: Pipe

    def __str__(self) -> str:
        return "{{" + str(self.pipe) + "}}"


class Branch(Node, frozen=True):
    """`if`, `with` or `range`, by its `word`; `orelse` is what stands behind its `else`."""

    word: str
    pipe: Pipe
    body: tuple["Statement", ...]
    orelse: tuple["Statement", ...]

    def __str__(self) -> str:
        other = f"{{{{else}}}}{_joined(self.orelse)}" if self.orelse else ""
        return f"{{{{{self.word} {self.pipe}}}}}{_joined(self.body)}{other}{{{{end}}}}"


class Leave(Node, frozen=True):
    """`break` or `continue`."""

    word: str

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


class Call(Node, frozen=True):
    """`{{template "name" pipeline}}`"""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quoted(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


Operand = Dot | Null | Identifier | Constant | Field | Variable | Chain | Pipe
Statement = Text | Action | Branch | Leave | Call


def _joined(statements: tuple[Statement, ...]) -> str:
    return "".join(map(str, statements))
