"""`pydocker history`: what an image is made of, the newest change first."""

import time

from pydocker.cli import phrases, table
from pydocker.cli.command import ONE, Command
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.client.answers import Change

HEADINGS = {"ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY",
            "Size": "SIZE", "Comment": "COMMENT"}
_LONGEST = 45  # characters of an instruction
_LONGEST_COMMENT = 45


def history(session: Session, arguments: tuple[str, ...], *, format: str | None, human: bool, no_trunc: bool,
            platform: str | None, quiet: bool) -> int:
    """Print one line for each change: its size, and the instruction that made it."""
    changes = images.history(session.client(), arguments[0], platform)
    columns = ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    rows = [_row(change, human=human, whole=no_trunc) for change in changes]
    session.write(table.shown(rows, HEADINGS, columns, table.chosen(format, quiet),
                              "*image.historyContext"))
    return 0


def _row(change: Change, *, human: bool, whole: bool) -> table.Row:
    instruction = change.created_by.replace("\t", " ")
    return {
        "ID": change.id if whole else phrases.short_id(change.id),
        "CreatedSince": phrases.ago(change.created) if change.created > 0 else "N/A",
        "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(change.created)) if change.created > 0 else "N/A",
        "CreatedBy": instruction if whole else phrases.shortened(instruction, _LONGEST),
        "Size": phrases.decimal_size(change.size) if human else str(change.size),
        "Comment": change.comment if whole else phrases.shortened(change.comment, _LONGEST_COMMENT),
    }


HISTORY = Command(
    "history", history, synopsis="IMAGE", arity=ONE, help="Show the history of an image",
    aliases=("image history", "history"),
    flags=(
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("-H", "--human", help="Print sizes and dates in human readable format", shown="true"),
        switch("--no-trunc", help="Don't truncate output"),
        value("--platform", help="Show history for the given platform ('os[/arch[/variant]]')"),
        switch("-q", "--quiet", help="Only show image IDs"),
    ))
