"""Lists in pages, HEAD instead of GET, limits that are told, logins, and searches."""

import json

import pytest

from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError, Unauthorized, Unavailable
from pydocker.model.image import OCI_MANIFEST
from pydocker.registry import listing
from pydocker.registry import login as logins
from pydocker.registry.credentials import Credentials
from pydocker.registry.listing import PAGE
from pydocker.registry.login import login
from pydocker.registry.manifest import decode
from pydocker.registry.patience import Patience, RateLimit, rate_limit, told
from pydocker.registry.repository import Repository
from pydocker.registry.search import search
from tests.peers.registry import PASSWORD, REFRESH_TOKEN, USER, Registry
from tests.peers.stub import Reply, Stub
from tests.unit.registry.conftest import SHORT, Open

TAGS = "/v2/a/b/tags/list"
HEAD = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": "sha256:" + "1" * 64}


def page(*tags: str, link: str = "") -> Reply:
    return Reply(headers={"Link": link} if link else {}, body=json.dumps({"name": "a/b", "tags": tags}).encode())


@pytest.fixture
def near(stub: Stub, repository: Open) -> Repository:
    return repository(f"{stub.address}/a/b")


def test_pages(stub: Stub, near: Repository) -> None:
    stub.on(TAGS, page("1", "2", link=f'<{TAGS}?last=2&n=2>; rel="next"'), page("3", link='<list?last=3>; rel=next'),
            page("4"))
    assert list(near.tags()) == ["1", "2", "3", "4"]
    assert stub.paths() == [f"{TAGS}?n={PAGE}", f"{TAGS}?last=2&n=2", f"{TAGS}?last=3"]


def test_no_tags(stub: Stub, near: Repository) -> None:
    stub.on(TAGS, Reply(body=b'{"name": "a/b", "tags": null}'))
    assert list(near.tags()) == []
    stub.on(TAGS, Reply(404, body=b'{"errors": [{"code": "NAME_UNKNOWN", "message": "no"}]}'))
    with pytest.raises(NotFound, match=f"repository {stub.address}/a/b not found: name unknown: no"):
        list(near.tags())


@pytest.mark.parametrize("link", [f'<{TAGS}?n={PAGE}>; rel="next"', f'<{TAGS}?last=2>; rel="next"'])
def test_a_list_that_leads_back_to_itself(stub: Stub, near: Repository, link: str) -> None:
    stub.on(TAGS, page("1", link=link))
    with pytest.raises(Unavailable, match="a list without end"):
        list(near.tags())
    assert len(stub.seen) <= 3


