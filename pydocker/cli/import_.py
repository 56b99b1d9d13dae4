"""`pydocker import`: an image of one layer, from a tar archive."""

import contextlib
import os
from collections.abc import Generator

from pydocker.cli.command import Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value, values
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.model import reference

_PIECE = 256 * 1024


def import_(
    session: Session, arguments: tuple[str, ...], *, change: tuple[str, ...], message: str | None, platform: str | None
) -> int:
    """Import the archive in a file, or from stdin (`-`); print the new image's id."""
    source, *named = arguments
    if "://" in source:
        raise CommandError("import from a URL is not supported by pydocker yet: fetch it, and use `pydocker import -`")
    parsed = reference.parse(named[0]).with_default_tag() if named else None
    query = {
        "fromSrc": "-", "repo": parsed.familiar_name if parsed else None, "tag": parsed.tag if parsed else None,
        "message": message, "changes": change or None, "platform": platform}
    with contextlib.closing(_pieces(session, source)) as pieces:
        for line in images.told(images.import_(session.client(), query, pieces)):
            if line.error:
                raise CommandError(f"Error response from daemon: {line.error}")
            session.say(line.status)
    return 0


def _pieces(session: Session, source: str) -> Generator[bytes]:
    if source == "-":
        while piece := os.read(session.stdin, _PIECE):
            yield piece
        return
    with session.open(source) as file:
        while piece := file.read(_PIECE):
            yield piece


IMPORT = Command(
    "import", import_, synopsis="file|URL|- [REPOSITORY[:TAG]]", arity=Arity(1, 2),
    help="Import the contents from a tarball to create a filesystem image", aliases=("image import", "import"),
    flags=(
        values("-c", "--change", help="Apply Dockerfile instruction to the created image"),
        value("-m", "--message", help="Set commit message for imported image"),
        value("--platform", help="Set platform if server is multi-platform capable"),
    ))
