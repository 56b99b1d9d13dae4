"""`pydocker diff` and `pydocker export`: a container's files, changed ones and all."""

import os

from pydocker.cli.archives import keep
from pydocker.cli.command import ONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value
from pydocker.cli.session import Session
from pydocker.client import files

_LETTERS = {0: "C", 1: "A", 2: "D"}


def diff(session: Session, arguments: tuple[str, ...]) -> int:
    """Print one line for each path."""
    if not arguments[0]:
        raise CommandError("Container name cannot be empty")
    for change in files.changes(session.client(), arguments[0]):
        session.say(f"{_LETTERS.get(change.kind, '?')} {change.path}")
    return 0


def export(session: Session, arguments: tuple[str, ...], *, output: str | None) -> int:
    """Write the archive; a file gets its name only when it is whole."""
    if output is None and os.isatty(session.stdout):
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    keep(session, output, "failed to export container", lambda: files.export(session.client(), arguments[0]))
    return 0


DIFF = Command(
    "diff", diff, synopsis="CONTAINER", arity=ONE,
    help="Inspect changes to files or directories on a container's filesystem", aliases=("container diff", "diff"))
EXPORT = Command(
    "export", export, synopsis="CONTAINER", arity=ONE, help="Export a container's filesystem as a tar archive",
    aliases=("container export", "export"), flags=(value("-o", "--output", help="Write to a file, instead of STDOUT"),))
