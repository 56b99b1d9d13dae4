"""`pydocker import`: an image of one layer, from a tar archive."""

import contextlib

from pydocker.cli import progress
from pydocker.cli.archives import pieces
from pydocker.cli.command import SOME, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value, values
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.model import reference

_SCHEMES = ("http://", "https://")


def import_(
    session: Session, arguments: tuple[str, ...], *, change: tuple[str, ...], message: str | None, platform: str | None
) -> int:
    """Import the archive in a file, from stdin (`-`), or from a URL, which the server fetches; print the new id."""
    source, *named = arguments
    parsed = reference.parse(named[0]).with_default_tag() if named else None
    if parsed and parsed.digest:
        raise CommandError("cannot import digest reference")
    is_url = source.startswith(_SCHEMES)
    query = {
        "fromSrc": source if is_url else "-", "repo": parsed.familiar_name if parsed else None,
        "tag": parsed.tag if parsed else None, "message": message, "changes": change or None, "platform": platform}
    with contextlib.closing(pieces(session, source)) as archive:
        answer = images.import_(session.client(), query, () if is_url else archive)
        progress.show(session, images.told(answer), session.stdout)
    return 0


IMPORT = Command(
    "import", import_, synopsis="file|URL|- [REPOSITORY[:TAG]]", arity=SOME,
    help="Import the contents from a tarball to create a filesystem image", aliases=("image import", "import"),
    flags=(
        values("-c", "--change", help="Apply Dockerfile instruction to the created image"),
        value("-m", "--message", help="Set commit message for imported image"),
        value("--platform", help="Set platform if server is multi-platform capable"),
    ))
