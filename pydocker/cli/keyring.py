"""What `login` keeps and `logout` forgets, wherever that is: in the client's file, or with a credential helper."""

import base64

from pydocker.cli.credentials import document
from pydocker.cli.credhelper import TOKEN, CredentialHelper, Secret
from pydocker.cli.dockerconfig import DockerConfig
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session


def known(session: Session, config: DockerConfig, key: str) -> tuple[Secret, str]:
    """The user and password that are kept for a registry, and the refresh token; empty where there are none.

    Raises CommandError for a helper that fails, and for a file that is damaged.
    """
    found = document(session, config, key)
    if "auth" in found:
        try:
            user, _, password = base64.b64decode(found["auth"], validate=True).decode().partition(":")
        except ValueError:
            raise CommandError(f"client configuration {config.path}: auths: {key}: auth is not base64") from None
        return Secret(user, password), found.get("identitytoken", "")
    return Secret(found.get("username", ""), found.get("password", "")), found.get("identitytoken", "")


def keep(session: Session, config: DockerConfig, key: str, secret: Secret, token: str) -> bool:
    """Keep what a registry accepted: the token where it gave one, else the password. True: unencrypted, in the file."""
    if helper := config.helper(key):
        CredentialHelper(session, helper).store(key, Secret(TOKEN, token) if token else secret)
        config.put(key, {})
    else:
        plain = f"{secret.username}:{'' if token else secret.secret}"
        entry = {"auth": base64.b64encode(plain.encode()).decode()}
        config.put(key, entry | ({"identitytoken": token} if token else {}))
    config.save()
    return not helper


def registries(session: Session, config: DockerConfig) -> list[str]:
    """Every registry that something is kept for, in the file or with its helper. Raises CommandError."""
    names = set(config.registries())
    for helper in config.helpers():
        names |= CredentialHelper(session, helper).list().keys()
    return sorted(names)


def forget(session: Session, config: DockerConfig, key: str) -> bool:
    """Keep nothing for a registry any more; False if there was nothing. Raises CommandError."""
    name, kept = config.helper(key), None
    if name:
        helper = CredentialHelper(session, name)
        kept = helper.get(key)
        if kept is not None:
            helper.erase(key)
    if not config.has(key):
        return kept is not None
    config.forget(key)
    config.save()
    return True
