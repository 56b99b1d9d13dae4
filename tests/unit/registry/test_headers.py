"""Headers of strangers: WWW-Authenticate, X-Registry-Auth, Retry-After."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.registry import challenge, credentials
from pydocker.registry.challenge import Challenge
from pydocker.registry.credentials import Credentials
from pydocker.registry.patience import Patience, retry_after

BEARER = {"realm": "https://auth.test/token", "service": "x", "scope": "repository:a/b:pull,push"}


@pytest.mark.parametrize(("header", "found"), [
    ("", ()),
    ("Negotiate", (Challenge("negotiate"),)),
    ('Basic realm="a \\"b\\", c"', (Challenge("basic", {"realm": 'a "b", c'}),)),
    ("BASIC Realm=x", (Challenge("basic", {"realm": "x"}),)),
    ('Bearer realm="https://auth.test/token",service="x",scope="repository:a/b:pull,push"',
     (Challenge("bearer", BEARER),)),
    ('Bearer realm="a" , service = "b", Basic realm="c"',
     (Challenge("bearer", {"realm": "a", "service": "b"}), Challenge("basic", {"realm": "c"}))),
    ('Negotiate, Basic realm="c"', (Challenge("negotiate"), Challenge("basic", {"realm": "c"}))),
    ('Bearer realm="a",realm="b"', (Challenge("bearer", {"realm": "a"}),)),
    ('Bearer realm="never ends', (Challenge("bearer"),)),
    ("=,=,=", ()),
    ("Basic " + "a" * 10_000, ()),
])
def test_challenges(header: str, found: tuple[Challenge, ...]) -> None:
    assert challenge.parse(header)[: len(found) or None] == found


@given(st.one_of(st.text(max_size=500), st.text('Basicrelm=", \\', max_size=500)))
def test_any_header_is_read(header: str) -> None:
    for one in challenge.parse(header):
        assert one.scheme == one.scheme.lower()


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(("header", "found"), [
    ("", None), ("  ", None), (encoded({}), None), (encoded({"serveraddress": "x"}), None),
    (encoded({"username": "a", "password": "b", "serveraddress": "x"}), Credentials("a", "b")),
    (encoded({"username": "a", "password": "b"}).rstrip("="), Credentials("a", "b")),
    (base64.b64encode(b'{"username": "\xc3\xbf\xc3\xbf>?", "password": ">>>?"}').decode(), Credentials("ÿÿ>?", ">>>?")),
    (encoded({"auth": base64.b64encode(b"a:b:c").decode()}), Credentials("a", "b:c")),
    (encoded({"identitytoken": "i"}), Credentials(identity_token="i")),
    (encoded({"registrytoken": "r"}), Credentials(registry_token="r")),
])
def test_x_registry_auth(header: str, found: Credentials | None) -> None:
    assert credentials.decode(header) == found


@pytest.mark.parametrize("header", [
    "junk", "!", "=", encoded([]), encoded({"username": 1}), encoded("secret"), encoded({"auth": "secret!"}),
    base64.b64encode(b"\xff").decode(), "ä", base64.b64encode(b"[" * 30_000).decode(), "a" * 100_000,
])
def test_x_registry_auth_is_refused_without_quoting_it(header: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        credentials.decode(header)
    assert str(refused.value).startswith("invalid X-Registry-Auth header: ")
    assert "secret" not in str(refused.value)


@given(st.text(max_size=200))
def test_any_x_registry_auth_is_read_or_refused(header: str) -> None:
    try:
        credentials.decode(header)
    except InvalidParameter as error:
        assert str(error).isprintable()


def test_no_secret_is_shown() -> None:
    shown = repr(Credentials("user", "hidden", "hidden", "hidden"))
    assert "user" in shown and "hidden" not in shown


@pytest.mark.parametrize(("header", "seconds"), [
    (None, None), ("", None), ("soon", None), ("-1", None), ("0", 0.0), (" 7 ", 7.0), ("9" * 400, 999_999_999.0),
    ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("\u0661", None),
    ("Thu, 99 Foo 1970 99:00:00 GMT", None),
])
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=40.0) == seconds


def test_back_off_grows_and_ends() -> None:
    patience = Patience(attempts=6, first=1, most=5)
    assert [patience.delay(failures) for failures in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert [patience.delay(1, asked) for asked in (0, 3, 5, 6)] == [1, 3, 5, None]
