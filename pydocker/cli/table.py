"""Lists: columns under headings, or each row through a format (`--format`), or ids only (`-q`).

A row is a mapping from Docker's field names (`.ID`, `.Names`) to texts; a list has the headings for the fields. Columns
are as wide as their widest cell plus three, as in Docker (text/tabwriter, padding 3), and never narrower than ten.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydocker.cli import template
from pydocker.cli.errors import CommandError
from pydocker.cli.visible import visible

Row = Mapping[str, str]
_NARROWEST, _GAP = 10, 3


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns, one line each; for a person, unlike a format without `table`, which is for programs."""
    lines = [[visible(cell) for cell in line] for line in lines]
    count = max(map(len, lines), default=0)
    # tabwriter's cells end with a tab: the last cell of a line is no column and gets no padding.
    widths = [max((len(line[at]) for line in lines if at < len(line) - 1), default=0) + _GAP for at in range(count)]
    return "".join(
        "".join(cell.ljust(max(width, _NARROWEST)) for cell, width in zip(line[:-1], widths, strict=False))
        + line[-1] + "\n"
        for line in lines)


def shown(rows: Iterable[Row], headings: Mapping[str, str], columns: Sequence[str], format: str | None) -> str:
    """All rows as text: a table of `columns`, or what `format` asks for."""
    format = format or "table"
    if format == "table":
        return aligned([[headings[name] for name in columns], *([row[name] for name in columns] for row in rows)])
    if format == "json":
        format = "{{json .}}"
    if format.startswith("table "):
        return _formatted_table(rows, headings, format.removeprefix("table ").lstrip())
    print_row = template.compile(_unescaped(format))
    return "".join(_filled(print_row, row) + "\n" for row in rows)


def _formatted_table(rows: Iterable[Row], headings: Mapping[str, str], format: str) -> str:
    print_row = template.compile(_unescaped(format))
    lines = [_filled(print_row, headings), *(_filled(print_row, row) for row in rows)]
    return aligned([line.split("\t") for line in lines])


def _filled(print_row: Callable[[object], str], row: Row) -> str:
    try:
        return print_row(dict(row))
    except template.TemplateError as error:
        raise CommandError(f"failed to execute template: {error}") from error


def _unescaped(format: str) -> str:
    """People write `\\t` and `\\n` in single quotes."""
    return format.replace(r"\t", "\t").replace(r"\n", "\n")
