"""`pydocker push`: an image to a registry."""

from pydocker.cli import progress
from pydocker.cli.command import ONE, Command
from pydocker.cli.credentials import header
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.model import platform as platforms
from pydocker.model import reference


def push(session: Session, arguments: tuple[str, ...], *, all_tags: bool, platform: str | None, quiet: bool) -> int:
    """Push it; quietly, only its complete name is printed."""
    named = reference.parse(arguments[0])
    if all_tags and (named.tag or named.digest):
        raise CommandError("tag can't be used with --all-tags/-a")
    if named.digest:
        raise CommandError("cannot push a digest reference")
    if not all_tags:
        if not (quiet or named.tag):
            session.say("Using default tag: latest")
        named = named.with_default_tag()
    chosen = platforms.parse(platform) if platform else None
    response = images.push(session.client(), named.familiar_name, named.tag, chosen, header(session, named.domain))
    progress.show(session, images.told(response), session.stdout, quiet=quiet)
    if quiet:
        session.say(str(named))
    return 0


PUSH = Command(
    "push", push, synopsis="NAME[:TAG]", arity=ONE, help="Upload an image to a registry",
    aliases=("image push", "push"),
    flags=(
        switch("-a", "--all-tags", help="Push all tags of an image to the repository"),
        value("--platform", help="Push only if the image is for this platform: os[/arch[/variant]]"),
        switch("-q", "--quiet", help="Suppress verbose output"),
    ))
