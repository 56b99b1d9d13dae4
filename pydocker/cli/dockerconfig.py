"""The client's own file, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, in Docker's format, shared with it.

    {
        "auths": {"https://index.docker.io/v1/": {"auth": "base64 of user:password"}, "localhost:5000": {…}},
        "credsStore": "secretservice",                      credentials are kept by docker-credential-secretservice
        "credHelpers": {"registry.lan": "pass"}             the same for one registry
    }

Whatever else stands in it stays as it is. It is replaced whole (rename(2)), readable for its owner alone; where it is a
symbolic link, the file that it leads to is.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session
from pydocker.storage import documents

HUB = "https://index.docker.io/v1/"
_HUBS = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io"})


class DockerConfig:
    """The file as it was read; `save` writes it with what was changed."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self.path = path
        self._document = document

    def entry(self, key: str) -> dict[str, Any]:
        """What is kept for a registry; older files call it by a whole address."""
        auths = self._part("auths")
        found = auths.get(key) or next((auths[name] for name in self._spellings(key)), None)
        return found if isinstance(found, dict) else {}

    def has(self, key: str) -> bool:
        """Whether the file knows the registry, even if a helper keeps the secret."""
        return bool(self._spellings(key))

    def helper(self, key: str) -> str:
        """The name of the program that keeps this registry's credentials; "" where the file does."""
        chosen = self._part("credHelpers").get(key) or self._document.get("credsStore") or ""
        return chosen if isinstance(chosen, str) else ""

    def helpers(self) -> set[str]:
        """Every helper that the file names."""
        named = (*self._part("credHelpers").values(), self._document.get("credsStore"))
        return {name for name in named if name and isinstance(name, str)}

    def registries(self) -> list[str]:
        """Every registry that the file knows."""
        return [registry_key(name) for name in self._part("auths")]

    def put(self, key: str, entry: dict[str, str]) -> None:
        """Keep something for a registry."""
        self._document["auths"] = {**self._part("auths"), key: entry}

    def forget(self, key: str) -> None:
        """Keep nothing for a registry any more."""
        gone = self._spellings(key)
        self._document["auths"] = {name: entry for name, entry in self._part("auths").items() if name not in gone}

    def save(self) -> None:
        """Replace the file. Raises CommandError that names it."""
        import json  # msgspec indents with blanks only, and Docker's file has tabs

        path = Path(os.path.realpath(self.path))
        try:
            os.makedirs(path.parent, mode=0o700, exist_ok=True)
            documents.replace(path, json.dumps(self._document, indent="\t", ensure_ascii=False).encode())
        except OSError as error:
            raise CommandError(f"client configuration {path}: {os.strerror(error.errno or 0).lower()}") from error

    def _spellings(self, key: str) -> list[str]:
        return [name for name in self._part("auths") if name == key or registry_key(name) == key]

    def _part(self, name: str) -> dict[str, Any]:
        found = self._document.get(name)
        return found if isinstance(found, dict) else {}


def registry_key(server: str) -> str:
    """What a registry is called in the file: its host and port, but Docker Hub by its old address."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return HUB if host in _HUBS else host


def load(session: Session) -> DockerConfig:
    """Read the file; one that is not there is empty. Raises CommandError for one that is none."""
    directory = session.environ.get("DOCKER_CONFIG") or os.path.join(session.environ.get("HOME", "/root"), ".docker")
    path = Path(session.directory, directory, "config.json")
    try:
        content = path.read_bytes()
        return DockerConfig(path, msgspec.json.decode(content, type=dict[str, Any]) if content.strip() else {})
    except (FileNotFoundError, NotADirectoryError):
        return DockerConfig(path, {})
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandError(f"client configuration {path}: {error}") from error
