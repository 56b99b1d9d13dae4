"""Docker's flags (docker-cli.csv), and for each of a container's commands the test that sees its effect (table.txt).

`python -m tests.flags` prints the table, with what is missing in it.
"""

import ast
import csv
import functools
import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent / "root"


class Flag(NamedTuple):
    """A row of Docker's own table: `command` as in `container run`."""

    command: str
    long: str
    short: str

    def __str__(self) -> str:
        return f"{self.command} {self.long}"


def dockers(group: str = "") -> list[Flag]:
    """All flags of the commands of a group."""
    with (HERE / "docker-cli.csv").open() as file:
        return [Flag(row["command"], row["flag"], row["short"]) for row in csv.DictReader(file)
                if row["flag"] and row["flag"] != "--help" and row["command"].startswith(group)]


def proofs() -> dict[str, str]:
    """`container run --memory` -> `cli/test_run_options.py::test_limits`. Raises ValueError for a line twice."""
    found: dict[str, str] = {}
    for line in (HERE / "table.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        command, test = line.rsplit(maxsplit=1)
        if (key := " ".join(command.split())) in found:
            raise ValueError(f"table.txt: {key} stands there twice")
        found[key] = test
    return found


def missing(flag: Flag, test: str) -> str:
    """What is wrong with a proof: there is no such test, or it does not name the flag. Empty: nothing."""
    file, _, name = test.partition("::")
    if not (ROOT / file).exists():
        return f"there is no tests/root/{file}"
    words = _words(ROOT / file).get(name)
    if words is None:
        return f"tests/root/{file} has no {name}"
    # `--rm`, `-t` or `-it`.
    letters = re.compile(rf"-[a-zA-Z]*{flag.short[1:]}[a-zA-Z]*(=.*)?") if flag.short else None
    if any(word.split("=")[0] == flag.long or (letters and letters.fullmatch(word)) for word in words):
        return ""
    return f"{name} does not name {flag.long}"


@functools.cache
def _words(path: Path) -> dict[str, frozenset[str]]:
    """By test, the words in its texts, and in those of the module that it uses by name (constants and helpers)."""
    tree = ast.parse(path.read_text())
    texts: dict[str, set[str]] = {}
    uses: dict[str, set[str]] = {}
    for node in tree.body:
        names = [node.name] if isinstance(node, ast.FunctionDef) else [
            target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
        found = {word for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                 for word in inner.value.split()}
        for name in names:
            texts[name] = found
            uses[name] = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return {name: frozenset().union(*(texts[one] for one in _reached(name, uses))) for name in texts}


def _reached(name: str, uses: dict[str, set[str]]) -> set[str]:
    found, following = set(), [name]
    while following:
        if (one := following.pop()) in uses and one not in found:
            found.add(one)
            following += uses[one]
    return found
