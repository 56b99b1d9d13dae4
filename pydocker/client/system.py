"""Routes about the server itself (Engine API, "System")."""

from typing import cast

from pydocker.client.answers import Json
from pydocker.client.api import Client, decoded


def version(client: Client) -> dict[str, Json]:
    return _object(client.send("GET", "/version").read())


def info(client: Client) -> dict[str, Json]:
    return _object(client.send("GET", "/info").read())


def _object(content: bytes) -> dict[str, Json]:
    return cast("dict[str, Json]", decoded(content, dict[str, object]))
