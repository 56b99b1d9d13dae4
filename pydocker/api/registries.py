"""Registries: push, search, and whether credentials open one (Engine API, "Image" and "System")."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from pydocker.api import filters
from pydocker.api.background import Tell, stream
from pydocker.api.exchange import Request, Result, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.model import reference
from pydocker.model.reference import Reference

Found = Mapping[str, object]


class Registries(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def push(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None: ...
    def search(self, term: str, limit: int | None, auth: str) -> Sequence[Found]: ...
    def login(self, server: str, username: str, password: str, identity_token: str) -> str: ...


class Backend(Protocol):
    @property
    def images(self) -> Registries: ...


class _Credentials(msgspec.Struct):
    """The body of `POST /auth` (AuthConfig)."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""


class _Platform(msgspec.Struct):
    """The query's `platform`, as newer clients send it (OCI image spec, image-index.md)."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


def auth(backend: Backend, request: Request) -> Result:
    try:
        given = msgspec.convert(request.document(), _Credentials)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid credentials: {error}") from None
    token = backend.images.login(given.serveraddress, given.username, given.password, given.identitytoken)
    return reply({"IdentityToken": token, "Status": "Login Succeeded"})


def push(backend: Backend, request: Request) -> Result:
    """Without a tag, every tag of the repository (`docker push -a`)."""
    named = reference.parse(request.parameters["name"])
    if request.text("tag"):
        named = named.with_tag(request.text("tag"))
    platform, auth = _platform(request.text("platform")), request.headers.get("x-registry-auth", "")
    return stream(lambda tell: backend.images.push(named, platform, auth, tell))


def search(backend: Backend, request: Request) -> Result:
    if not request.text("term"):
        raise InvalidParameter("invalid search term: nothing to look for")
    tests = _tests(filters.parse(request.text("filters")))
    found = backend.images.search(request.text("term"), request.number("limit"),
                                  request.headers.get("x-registry-auth", ""))
    return reply([one for one in found if filters.passes(tests, one)])


def _platform(text: str) -> str | None:
    """`linux/arm64`, from that or from a JSON object."""
    if not text.startswith("{"):
        return text or None
    try:
        found = msgspec.json.decode(text, type=_Platform)
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"invalid platform: {error}") from None
    return "/".join(part for part in (found.os, found.architecture, found.variant) if part) or None


def _tests(chosen: filters.Filters) -> list[filters.Test[Found]]:
    """One test for each key. Raises InvalidParameter for a key or a value that nobody knows."""
    tests: list[filters.Test[Found]] = []
    for key, values in chosen.items():
        if key == "stars":
            tests += [_stars(value) for value in values]
        elif key in ("is-official", "is-automated"):
            tests += [_flag(key, value) for value in values]
        else:
            raise InvalidParameter(f"invalid filter {key[:100]!r}")
    return tests


def _stars(value: str) -> filters.Test[Found]:
    if not (value.isascii() and value.isdigit()):
        raise InvalidParameter(f"invalid filter 'stars={value[:100]}'")
    least = int(value[:9])
    return lambda found: isinstance(found["star_count"], int) and found["star_count"] >= least


def _flag(key: str, value: str) -> filters.Test[Found]:
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidParameter(f"invalid filter '{key}={value[:100]}'")
    wanted = value.lower() in ("true", "1")
    return lambda found: found[key.replace("-", "_")] is wanted


ROUTES: Routes[Backend] = (
    ("POST", "/auth", auth),
    ("GET", "/images/search", search),
    ("POST", "/images/{name:*}/push", push),
)
