"""Who is pulling: the API's `X-Registry-Auth` header, base64url of a JSON object (Engine API, "Authentication").

    {"username": …, "password": …}      a person
    {"auth": base64("user:password")}   the same, as in config.json
    {"identitytoken": …}                a refresh token
    {"registrytoken": …}                a bearer token, ready to use
"""

import base64
from dataclasses import dataclass, field

import msgspec

from pydocker.errors import InvalidParameter

_LONGEST_HEADER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user proves himself with. No secret is part of its repr, so none reaches a log."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


class _Header(msgspec.Struct):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


def decode(header: str) -> Credentials | None:
    """Read `X-Registry-Auth`; None where it is empty or says nothing. Raises InvalidParameter, never quoting it."""
    if len(header) > _LONGEST_HEADER:
        raise InvalidParameter("invalid X-Registry-Auth header: too long")
    if not header.strip():
        return None
    try:
        found = msgspec.json.decode(_unbase64(header), type=_Header)
        username, password = found.username, found.password
        if found.auth and not (username or password):
            username, _, password = _unbase64(found.auth).decode().partition(":")
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise InvalidParameter("invalid X-Registry-Auth header: must be base64url of a JSON object") from None
    value = Credentials(username, password, found.identitytoken, found.registrytoken)
    return None if value == Credentials() else value


def _unbase64(text: str) -> bytes:
    """Both alphabets, with or without padding: clients differ."""
    plain = text.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
