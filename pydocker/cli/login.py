"""`pydocker login` and `logout`: credentials for a registry, verified by the registry before they are kept."""

import os

from pydocker.cli import dockerconfig, keyring, prompt
from pydocker.cli.command import Arity, Command
from pydocker.cli.credhelper import Secret
from pydocker.cli.dockerconfig import DockerConfig
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import registries
from pydocker.client.api import ApiError

_LONGEST_PASSWORD = 64 * 1024  # bytes; tokens of cloud registries have some KiB


def login(
    session: Session, arguments: tuple[str, ...], *, username: str | None, password: str | None, password_stdin: bool
) -> int:
    """Verify, keep, and say where."""
    config = dockerconfig.load(session)
    key = _key(arguments)
    given = _given(session, username, password, password_stdin)
    kept = keyring.known(session, config, key) if given.secret == "" else (Secret("", ""), "")
    if _again(session, key, username, kept):
        return 0
    secret = _asked(session, given, kept[0].username)
    token = registries.login(session.client(), key, secret.username, secret.secret, "")
    if keyring.keep(session, config, key, secret, token):
        _warn(session, config)
    session.say("Login Succeeded")
    return 0


def _key(arguments: tuple[str, ...]) -> str:
    """The registry that is meant. Raises CommandError for what cannot be one."""
    server = arguments[0] if arguments else ""
    key = dockerconfig.registry_key(server)
    host = server.partition("://")[2] if "://" in server else server
    if server and (not host.partition("/")[0] or "@" in host or any(blank in host for blank in " \t\n")):
        raise CommandError(f"Error: {server!r} is no address of a registry: [https://]HOST[:PORT]")
    return key


def _given(session: Session, username: str | None, password: str | None, password_stdin: bool) -> Secret:
    """What the command line says. Raises CommandError in Docker's words for what does not fit together."""
    if password_stdin and password is not None:
        raise CommandError("conflicting options: cannot specify both --password and --password-stdin")
    if password_stdin and username is None:
        raise CommandError("the --password-stdin option requires --username to be set")
    for name, text in (("username", username), ("password", password)):
        if text == "":
            raise CommandError(f"{name} is empty")
    if password is not None:
        session.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    if password_stdin:
        password = _whole_input(session.stdin)
        if not password:
            raise CommandError("Error: Password Required")
    return Secret(username or "", password or "")


def _whole_input(fd: int) -> str:
    found = b""
    while len(found) <= _LONGEST_PASSWORD and (piece := os.read(fd, _LONGEST_PASSWORD)):
        found += piece
    if len(found) > _LONGEST_PASSWORD:
        raise CommandError("Error: the password is too long")
    return found.decode("utf-8", "surrogateescape").rstrip("\r\n")


def _again(session: Session, key: str, username: str | None, kept: tuple[Secret, str]) -> bool:
    """Whether what is kept already still opens the registry; asked for only if nothing else was given."""
    secret, token = kept
    if username is not None or not (secret.secret or token):
        return False
    session.say("Authenticating with existing credentials...")
    try:
        registries.login(session.client(), key, secret.username, secret.secret, token)
    except ApiError as error:
        if error.status != 401 or not os.isatty(session.stdin):
            raise
        session.warn(f"Login did not succeed, error: {told(error)}")
        return False
    session.say("Login Succeeded")
    return True


def _asked(session: Session, given: Secret, before: str) -> Secret:
    """What was not given, from the person. Raises CommandError where there is nobody to ask."""
    username, password = given
    if (username and password) or os.isatty(session.stdin):
        username = username or prompt.line(session, f"Username ({before}): " if before else "Username: ") or before
        if not username:
            raise CommandError("Error: Non-null Username Required")
        password = password or prompt.secret(session, "Password: ")
        if not password:
            raise CommandError("Error: Password Required")
        return Secret(username, password)
    raise CommandError("Error: Cannot perform an interactive login from a non TTY device")


def _warn(session: Session, config: DockerConfig) -> None:
    session.warn(f"WARNING! Your credentials are stored unencrypted in {config.path}.\n"
                 "Configure a credential helper (credsStore) in it to remove this warning.")


def logout(session: Session, arguments: tuple[str, ...]) -> int:
    """Forget what is kept."""
    config = dockerconfig.load(session)
    key = _key(arguments)
    if not keyring.forget(session, config, key):
        session.say(f"Not logged in to {key}")
        if others := keyring.registries(session, config):
            session.say(f"Logged in to: {', '.join(others)}")
        return 0
    session.say(f"Removing login credentials for {key}")
    return 0


LOGIN = Command(
    "login", login, synopsis="[SERVER]", arity=Arity(0, 1),
    help="Authenticate to a registry (Docker Hub, if none is named)",
    flags=(
        value("-p", "--password", help="Password or personal access token (in the process list, for everybody)"),
        switch("--password-stdin", help="Take the password or personal access token from stdin"),
        value("-u", "--username", help="Username"),
    ))
LOGOUT = Command("logout", logout, synopsis="[SERVER]", arity=Arity(0, 1),
                 help="Log out from a registry (Docker Hub, if none is named)")
