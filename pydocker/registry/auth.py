"""Getting in: question, challenge, token, again (distribution's "Token Authentication Specification").

    HEAD /v2/a/b/manifests/latest      -> 401, WWW-Authenticate: Bearer realm="https://auth.example/token",service="…"
    GET https://auth.example/token?service=…&scope=repository:a/b:pull      with the password, if there is one
                                       -> {"token": "…"}
    HEAD /v2/a/b/manifests/latest      with Authorization: Bearer …

`Gate.flow` is a generator: it yields requests and is sent their answers, so it does no I/O and is tested as data. The
last answer that it is sent is the one to the original request.

Only the registry's own origin is ever given what is held here, and only the scope that is needed is asked for, whatever
scope the challenge names: a registry must not obtain tokens for somebody else's repository.

`login` asks for no scope, but with `offline_token=true` for a refresh token, which is kept instead of the password.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from pydocker.errors import Unauthorized, Unavailable
from pydocker.registry import challenge, hosts
from pydocker.registry.challenge import Challenge
from pydocker.registry.credentials import Credentials
from pydocker.registry.message import Answer, Request, read
from pydocker.registry.plain import plain
from pydocker.registry.refusal import refused

_LONGEST_TOKEN = 1024 * 1024  # bytes of a token server's answer
_CLIENT = "pydocker"
Flow = Generator[Request, Answer, None]


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """What somebody comes with: who he is, what for (`repository:a/b:pull,push`), how refusals name that.

    `offline`: a token to come back with later is wanted too (`docker login`).
    """

    credentials: Credentials | None
    scopes: Sequence[str]
    subject: str
    offline: bool = False


class Gate:
    """What opens one registry with one key. Threads share it: a token that one of them obtained serves all.

    `refresh_token` is the one that the token server gave for later, if it did.
    """

    def __init__(self, origin: tuple[str, str], key: Key) -> None:
        self._origin = origin
        self._key = key
        self._held: str | None = None  # an Authorization header's value; one assignment, so no lock
        self.refresh_token = ""

    def flow(self, request: Request) -> Flow:
        """Send `request` with what is held; when that is refused, obtain something better, once."""
        if hosts.origin(request.url) != self._origin:
            yield request
            return
        used = self._held
        answer = yield _with(request, used)
        if answer.status != 401:
            return
        better = self._held != used  # another thread was faster
        if not better:
            better = yield from self._obtain(answer, used)
        if better:
            answer.close()
            yield _with(request, self._held)

    def _obtain(self, answer: Answer, used: str | None) -> Generator[Request, Answer, bool]:
        """Go the first of the offered ways that can be gone. False: there is none, or it leads to what was refused."""
        offered = {one.scheme: one for one in reversed(challenge.parse(answer.headers.get("WWW-Authenticate", "")))}
        held = None
        if "bearer" in offered:
            if (token := self._given_token()) is None:
                answer.close()  # its connection is not held while another server is asked
                self._held = "Bearer " + (yield from self._token(answer.request, offered["bearer"]))
                return True
            held = f"Bearer {token}"
        elif "basic" in offered:
            held = self._password(answer)
        self._held = held
        return held is not None and held != used

    def _given_token(self) -> str | None:
        return self._key.credentials.registry_token or None if self._key.credentials is not None else None

    def _password(self, answer: Answer) -> str:
        credentials = self._key.credentials
        if credentials is None or not credentials.username:
            answer.close()
            raise Unauthorized(f"{answer.request}: no basic auth credentials")
        return credentials.basic

    def _token(self, asked: Request, offer: Challenge) -> Generator[Request, Answer, str]:
        answer = yield token_request(asked, offer, self._key)
        if answer.status != 200:
            raise refused(answer, self._key.subject, self._key.subject)
        token, self.refresh_token = _decode(answer)
        return token


def token_request(asked: Request, offer: Challenge, key: Key) -> Request:
    """How a token is asked for: with a refresh token (OAuth 2, POST), with a password (GET), or as nobody.

    Raises Unavailable where the realm is no address. Whether it may be plain HTTP is the transport's decision.
    """
    if not (realm := offer.parameters.get("realm")):
        raise Unavailable(f"{asked}: the registry names no token server")
    if asked.url.startswith("https:") and not realm.startswith("https:"):
        raise Unavailable(f"{asked}: refused a token server without TLS: {plain(realm.partition('?')[0])}")
    query = [("service", offer.parameters["service"])] if "service" in offer.parameters else []
    credentials = key.credentials
    if credentials is not None and credentials.identity_token:
        form = [("grant_type", "refresh_token"), ("client_id", _CLIENT), ("refresh_token", credentials.identity_token)]
        scope = [("scope", " ".join(key.scopes))] if key.scopes else []
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request(realm, headers, method="POST", body=urlencode([*form, *query, *scope]))
    query += [("scope", scope) for scope in key.scopes]
    headers = {}
    if credentials is not None and credentials.username:
        headers = {"Authorization": credentials.basic}
        query += [("account", credentials.username)]
    if key.offline:
        query += [("offline_token", "true"), ("client_id", _CLIENT)]
    return Request(f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}", headers)


def _decode(answer: Answer) -> tuple[str, str]:
    """The token in a token server's answer, and the refresh token or "". They become headers and form fields."""
    try:
        found = msgspec.json.decode(read(answer, _LONGEST_TOKEN), type=_Token)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"{answer.request}: the token server's answer is not a token: {plain(error)}") from error
    token = found.token or found.access_token
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unavailable(f"{answer.request}: the token server's answer holds no usable token")
    return token, found.refresh_token if found.refresh_token.isprintable() else ""


def _with(request: Request, authorization: str | None) -> Request:
    return request if authorization is None else request.with_header("Authorization", authorization)
