"""`pydocker create`: a container that does not run yet; and what `run` shares with it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydocker.cli import checks, request
from pydocker.cli.command import SOME, Command
from pydocker.cli.create_flags import ABSENT_FLAGS, CREATE_FLAGS
from pydocker.cli.errors import CommandError, of_command, start_status
from pydocker.cli.pulling import pull
from pydocker.cli.session import Session, encoded, write_all
from pydocker.client import containers
from pydocker.client.answers import Created
from pydocker.client.api import ApiError
from pydocker.errors import InvalidParameter
from pydocker.model import platform as platforms
from pydocker.model import reference

_IDENTIFIER = re.compile(r"(sha256:)?[0-9a-f]{64}", re.ASCII)
_POLICIES = ("always", "missing", "never", None, "")


def create(session: Session, arguments: tuple[str, ...], **given: Any) -> int:
    """Create it, print its id."""
    try:
        session.say(make(session, arguments, given).id)
    except CommandError as error:
        if error.exit_code != 125:
            raise
        raise of_command(error, "create") from error
    return 0


def make(session: Session, arguments: tuple[str, ...], given: Mapping[str, Any]) -> Created:
    """Create the container that the command line describes; pull its image if the policy says so."""
    image, *command = arguments
    checks.check(given)
    check_name(image)
    body = request.build(session, image, command, given)
    if given["pull"] not in _POLICIES:
        choices = '"always", "missing" or "never"'
        raise CommandError(f"invalid pull option: '{given['pull']}': must be one of {choices}", 125)
    _check_platform(given["platform"])
    with _cidfile(session, given["cidfile"]) as write_id:
        created = _created(session, image, body, given)
        write_id(created.id)
    for warning in created.warnings or ():
        session.warn(f"WARNING: {warning}")
    return created


def _check_platform(text: str | None) -> None:
    try:
        if text:
            platforms.parse(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"error parsing specified platform: {error}") from error


def _created(session: Session, image: str, body: request.Request, given: Mapping[str, Any]) -> Created:
    client, name, platform, policy = session.client(), given["name"], given["platform"], given["pull"] or "missing"
    if policy == "always":
        pull(session, image, platform, quiet=given["quiet"], to=session.stderr)
    try:
        return containers.create(client, body, name, platform)
    except ApiError as error:
        if policy != "missing" or error.status != 404 or not _is_about(image, str(error)):
            raise
    session.warn(f"Unable to find image '{reference.parse(image).with_default_tag().familiar()}' locally")
    pull(session, image, platform, quiet=given["quiet"], to=session.stderr)
    return containers.create(client, body, name, platform)


def _is_about(image: str, error: str) -> bool:
    """Whether it is this image that is missing, and not one of a --mount."""
    return "image" in error.lower() and (image in error or reference.parse(image).path in error)


def check_name(image: str) -> None:
    """Raises InvalidParameter for what can be neither an image's id nor its name."""
    if not _IDENTIFIER.fullmatch(image):
        reference.parse(image)


@contextmanager
def _cidfile(session: Session, path: str | None) -> Iterator[Any]:
    """A function that writes the id into the file at `path`; no file stays behind if there is no container."""
    if not path:
        yield lambda id: None
        return
    full = os.path.join(session.directory, path)
    try:
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise CommandError(
            f"container ID file found, make sure the other container isn't running or delete {path}", 125) from error
    except OSError as error:
        reason = (error.strerror or "").lower()
        message = f"failed to create the container ID file: open {path}: {reason}"
        raise CommandError(message, start_status(message)) from error
    try:
        yield lambda id: write_all(fd, encoded(id))
    except BaseException:
        os.unlink(full)
        raise
    finally:
        os.close(fd)


CREATE = Command(
    "create", create, synopsis="IMAGE [COMMAND] [ARG...]", arity=SOME, help="Create a new container",
    flags=(*CREATE_FLAGS, *ABSENT_FLAGS), interspersed=False, aliases=("container create", "create"))