@pytest.mark.parametrize("link", ["http://127.0.0.2:1/x", "ftp://x/y", "//evil.test/x"])
def test_a_next_page_elsewhere(stub: Stub, near: Repository, link: str) -> None:
    stub.on(TAGS, page("1", link=f'<{link}>; rel="next"'))
    with pytest.raises(Unavailable):
        list(near.tags())


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": "x"}', b'{"tags": [1]}', b"[" * 100_000])
def test_what_is_no_list(stub: Stub, near: Repository, body: bytes) -> None:
    stub.on(TAGS, Reply(body=body))
    with pytest.raises(Unavailable, match="not a list of names"):
        list(near.tags())


def test_four_gigabytes_of_json_are_not_read(stub: Stub, near: Repository) -> None:
    huge = Reply(headers={"Content-Type": OCI_MANIFEST}, body=b" " * 1000, length=4 << 30)
    stub.on(TAGS, huge)
    stub.on("/v2/a/b/manifests/1", huge)
    with pytest.raises(Unavailable, match="the answer is longer than"):
        list(near.tags())
    with pytest.raises(Unavailable, match="the answer is longer than"):
        near.manifest("1")
    assert stub.sent <= 2000


def test_a_real_registrys_pages(open_registry: Registry, repository: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = repository(open_registry.name("public/many"), actions="pull,push")
    source = repository(open_registry.name("public/x"))
    index = source.manifest("1")
    entry = decode(index).manifests[0]  # type: ignore[union-attr]
    manifest = source.manifest(entry.digest)
    document = decode(manifest)
    for blob in (document.config, *document.layers):  # type: ignore[union-attr]
        assert shared.uploads().send(Source(blob), "public/x")
    for number in range(5):
        shared.put_manifest(f"t{number}", manifest)
    assert sorted(shared.tags()) == [f"t{number}" for number in range(5)]  # its own order is none
    monkeypatch.setattr(listing, "PAGE", 1)  # this one gives its catalog in pages, and all tags at once
    assert {"public/many", "public/x", "private/x"} <= {name.partition("/")[2] for name in found(
        f"{open_registry.address}/")}


class Source:
    """A blob that has to be mounted: there is nothing to send."""

    def __init__(self, blob: object) -> None:
        self.digest, self.size = blob.digest, blob.size  # type: ignore[attr-defined]

    def part(self, start: int, length: int) -> bytes:
        raise AssertionError("it should be mounted")


def test_a_head_says_what_a_tag_is(stub: Stub, near: Repository) -> None:
    stub.on("/v2/a/b/manifests/1", Reply(headers=HEAD, body=b"{...}"))
    found = near.head("1")
    assert found is not None
    assert (found.digest, found.size, found.media_type) == ("sha256:" + "1" * 64, 5, OCI_MANIFEST)
    assert [seen.method for seen in stub.seen] == ["HEAD"]


@pytest.mark.parametrize("reply", [
    Reply(404), Reply(405), Reply(headers={"Content-Type": OCI_MANIFEST}),
    Reply(headers=HEAD | {"Docker-Content-Digest": "md5:x"})])
def test_a_head_that_says_nothing(stub: Stub, near: Repository, reply: Reply) -> None:
    stub.on("/v2/a/b/manifests/1", reply)
    assert near.head("1") is None


def test_a_head_with_a_digest_that_is_none(stub: Stub, near: Repository) -> None:
    stub.on("/v2/a/b/manifests/1", Reply(headers=HEAD | {"Docker-Content-Digest": "sha256:../../x"}))
    with pytest.raises(Unavailable, match="invalid digest"):
        near.head("1")


@pytest.mark.parametrize(("headers", "expected"), [
    ({}, None), ({"RateLimit-Remaining": "junk"}, None), ({"RateLimit-Limit": "100;w=21600"}, None),
    ({"RateLimit-Remaining": "76;w=21600", "RateLimit-Limit": "100;w=21600"}, RateLimit(76, 100, 21600)),
    ({"RateLimit-Remaining": "76", "RateLimit-Limit": "100, 100;w=60"}, RateLimit(76, 100, 0)),
    ({"RateLimit-Remaining": "0"}, RateLimit(0)),
])
def test_rate_limits(headers: dict[str, str], expected: RateLimit | None) -> None:
    assert rate_limit(headers) == expected


def test_a_rate_limit_is_remembered(stub: Stub, near: Repository) -> None:
    limits = {"RateLimit-Remaining": "76;w=21600", "RateLimit-Limit": "100;w=21600"}
    stub.on("/v2/a/b/manifests/1", Reply(headers={"Content-Type": OCI_MANIFEST} | limits, body=b"{}"))
    near.manifest("1")
    assert str(near.rate_limit) == "Rate limit: 76 of 100 pulls left in 6 hours"


@pytest.mark.parametrize(("seconds", "words"), [
    (0.2, "1 second"), (20, "20 seconds"), (60, "1 minute"), (90, "90 seconds"), (3600, "1 hour"), (21600, "6 hours")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert told(seconds) == words


def test_waiting_is_told(stub: Stub, repository: Open) -> None:
    heard: list[str] = []
    stub.on("/v2/a/b/manifests/1", Reply(429, {"Retry-After": "1"}), Reply(
        headers={"Content-Type": OCI_MANIFEST}, body=b"{}"))
    shared = repository(f"{stub.address}/a/b", notice=heard.append, patience=Patience(first=0.001, most=5))
    assert shared.manifest("1").content == b"{}"
    assert heard == ["toomanyrequests: the registry is busy, trying again in 1 second"]


@pytest.mark.parametrize(("server", "host"), [
    ("", "docker.io"), ("https://index.docker.io/v1/", "docker.io"), ("docker.io", "docker.io"),
    ("localhost:5000", "localhost:5000"), ("https://registry.lan/v2/", "registry.lan"), ("ghcr.io", "ghcr.io"),
])
def test_registries_as_people_write_them(server: str, host: str) -> None:
    assert logins.host(server) == host


@pytest.mark.parametrize("server", ["https://", "user@host", "https://user:secret@host/", "http://[::1"])
def test_registries_that_are_none(server: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        logins.host(server)
    assert "invalid registry address" in str(refused.value)


@pytest.mark.parametrize("kind", ["open", "basic", "token"])
def test_login(request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry = request.getfixturevalue(f"{kind}_registry")
    monkeypatch.setenv("SSL_CERT_FILE", str(registry.certificates.authority))
    assert login(registry.address, Credentials(USER, PASSWORD), patience=SHORT) == ""
    if kind != "open":
        with pytest.raises(Unauthorized):
            login(registry.address, Credentials(USER, "wrong"), patience=SHORT)


def test_a_login_with_a_refresh_token(token_registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_registry.tokens, "offline", True)
    assert login(token_registry.address, Credentials(USER, PASSWORD), patience=SHORT) == REFRESH_TOKEN
    assert login(token_registry.address, Credentials(identity_token=REFRESH_TOKEN), patience=SHORT) == ""
    with pytest.raises(Unauthorized):
        login(token_registry.address, Credentials(identity_token="another"), patience=SHORT)


def test_a_login_where_no_registry_is(stub: Stub) -> None:
    stub.on("/v2/", Reply(404))
    with pytest.raises(Unavailable, match=r"login attempt to .*/v2/ failed with status: 404 Not Found"):
        login(stub.address, Credentials("u", "p"), patience=SHORT)


def found(term: str, **options: object) -> list[str]:
    return [one.name for one in search(term, patience=SHORT, **options)]  # type: ignore[arg-type]


def test_a_search_of_the_old_kind(stub: Stub) -> None:
    results = [{"name": "app", "description": None, "star_count": 3}, {"name": "apple", "is_official": True}]
    stub.on("/v1/search", Reply(body=json.dumps({"results": results, "num_results": 2}).encode()))
    assert found(f"{stub.address}/ap") == [f"{stub.address}/app", f"{stub.address}/apple"]
    assert stub.seen[-1].path == "/v1/search?q=ap&n=25"
    assert found(f"{stub.address}/ap", limit=1) == [f"{stub.address}/app"]


def test_a_registry_without_search_has_a_catalog(open_registry: Registry) -> None:
    assert found(f"{open_registry.address}/private") == [open_registry.name("private/x")]
    assert {open_registry.name("private/x"), open_registry.name("public/x")} <= set(found(f"{open_registry.address}/"))
    assert found(f"{open_registry.address}/nosuch") == []


def test_a_registry_that_shows_nothing(stub: Stub) -> None:
    with pytest.raises(NotSupported, match="neither a search nor a catalog"):
        found(f"{stub.address}/x")


@pytest.mark.parametrize(("term", "limit"), [("", 25), ("x", 0), ("x", 101)])
def test_searches_that_make_no_sense(term: str, limit: int) -> None:
    with pytest.raises(InvalidParameter):
        found(term, limit=limit)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"results": 3}', b'{"results": [{"star_count": "x"}]}'])
def test_what_is_no_search_result(stub: Stub, body: bytes) -> None:
    stub.on("/v1/search", Reply(body=body))
    with pytest.raises(PydockerError, match="not a search result"):
        found(f"{stub.address}/x")
