"""The way in, as data: which requests the generator yields for which answers, and what it never gives away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from pydocker.errors import Unauthorized, Unavailable
from pydocker.registry import hosts
from pydocker.registry.auth import Gate, Key
from pydocker.registry.credentials import Credentials
from pydocker.registry.message import Request

ASKED = Request("https://registry.test/v2/a/b/manifests/1", {"Accept": "x"})
BEARER = {"WWW-Authenticate": 'Bearer realm="https://auth.test/token",service="s",scope="repository:somebody/else:pull"'}
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}


@dataclass
class Said:
    """An answer, as an Answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    request: Request = ASKED
    reason: str = ""
    closed: bool = False

    def pieces(self) -> Iterator[bytes]:
        yield self.body

    def close(self) -> None:
        self.closed = True


def test_a_refusal_holds_no_connection_while_the_token_server_is_asked() -> None:
    flow, refusal = gate().flow(ASKED), Said(401, BEARER)
    next(flow)
    assert flow.send(refusal).url.startswith("https://auth.test/token?")
    assert refusal.closed


def test_a_refusal_that_cannot_be_answered_holds_none_either() -> None:
    flow, refusal = gate().flow(ASKED), Said(401, BASIC)
    next(flow)
    with pytest.raises(Unauthorized):
        flow.send(refusal)
    assert refusal.closed


def gate(credentials: Credentials | None = None) -> Gate:
    return Gate(hosts.origin(ASKED.url), Key(credentials, ("repository:a/b:pull",), "registry.test/a/b"))


def dialogue(gate: Gate, *answers: Said, request: Request = ASKED) -> list[Request]:
    """The requests that the gate makes when it is told these answers."""
    flow = gate.flow(request)
    made = [next(flow)]
    for answer in answers:
        try:
            made.append(flow.send(answer))
        except StopIteration:
            break
    return made


def authorizations(requests: list[Request]) -> list[str | None]:
    return [request.headers.get("Authorization") for request in requests]


def test_nothing_is_said_that_was_not_asked_for() -> None:
    assert dialogue(gate(Credentials("u", "p")), Said(200)) == [ASKED]


def test_a_token_for_nobody() -> None:
    opened = gate()
    made = dialogue(opened, Said(401, BEARER), Said(200, body=b'{"token": "t"}'), Said(200))
    assert authorizations(made) == [None, None, "Bearer t"]
    assert made[1].url.startswith("https://auth.test/token?")
    assert made[2].headers["Accept"] == "x"
    assert authorizations(dialogue(opened, Said(200))) == ["Bearer t"]


def test_only_the_own_scope_is_asked_for() -> None:
    made = dialogue(gate(), Said(401, BEARER))
    assert parse_qs(urlsplit(made[1].url).query) == {"service": ["s"], "scope": ["repository:a/b:pull"]}


def test_a_token_for_a_password() -> None:
    made = dialogue(gate(Credentials("u", "p")), Said(401, BEARER), Said(200, body=b'{"access_token": "t"}'))
    assert authorizations(made) == [None, "Basic dTpw", "Bearer t"]
    assert parse_qs(urlsplit(made[1].url).query)["account"] == ["u"]


def test_several_scopes_for_a_mount() -> None:
    scopes = ("repository:a/b:pull,push", "repository:c/d:pull")
    opened = Gate(hosts.origin(ASKED.url), Key(Credentials(identity_token="i"), scopes, "x"))
    made = dialogue(opened, Said(401, BEARER))
    assert parse_qs(str(made[1].body))["scope"] == ["repository:a/b:pull,push repository:c/d:pull"]
    opened = Gate(hosts.origin(ASKED.url), Key(None, scopes, "x"))
    assert parse_qs(urlsplit(dialogue(opened, Said(401, BEARER))[1].url).query)["scope"] == list(scopes)


def test_a_login_asks_for_a_refresh_token_and_for_no_scope() -> None:
    opened = Gate(hosts.origin(ASKED.url), Key(Credentials("u", "p"), (), "registry.test", offline=True))
    made = dialogue(opened, Said(401, BEARER), Said(200, body=b'{"token": "t", "refresh_token": "later"}'), Said(200))
    assert parse_qs(urlsplit(made[1].url).query) == {
        "service": ["s"], "account": ["u"], "offline_token": ["true"], "client_id": ["pydocker"]}
    assert opened.refresh_token == "later"


