"""`pydocker pull`: an image from a registry."""

from pydocker.cli import pulling
from pydocker.cli.command import ONE, Command
from pydocker.cli.flags import absent_switch, switch, value
from pydocker.cli.session import Session
from pydocker.model import reference


def pull(session: Session, arguments: tuple[str, ...], *, platform: str | None, quiet: bool) -> int:
    """Pull it; its complete name is the last line."""
    wanted = reference.parse(arguments[0])
    if not (quiet or wanted.tag or wanted.digest):
        session.say("Using default tag: latest")
    pulled = pulling.pull(session, arguments[0], platform, quiet=quiet, to=session.stdout)
    session.say(str(pulled))
    return 0


PULL = Command(
    "pull", pull, synopsis="NAME[:TAG|@DIGEST]", arity=ONE, help="Download an image from a registry",
    aliases=("image pull", "pull"),
    flags=(
        absent_switch("-a", "--all-tags"),
        value("--platform", help="Set platform if server is multi-platform capable"),
        switch("-q", "--quiet", help="Suppress verbose output"),
    ))
