"""Who pulls: what `docker login` left in `$DOCKER_CONFIG/config.json` (or `~/.docker/config.json`) for a registry.

    {"auths": {"https://index.docker.io/v1/": {"auth": "base64 of user:password"}, "localhost:5000": {...}}}

It goes to the server as the header X-Registry-Auth: base64url of JSON. Credential helpers are programs; a file that
names one is left alone, and the pull goes without credentials.
"""

import base64
import os
from typing import NewType

import msgspec

from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session

Header = NewType("Header", str)
_HUB = "https://index.docker.io/v1/"


class _Entry(msgspec.Struct, omit_defaults=True):
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _File(msgspec.Struct):
    auths: dict[str, _Entry] = {}


def header(session: Session, domain: str) -> Header | None:
    """The header for the registry at `domain` (`docker.io` is Docker Hub); None if nothing is known."""
    entry = _read(session).auths.get(_HUB if domain == "docker.io" else domain)
    if entry is None or entry == _Entry():
        return None
    return Header(base64.urlsafe_b64encode(msgspec.json.encode(entry)).decode())


def _read(session: Session) -> _File:
    directory = session.environ.get("DOCKER_CONFIG") or os.path.join(session.environ.get("HOME", "/root"), ".docker")
    path = os.path.join(session.directory, directory, "config.json")
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=_File)
    except (FileNotFoundError, NotADirectoryError):
        return _File()
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandError(f"client configuration {path}: {error}") from error
