"""What `pull`, `run` and `create` have in common: ask for an image with its registry's credentials, show progress."""

from pydocker.cli import progress
from pydocker.cli.credentials import header
from pydocker.cli.session import Session
from pydocker.client import images
from pydocker.model import reference
from pydocker.model.reference import Reference


def pull(session: Session, name: str, platform: str | None, *, quiet: bool, to: int) -> Reference:
    """Pull `name`, telling how it goes on descriptor `to`. Returns the complete reference.

    Raises InvalidParameter for a name that is none, ApiError or CommandError with what the server says.
    """
    complete = reference.parse(name).with_default_tag()
    tag = complete.digest or complete.tag or ""
    response = images.pull(session.client(), complete.familiar_name, tag, platform, header(session, complete.domain))
    progress.show(session, images.told(response), to, quiet=quiet)
    return complete
