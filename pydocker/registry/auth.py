"""Getting in: ping, challenge, token, again (distribution's "Token Authentication Specification").

    GET /v2/                           -> 401, WWW-Authenticate: Bearer realm="https://auth.example/token",service="…"
    GET https://auth.example/token?service=…&scope=repository:a/b:pull      with the password, if there is one
                                       -> {"token": "…"}
    GET /v2/a/b/manifests/latest       with Authorization: Bearer …

`Gate.flow` is a generator: it yields requests and is sent their answers, so it does no I/O and is tested as data. The
last answer that it is sent is the one to the original request.

Only the registry's own origin is ever given what is held here, and only the scope that is needed is asked for, whatever
scope the challenge names: a registry must not obtain tokens for somebody else's repository.
"""

from collections.abc import Generator
from urllib.parse import urlencode

import msgspec

from pydocker.errors import Unauthorized, Unavailable
from pydocker.registry import challenge, hosts
from pydocker.registry.challenge import Challenge
from pydocker.registry.credentials import Credentials
from pydocker.registry.failure import plain
from pydocker.registry.message import Answer, Request, read
from pydocker.registry.refusal import refused

_LONGEST_TOKEN = 1024 * 1024  # bytes of a token server's answer
Flow = Generator[Request, Answer, None]


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class Gate:
    """What opens one registry for one scope. Threads share it: a token that one of them obtained serves all."""

    def __init__(self, origin: tuple[str, str], scope: str, credentials: Credentials | None, subject: str) -> None:
        self._origin = origin
        self._scope = scope
        self._credentials = credentials
        self._subject = subject  # what refusals name
        self._held: str | None = None  # an Authorization header's value; one assignment, so no lock

    def flow(self, request: Request) -> Flow:
        """Send `request` with what is held; when that is refused, obtain something better, once."""
        if hosts.origin(request.url) != self._origin:
            yield request
            return
        used = self._held
        answer = yield _with(request, used)
        if answer.status != 401:
            return
        fresh = self._held
        if fresh == used:  # otherwise another thread was faster
            fresh = yield from self._obtain(answer)
        if fresh is not None and fresh != used:
            answer.close()
            yield _with(request, fresh)

    def _obtain(self, answer: Answer) -> Generator[Request, Answer, str | None]:
        """The first of the offered ways that can be gone. None: nothing was offered that we know."""
        offered = {one.scheme: one for one in reversed(challenge.parse(answer.headers.get("WWW-Authenticate", "")))}
        held = None
        if "bearer" in offered:
            held = "Bearer " + (yield from self._token(answer.request, offered["bearer"]))
        elif "basic" in offered:
            held = self._password(answer)
        self._held = held
        return held

    def enter(self, answer: Answer) -> Generator[Request, Answer, None]:
        """Learn from the answer to the ping, so that the first real question need not be asked twice."""
        if answer.status == 401:
            yield from self._obtain(answer)

    def _password(self, answer: Answer) -> str:
        if self._credentials is None or not self._credentials.username:
            raise Unauthorized(f"{answer.request}: no basic auth credentials")
        return self._credentials.basic

    def _token(self, asked: Request, offer: Challenge) -> Generator[Request, Answer, str]:
        if self._credentials is not None and self._credentials.registry_token:
            return self._credentials.registry_token
        answer = yield token_request(asked, offer, self._scope, self._credentials)
        if answer.status != 200:
            raise refused(answer, self._subject, self._subject)
        return _decode(answer)


def token_request(asked: Request, offer: Challenge, scope: str, credentials: Credentials | None) -> Request:
    """How a token is asked for: with a refresh token (OAuth 2, POST), with a password (GET), or as nobody.

    Raises Unavailable where the realm is no address. Whether it may be plain HTTP is the transport's decision.
    """
    if not (realm := offer.parameters.get("realm")):
        raise Unavailable(f"{asked}: the registry names no token server")
    query = {name: offer.parameters[name] for name in ("service",) if name in offer.parameters} | {"scope": scope}
    if credentials is not None and credentials.identity_token:
        form = {"grant_type": "refresh_token", "client_id": "pydocker", "refresh_token": credentials.identity_token}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request(realm, headers, method="POST", body=urlencode(form | query))
    separator = "&" if "?" in realm else "?"
    headers = {"Authorization": credentials.basic} if credentials is not None and credentials.username else {}
    return Request(f"{realm}{separator}{urlencode(query)}", headers)


def _decode(answer: Answer) -> str:
    """The token in a token server's answer. It becomes a header, so it must be able to be one."""
    try:
        found = msgspec.json.decode(read(answer, _LONGEST_TOKEN), type=_Token)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"{answer.request}: the token server's answer is not a token: {plain(error)}") from error
    token = found.token or found.access_token
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unavailable(f"{answer.request}: the token server's answer holds no usable token")
    return token


def _with(request: Request, authorization: str | None) -> Request:
    return request if authorization is None else request.with_header("Authorization", authorization)
