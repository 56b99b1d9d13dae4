"""A template, compiled once and filled for each thing: what the engine uses of this package."""

import contextlib
from collections.abc import Mapping

from pydocker.gotemplate import evaluator, parser
from pydocker.gotemplate.functions import ALL, HEADING
from pydocker.gotemplate.values import Function, TemplateError, Value

_DEEP = "exceeded maximum template depth"


class Template:
    """A template that parses."""

    def __init__(self, tree: parser.Tree) -> None:
        self._tree = tree

    def __call__(self, value: Value, functions: Mapping[str, Function] = ALL, *, strict: bool = False) -> str:
        """The text for `value`; `strict`: a key that a map has not is an error. Raises TemplateError."""
        try:
            return evaluator.execute(self._tree, value, functions, strict=strict)
        except RecursionError as error:  # a template that calls itself
            raise TemplateError(f"template: {self._tree.name}: {_DEEP}") from error

    def heading(self, titles: Value) -> str:
        """The text for a table's titles: as far as they go, since not all of them can do what a row's values can."""
        written: list[str] = []
        with contextlib.suppress(TemplateError, RecursionError):
            evaluator.execute(self._tree, titles, {**ALL, **HEADING}, written=written)
        return "".join(written)


def compile(text: str, name: str = "") -> Template:
    """Raises TemplateError."""
    try:
        return Template(parser.parse(text, ALL, name))
    except RecursionError as error:  # thousands of parentheses, one in the other
        raise TemplateError(f"template: {name}: {_DEEP}") from error
