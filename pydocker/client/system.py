"""Routes about the server itself (Engine API, "System")."""

from typing import cast

from pydocker.client.answers import Json
from pydocker.client.api import Client, Query, Response, decoded


def version(client: Client) -> dict[str, Json]:
    return _object(client.send("GET", "/version").read())


def info(client: Client) -> dict[str, Json]:
    return _object(client.send("GET", "/info").read())


def _object(content: bytes) -> dict[str, Json]:
    return cast("dict[str, Json]", decoded(content, dict[str, object]))


def listed(client: Client, noun: str) -> list[dict[str, Json]]:
    """The documents of all `networks`."""
    return cast("list[dict[str, Json]]", client.get(f"/{noun}", list[dict[str, object]]))


def events(client: Client, query: Query) -> Response:
    """What happens, one JSON object a line, until the connection is closed."""
    return client.send("GET", "/events", query)
