"""`/auth` and `/images/search`: registries, as the server sees them."""

from pydocker.client import answers
from pydocker.client.api import Client, Query, decoded


def login(client: Client, server: str, username: str, password: str, identity_token: str) -> str:
    """Have credentials verified; returns a refresh token to keep instead of the password, or ""."""
    body = {"serveraddress": server, "username": username, "password": password, "identitytoken": identity_token}
    given = {name: text for name, text in body.items() if text}
    return decoded(client.post("/auth", body=given), answers.LoggedIn).identity_token


def search(client: Client, query: Query, authorization: str | None) -> tuple[answers.SearchResult, ...]:
    """`term`, `limit`, `filters`."""
    headers = {"X-Registry-Auth": authorization} if authorization else {}
    response = client.send("GET", "/images/search", query, None, headers)
    return decoded(response.read(), tuple[answers.SearchResult, ...])
