"""A tree and a value become text (Go, text/template/exec.go).

The dot is the value that `with` and `range` move; `$` stays what the template was given. `strict`: a key that a map
has not is an error, as Docker's `inspect` asks for where it reads its document without types.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from pydocker.gotemplate.functions import ALL
from pydocker.gotemplate.lexer import quoted
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
    Node,
    Null,
    Operand,
    Pipe,
    Statement,
    Text,
    Variable,
)
from pydocker.gotemplate.parser import Tree
from pydocker.gotemplate.values import (
    NO_LIST,
    NO_POINTER,
    Function,
    Nil,
    Row,
    Struct,
    TemplateError,
    Value,
    kind,
    printed,
    truth,
)

_NOTHING = object()  # no value comes in through the pipe


class _Left(Exception):
    """`break` or `continue`, on its way to its `range`."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def execute(
    tree: Tree, value: Value, functions: Mapping[str, Function] = ALL, *, strict: bool = False,
    written: list[str] | None = None,
) -> str:
    """The text for `value`. Raises TemplateError; `written` is a list for those who want what was there by then."""
    written = [] if written is None else written
    _Run(tree, functions, strict, written).whole(tree.body, value)
    return "".join(written)


class _Run:
    """One execution: what was written, and the variables that are in sight (the newest last)."""

    def __init__(self, tree: Tree, functions: Mapping[str, Function], strict: bool, written: list[str]) -> None:
        self._tree = tree
        self._functions = functions
        self._strict = strict
        self._written = written
        self._variables: list[tuple[str, Value]] = []
        self._node: Node | None = None

    def _fail(self, reason: str) -> NoReturn:
        assert self._node is not None
        text, name = self._tree.text[:self._node.at], self._tree.name
        column = len(text[text.rfind("\n") + 1:].encode("utf-8", "replace"))
        where = f"{name}:{1 + text.count(chr(10))}:{column}"
        raise TemplateError(f"template: {where}: executing {quoted(name)} at <{self._node}>: {reason}")

    # Statements.

    def whole(self, statements: Sequence[Statement], value: Value) -> None:
        """A template's body: its dot is `value`, and so is `$`, the one variable that it begins with."""
        kept, self._variables = self._variables, [("$", value)]
        try:
            self._each(statements, value)
        finally:
            self._variables = kept

    def _each(self, statements: Iterable[Statement], dot: Value) -> None:
        for statement in statements:
            self._node = statement
            match statement:
                case Text():
                    self._written.append(statement.text)
                case Action():
                    self._action(statement, dot)
                case Branch():
                    self._branch(statement, dot)
                case Leave():
                    raise _Left(statement.word)
                case Call():
                    self._call(statement, dot)

    def _action(self, action: Action, dot: Value) -> None:
        value = self._pipe(action.pipe, dot)
        if action.pipe.variables:
            return
        self._node = action
        if isinstance(value, Function):
            self._fail(f"can't print {action.pipe} of type func")
        self._written.append(printed(value))

    def _branch(self, branch: Branch, dot: Value) -> None:
        kept = len(self._variables)
        try:
            value = self._pipe(branch.pipe, dot)
            if branch.word == "range":
                self._range(branch, dot, value)
            elif truth(value):
                self._each(branch.body, value if branch.word == "with" else dot)
            else:
                self._each(branch.orelse, dot)
        finally:
            del self._variables[kept:]

    def _range(self, branch: Branch, dot: Value, value: Value) -> None:
        pairs = self._pairs(branch, value)
        if not pairs:
            self._each(branch.orelse, dot)
        kept = len(self._variables)
        for key, one in pairs:
            self._loop_variables(branch.pipe, key, one)
            try:
                self._each(branch.body, one)
            except _Left as left:
                if left.word == "break":
                    return
            finally:
                del self._variables[kept:]

    def _pairs(self, branch: Branch, value: Value) -> Sequence[tuple[Value, Value]]:
        match value:
            case bool() | float() | Struct():
                pass
            case None:
                return ()
            case list() | tuple():
                return list(enumerate(value))
            case Mapping():
                return [(key, value[key]) for key in sorted(value)]
            case int():
                if len(branch.pipe.variables) > 1:
                    self._fail(f"can't use {value} to iterate over more than one variable")
                return [(one, one) for one in range(value)]
            case Nil() if value is not NO_POINTER:
                return ()
        return self._fail(f"range can't iterate over {printed(value)}")

    def _loop_variables(self, pipe: Pipe, key: Value, one: Value) -> None:
        names = pipe.variables
        for name, value in zip(names, (key, one) if len(names) > 1 else (one,), strict=True) if names else ():
            self._set(name, value) if pipe.assigns else self._variables.append((name, value))

    def _set(self, name: str, value: Value) -> None:
        for at in reversed(range(len(self._variables))):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return
        self._fail(f"undefined variable: {name}")

    def _call(self, call: Call, dot: Value) -> None:
        if call.name not in self._tree.defined:
            self._fail(f"template {quoted(call.name)} not defined")
        self.whole(self._tree.defined[call.name], self._pipe(call.pipe, dot) if call.pipe else None)

    # Pipelines.

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        self._node = pipe
        value: Value = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            self._set(name, value) if pipe.assigns else self._variables.append((name, value))
        return value

    def _command(self, command: Command, dot: Value, final: Value) -> Value:
        first, *operands = command.operands
        if isinstance(first, Identifier):
            self._node = first
            return self._function(self._functions[first.name], first.name, command, operands, dot, final)
        if isinstance(first, Field | Variable | Chain):
            return self._fields(first, operands, dot, final)
        self._node = first
        if operands or final is not _NOTHING:
            self._fail(f"can't give argument to non-function {first}")
        if isinstance(first, Null):
            self._fail("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        match operand:
            case Dot():
                return dot
            case Constant():
                return operand.value
            case Pipe():
                return self._pipe(operand, dot)
            case Identifier():
                self._node = operand
                return self._function(self._functions[operand.name], operand.name, operand, (), dot, _NOTHING)
            case Field() | Variable() | Chain():
                return self._fields(operand, (), dot, _NOTHING)
        return None

    def _fields(self, node: Field | Variable | Chain, operands: Sequence[Operand], dot: Value, final: Value) -> Value:
        """Only the last field of a chain can take arguments."""
        value = dot
        if isinstance(node, Variable):
            self._node = node
            value = next(value for name, value in reversed(self._variables) if name == node.name)
            if not node.names and (operands or final is not _NOTHING):
                self._fail(f"can't give argument to non-function {node}")
        elif isinstance(node, Chain):
            if isinstance(node.of, Null):
                self._fail(f"indirection through explicit nil in {node}")
            value = self._operand(node.of, dot)
        for name in node.names[:-1]:
            value = self._field(node, value, name, (), dot, _NOTHING)
        return self._field(node, value, node.names[-1], operands, dot, final) if node.names else value

    def _field(
        self, node: Node, value: Value, name: str, operands: Sequence[Operand], dot: Value, final: Value
    ) -> Value:
        self._node = node
        called = bool(operands) or final is not _NOTHING
        match value:
            case None:
                return self._fail(f"nil data; no entry for key {quoted(name)}") if self._strict else None
            case Struct() if name in value:
                found = value[name]
                if isinstance(found, Function):
                    return self._function(found, name, node, operands, dot, final)
                if called and isinstance(value, Row):  # there they are methods
                    self._fail(f"wrong number of args for {name}: want 0 got {len(operands) + (final is not _NOTHING)}")
                if called:
                    self._fail(f"{name} has arguments but cannot be invoked as function")
                return found
            case Struct():
                return self._fail(f"can't evaluate field {name} in type {kind(value)}")
            case Mapping():
                if called:
                    self._fail(f"{name} is not a method but has arguments")
                if name not in value and self._strict:
                    self._fail(f"map has no entry for key {quoted(name)}")
                return value.get(name)
            case Nil() if value.shown == "map[]":
                return None
            case Nil() if value is NO_POINTER:
                return self._fail(f"nil pointer evaluating {kind(value)}.{name}")
        return self._fail(f"can't evaluate field {name} in type {'interface {}' if self._strict else kind(value)}")

    def _function(
        self, function: Function, name: str, node: Node, operands: Sequence[Operand], dot: Value, final: Value
    ) -> Value:
        count, wanted = len(operands) + (final is not _NOTHING), len(function.takes)
        if function.rest is not None and count < wanted:
            self._fail(f"wrong number of args for {name}: want at least {wanted} got {count}")
        if function.rest is None and count != wanted:
            self._fail(f"wrong number of args for {name}: want {wanted} got {count}")
        types = (*function.takes, *(function.rest or "" for _ in range(count - wanted)))
        if name in ("and", "or"):
            return self._until(name == "or", operands, dot, final)
        values = [self._argument(operand, type_, dot) for operand, type_ in zip(operands, types, strict=False)]
        if final is not _NOTHING:
            values.append(self._valid(final, types[count - 1]))
        try:
            return function.call(*values)
        except ValueError as error:
            self._node = node
            self._fail(f"error calling {name}: {error}")

    def _until(self, wanted: bool, operands: Sequence[Operand], dot: Value, final: Value) -> Value:
        """`and` and `or` evaluate no further than they have to."""
        value: Value = None
        for operand in operands:
            value = self._argument(operand, "any", dot)
            if truth(value) == wanted:
                return value
        return value if final is _NOTHING else final

    def _argument(self, operand: Operand, type_: str, dot: Value) -> Value:
        self._node = operand
        if type_ != "any":
            if isinstance(operand, Null):
                self._fail(f"cannot assign nil to {type_}")
            if isinstance(operand, Constant) and kind(operand.value) != type_:
                self._fail(f"expected {'integer' if type_ == 'int' else type_}; found {operand}")
        return self._valid(self._operand(operand, dot), type_)

    def _valid(self, value: Value, type_: str) -> Value:
        if type_ == "any" or kind(value) == type_:
            return value
        if type_ == "[]string" and (value is NO_LIST or isinstance(value, list | tuple)):
            return value
        if value is None:
            self._fail(f"invalid value; expected {type_}")
        return self._fail(f"wrong type for value; expected {type_}; got {kind(value)}")
