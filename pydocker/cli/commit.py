"""`pydocker commit`: make an image of a container's changes, and print its id."""

from pydocker.cli.command import Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value, values
from pydocker.cli.session import Session
from pydocker.client import files
from pydocker.model import reference


def commit(
    session: Session, arguments: tuple[str, ...], *, author: str | None, change: tuple[str, ...], message: str | None,
    no_pause: bool, pause: bool,
) -> int:
    """What the name says is checked here: a wrong one pauses nothing."""
    container, *named = arguments
    parsed = reference.parse(named[0]).with_default_tag() if named else None
    if parsed and parsed.digest:
        raise CommandError("refusing to create a tag with a digest reference")
    session.say(files.commit(session.client(), {
        "container": container, "repo": parsed.familiar_name if parsed else None, "tag": parsed.tag if parsed else None,
        "author": author, "comment": message, "changes": change or None, "pause": pause and not no_pause}))
    return 0


COMMIT = Command(
    "commit", commit, synopsis="CONTAINER [REPOSITORY[:TAG]]", arity=Arity(1, 2),
    help="Create a new image from a container's changes", aliases=("container commit", "commit"),
    flags=(
        value("-a", "--author", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        values("-c", "--change", help="Apply Dockerfile instruction to the created image"),
        value("-m", "--message", help="Commit message"),
        switch("--no-pause", help="Disable pausing container during commit"),
        switch("-p", "--pause", help="Pause container during commit", shown="true"),
    ))
