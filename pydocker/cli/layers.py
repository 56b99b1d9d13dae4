"""`pydocker image layers`: an image as the stack that it is, and what its layers cost.

    LAYER          SIZE                                WASTED    ADDED   CHANGED   REMOVED   CREATED BY
    2e65933cf252   25.9MB   ██████                     0B        12      812       0         RUN chmod -R g+w …
    0df96f20ec86   124MB    ████████████████████░░░░   21.4MB    3120    0         0         COPY usr/bin …

The uppermost layer comes first. A bar is as long as the layer is large beside the others; its pale part are the bytes
that layers above have made useless.
"""

import msgspec

from pydocker.cli import phrases, table
from pydocker.cli.command import ONE, Command
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.client.answers import LayerShare

HEADINGS = {"ID": "LAYER", "DiffID": "DIFF ID", "Size": "SIZE", "Bar": "", "Wasted": "WASTED", "Added": "ADDED",
            "Changed": "CHANGED", "Removed": "REMOVED", "CreatedBy": "CREATED BY"}
COLUMNS = ("ID", "Size", "Bar", "Wasted", "Added", "Changed", "Removed", "CreatedBy")
_WIDTH = 24
_LONGEST = 45  # characters of an instruction


def layers(session: Session, arguments: tuple[str, ...], *, format: str | None, no_trunc: bool,
           platform: str | None) -> int:
    """Draw the stack; with a format, one line for each layer."""
    found = images.layers(session.client(), arguments[0], platform)
    if format == "json":
        session.write("".join(f"{msgspec.json.encode(share).decode()}\n" for share in reversed(found)))
        return 0
    largest = max((share.size for share in found), default=0)
    rows = [_row(share, largest, whole=no_trunc) for share in reversed(found)]
    session.write(table.shown(rows, HEADINGS, COLUMNS, format))
    if format is None:
        session.say(_summary(found))
    return 0


def _row(share: LayerShare, largest: int, *, whole: bool) -> table.Row:
    instruction = " ".join(share.created_by.split())
    return {
        "ID": share.id if whole else phrases.short_id(share.id), "DiffID": share.diff_id,
        "Size": phrases.decimal_size(share.size), "Bar": bar(share.size, share.wasted, largest),
        "Wasted": phrases.decimal_size(share.wasted), "Added": str(share.added), "Changed": str(share.changed),
        "Removed": str(share.removed),
        "CreatedBy": instruction if whole else phrases.shortened(instruction, _LONGEST),
    }


def bar(size: int, wasted: int, largest: int) -> str:
    """`████░░`: as long as `size` is of `largest`, and as much of it pale as is wasted."""
    if not size:
        return ""
    length = max(1, round(size * _WIDTH / largest))
    pale = min(max(round(wasted * length / size), 1 if wasted and length > 1 else 0), length)
    if pale == length and wasted < size and length > 1:
        pale -= 1
    return "█" * (length - pale) + "░" * pale


def _summary(found: tuple[LayerShare, ...]) -> str:
    size, wasted = sum(share.size for share in found), sum(share.wasted for share in found)
    share = f" ({100 * wasted / size:.0f}%)" if size else ""
    count = f"{len(found)} layer{'' if len(found) == 1 else 's'}"
    return f"{count}, {phrases.decimal_size(size)}, of which {phrases.decimal_size(wasted)}{share} are wasted"


LAYERS = Command(
    "layers", layers, synopsis="IMAGE", arity=ONE, help="Draw the stack of an image's layers, and what they waste",
    flags=(
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json' (sizes in bytes), or a Go TEMPLATE"),
        switch("--no-trunc", help="Don't truncate output"),
        value("--platform", help="Show the given platform's image ('os[/arch[/variant]]')"),
    ))
