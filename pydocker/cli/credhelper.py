"""Programs that keep secrets: the `docker-credential-*` protocol (docker/docker-credential-helpers, README).

    docker-credential-NAME get     stdin: the registry     stdout: {"ServerURL": …, "Username": …, "Secret": …}
                           store   stdin: such a document
                           erase   stdin: the registry
                           list                            stdout: {"registry": "user", …}

A failure is told on stdout, with status 1. The user name `<token>` says that the secret is a refresh token.
"""

import os
from typing import NamedTuple

import msgspec

from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session
from pydocker.cli.visible import visible

TOKEN = "<token>"
_PATIENCE = 120  # seconds: a person may have to unlock his keyring
_NOT_FOUND = "credentials not found in native keychain"


class Secret(NamedTuple):
    """What a helper keeps for a registry."""

    username: str
    secret: str


class _Document(msgspec.Struct, rename={"server": "ServerURL", "username": "Username", "secret": "Secret"}):
    server: str = ""
    username: str = ""
    secret: str = ""


class CredentialHelper:
    """One such program, found in the caller's PATH."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self.program = session, f"docker-credential-{name}"

    def get(self, server: str) -> Secret | None:
        """What it keeps for a registry; None for nothing. Raises CommandError."""
        status, out = self._run("get", server.encode())
        if status and _NOT_FOUND in out:
            return None
        try:
            found = msgspec.json.decode(self._succeeded("get", status, out), type=_Document)
        except msgspec.MsgspecError as error:
            raise CommandError(f"{self.program} get: not what a credential helper says: {error}") from error
        return Secret(found.username, found.secret)

    def store(self, server: str, secret: Secret) -> None:
        """Have it kept. Raises CommandError."""
        self._succeeded("store", *self._run("store", msgspec.json.encode(_Document(server, *secret))))

    def erase(self, server: str) -> None:
        """Have it forgotten; what is not there needs no forgetting. Raises CommandError."""
        status, out = self._run("erase", server.encode())
        if _NOT_FOUND not in out:
            self._succeeded("erase", status, out)

    def list(self) -> dict[str, str]:
        """The registries that it keeps something for, with the user names. Raises CommandError."""
        out = self._succeeded("list", *self._run("list", b""))
        try:
            return msgspec.json.decode(out, type=dict[str, str] | None) or {}
        except msgspec.MsgspecError as error:
            raise CommandError(f"{self.program} list: not what a credential helper says: {error}") from error

    def _succeeded(self, verb: str, status: int, out: str) -> str:
        if status:
            raise CommandError(f"{self.program} {verb}: {visible(out) or f'exit status {status}'}")
        return out

    def _run(self, verb: str, content: bytes) -> tuple[int, str]:
        import shutil  # both cost 10 ms, for which nobody without a helper should wait
        import subprocess

        path = shutil.which(self.program, path=self._session.environ.get("PATH", os.defpath))
        if path is None:
            raise CommandError(f'exec: "{self.program}": executable file not found in $PATH')
        try:
            done = subprocess.run((path, verb), input=content, stdout=subprocess.PIPE, stderr=self._session.stderr,
                                  env=dict(self._session.environ), timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise CommandError(f"{self.program} {verb}: no answer within {_PATIENCE} seconds") from None
        except OSError as error:
            raise CommandError(f"{self.program} {verb}: {os.strerror(error.errno or 0).lower()}") from error
        return done.returncode, done.stdout.decode("utf-8", "replace").strip()
