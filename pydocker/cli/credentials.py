"""Who pulls and pushes: what `login` left for a registry, in the client's file or with a credential helper.

It goes to the server as the header X-Registry-Auth, base64url of JSON, and only the one of the registry that is meant:

    {"auth": …, "identitytoken": …}              as the file has it
    {"username": …, "password": …}               as a helper has it
"""

import base64
from typing import NewType

import msgspec

from pydocker.cli import dockerconfig
from pydocker.cli.dockerconfig import DockerConfig, registry_key
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session

Header = NewType("Header", str)
_FIELDS = ("auth", "identitytoken", "registrytoken")


def header(session: Session, domain: str) -> Header | None:
    """The header for the registry at `domain` (`docker.io` is Docker Hub); None if nothing is known.

    A helper that fails costs its credentials, and is told: most pulls need none.
    """
    config, key = dockerconfig.load(session), registry_key(domain)
    try:
        found = document(session, config, key)
    except CommandError as error:
        session.warn(f"WARNING: error getting credentials for {domain}: {error}")
        return None
    return Header(base64.urlsafe_b64encode(msgspec.json.encode(found)).decode()) if found else None


def document(session: Session, config: DockerConfig, key: str) -> dict[str, str]:
    """What the header says: empty where nothing is kept. Raises CommandError for a helper that fails."""
    if helper := config.helper(key):
        from pydocker.cli.credhelper import TOKEN, CredentialHelper  # for who has one

        secret = CredentialHelper(session, helper).get(key)
        if secret is None:
            return {}
        if secret.username == TOKEN:
            return {"identitytoken": secret.secret}
        return {"username": secret.username, "password": secret.secret}
    entry = config.entry(key)
    return {name: entry[name] for name in _FIELDS if isinstance(entry.get(name), str) and entry[name]}