def test_a_token_for_a_refresh_token() -> None:
    made = dialogue(gate(Credentials(identity_token="i")), Said(401, BEARER), Said(200, body=b'{"token": "t"}'))
    assert (made[1].method, made[1].url) == ("POST", "https://auth.test/token")
    assert parse_qs(str(made[1].body)) == {
        "grant_type": ["refresh_token"], "client_id": ["pydocker"], "refresh_token": ["i"], "service": ["s"],
        "scope": ["repository:a/b:pull"],
    }


def test_a_password() -> None:
    assert authorizations(dialogue(gate(Credentials("u", "p")), Said(401, BASIC))) == [None, "Basic dTpw"]


def test_a_password_that_is_refused_is_not_sent_again() -> None:
    opened = gate(Credentials("u", "p"))
    assert len(dialogue(opened, Said(401, BASIC), Said(401, BASIC), Said(401, BASIC))) == 2
    assert len(dialogue(opened, Said(401, BASIC), Said(401, BASIC))) == 1


def test_a_token_that_expired_is_renewed_once() -> None:
    opened = gate()
    dialogue(opened, Said(401, BEARER), Said(200, body=b'{"token": "old"}'), Said(200))
    made = dialogue(opened, Said(401, BEARER), Said(200, body=b'{"token": "new"}'), Said(401, BEARER))
    assert authorizations(made) == ["Bearer old", None, "Bearer new"]


def test_other_origins_get_nothing() -> None:
    opened = gate(Credentials("u", "p"))
    dialogue(opened, Said(401, BASIC), Said(200))
    for url in ("http://registry.test/x", "https://registry.test:444/x", "https://cdn.test/x"):
        assert authorizations(dialogue(opened, Said(401, BASIC), request=Request(url))) == [None]


def test_a_challenge_nobody_knows_changes_nothing() -> None:
    assert len(dialogue(gate(Credentials("u", "p")), Said(401, {"WWW-Authenticate": "Negotiate"}))) == 1
    assert len(dialogue(gate(Credentials("u", "p")), Said(401))) == 1


def test_a_password_is_asked_for_and_there_is_none() -> None:
    with pytest.raises(Unauthorized, match="no basic auth credentials"):
        dialogue(gate(), Said(401, BASIC))


@pytest.mark.parametrize("realm", [
    "", "token", "file:///etc/passwd", "https://user@auth.test/", "https://[/",
    "http://auth.test/token", "http://127.0.0.1:2375/containers",  # a registry in TLS, and passwords without it
])
def test_no_token_server(realm: str) -> None:
    with pytest.raises(Unavailable):
        dialogue(gate(), Said(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}))


@pytest.mark.parametrize("body", [
    b"", b"junk", b"[]", b"{}", b'{"token": null}', b'{"token": 7}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}',
    b'{"token": "\xc3\xa4"}', b"[" * 100_000, b'"' + b"x" * 2_000_000 + b'"',
])
def test_no_token(body: bytes) -> None:
    with pytest.raises(Unavailable):
        dialogue(gate(), Said(401, BEARER), Said(200, body=body))


def test_a_token_server_sends_nobody_elsewhere() -> None:
    with pytest.raises(Unavailable, match="307"):
        dialogue(gate(Credentials("u", "p")), Said(401, BEARER), Said(307, {"Location": "https://evil.test/"}))


@pytest.mark.parametrize(("status", "body", "words"), [
    (401, b'{"details": "incorrect username or password"}', "incorrect username or password"),
    (401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "wrong"}]}', "unauthorized: wrong"),
    (401, b"<html>", "received unexpected HTTP status: 401"),
])
def test_a_token_that_is_refused(status: int, body: bytes, words: str) -> None:
    with pytest.raises(Unauthorized, match=words):
        dialogue(gate(Credentials("u", "p")), Said(401, BEARER), Said(status, body=body))
