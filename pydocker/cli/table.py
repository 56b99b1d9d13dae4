"""Lists: columns under headings, or each row through a format (`--format`), or ids only (`-q`).

A row is a mapping from Docker's field names (`.ID`, `.Names`) to texts (and to what only a format can ask for, such as
`{{.Label "x"}}`); a list has the headings for the fields. Columns are as wide as their widest cell plus three, as in
Docker (text/tabwriter, padding 3), and never narrower than ten.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydocker.cli.errors import CommandError
from pydocker.cli.visible import visible
from pydocker.gotemplate.values import Function

Row = Mapping[str, Any]
_NARROWEST, _GAP = 10, 3


def aligned(lines: Sequence[Sequence[str]], narrowest: int = _NARROWEST) -> str:
    """Cells in columns, one line each; for a person, unlike a format without `table`, which is for programs."""
    lines = [[visible(cell) for cell in line] for line in lines]
    count = max(map(len, lines), default=0)
    # tabwriter's cells end with a tab: the last cell of a line is no column and gets no padding.
    widths = [max((len(line[at]) for line in lines if at < len(line) - 1), default=0) + _GAP for at in range(count)]
    return "".join(
        "".join(cell.ljust(max(width, narrowest)) for cell, width in zip(line[:-1], widths, strict=False))
        + line[-1] + "\n"
        for line in lines)


def shown(
    rows: Iterable[Row], headings: Mapping[str, str], columns: Sequence[str], format: str | None, kind: str = ""
) -> str:
    """All rows as text: a table of `columns`, or what `format` asks for of rows that are a `kind` (its Go type)."""
    format = format or "table"
    if format == "table":
        return aligned([[headings[name] for name in columns], *([row[name] for name in columns] for row in rows)])
    from pydocker.cli import template  # only for those who ask

    titled, pattern = cut(format)
    try:
        filled = template.compile("{{json .}}" if format == "json" else pattern)
        lines = [filled(template.Row(row, kind)) for row in rows]
    except template.TemplateError as error:
        raise CommandError(f"template parsing error: {error}") from error
    if not titled:
        return "".join(line + "\n" for line in lines)
    titles = template.Row({**headings, "Label": Function(_title_of_label, ("string",))})
    return aligned([line.split("\t") for text in (filled.heading(titles), *lines) for line in text.split("\n")])


def chosen(format: str | None, quiet: bool, field: str = "ID") -> str | None:
    """`--quiet` is that field alone, unless a format of one's own is asked for: so it is in Docker, but for `ps`."""
    return f"{{{{.{field}}}}}" if quiet and format in (None, "", "table") else format


def labelled(labels: Mapping[str, str] | None) -> Row:
    """What a row tells of labels: all of them, and one by its name (`{{.Label "x"}}`)."""
    known = labels or {}
    return {"Labels": ",".join(f"{key}={known[key]}" for key in sorted(known)),
            "Label": Function(lambda name: known.get(name, ""), ("string",))}


def cut(format: str) -> tuple[bool, str]:
    """Whether it is for a table, and the template of a row; people write `\\t` and `\\n` in single quotes."""
    titled = format.startswith("table")
    return titled, format.removeprefix("table").strip(" ").replace(r"\t", "\t").replace(r"\n", "\n")


def _title_of_label(name: str) -> str:
    """`com.docker.some-name` is titled `some name`."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")
