"""`pydocker pull`: an image from a registry."""

from pydocker.cli import progress, pulling
from pydocker.cli.command import ONE, Command
from pydocker.cli.credentials import header
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.model import reference
from pydocker.model.reference import Reference


def pull(session: Session, arguments: tuple[str, ...], *, all_tags: bool, platform: str | None, quiet: bool) -> int:
    """Pull it; its complete name is the last line."""
    wanted = reference.parse(arguments[0])
    if all_tags:
        return _pull_all(session, wanted, platform, quiet)
    if not (quiet or wanted.tag or wanted.digest):
        session.say("Using default tag: latest")
    pulled = pulling.pull(session, arguments[0], platform, quiet=quiet, to=session.stdout)
    session.say(str(pulled))
    return 0


def _pull_all(session: Session, wanted: Reference, platform: str | None, quiet: bool) -> int:
    if wanted.tag or wanted.digest:
        raise CommandError("tag can't be used with --all-tags/-a")
    response = images.pull_all(session.client(), wanted.familiar_name, platform, header(session, wanted.domain))
    progress.show(session, images.told(response), session.stdout, quiet=quiet)
    session.say(str(wanted))
    return 0


PULL = Command(
    "pull", pull, synopsis="NAME[:TAG|@DIGEST]", arity=ONE, help="Download an image from a registry",
    aliases=("image pull", "pull"),
    flags=(
        switch("-a", "--all-tags", help="Download all tagged images in the repository"),
        value("--platform", help="Set platform if server is multi-platform capable"),
        switch("-q", "--quiet", help="Suppress verbose output"),
    ))
