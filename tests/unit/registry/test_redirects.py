"""Where a registry may send us: never with a credential to somebody else (CVE-2020-15157), never from https to http."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydocker.errors import Unauthorized, Unavailable
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor
from pydocker.registry.credentials import Credentials
from pydocker.registry.repository import Repository
from tests.peers import certificates
from tests.peers.stub import Reply, Stub
from tests.unit.registry.conftest import Open

CONTENT = b"content" * 1000
BLOB = Descriptor(media_type="", digest=Digest("sha256:" + hashlib.sha256(CONTENT).hexdigest()), size=len(CONTENT))
PATH = f"/v2/a/b/blobs/{BLOB.digest}"
SOMEBODY = Credentials("user", "secret")
BASIC = Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})


@pytest.fixture
def other() -> Iterator[Stub]:
    """Another origin: a mirror, or an attacker."""
    with Stub() as server:
        server.on("/blob", Reply(body=CONTENT, ranges=True))
        yield server


def fetched(repository: Repository) -> bytes:
    with repository.blob(BLOB) as pieces:
        return b"".join(pieces)


def sent_credentials(stub: Stub) -> list[bool]:
    return ["Authorization" in seen.headers for seen in stub.seen]


def test_credentials_stay_with_their_origin(stub: Stub, other: Stub, repository: Open) -> None:
    stub.on(PATH, BASIC, Reply(307, {"Location": f"{other.url}/blob?signature=1"}))
    assert fetched(repository(f"{stub.address}/a/b", credentials=SOMEBODY)) == CONTENT
    assert sent_credentials(stub)[-1] and sent_credentials(other) == [False]


def test_another_origin_cannot_ask_for_them(stub: Stub, other: Stub, repository: Open) -> None:
    stub.on(PATH, BASIC, Reply(302, {"Location": f"{other.url}/blob"}))
    other.on("/blob", BASIC)
    with pytest.raises(Unauthorized):
        fetched(repository(f"{stub.address}/a/b", credentials=SOMEBODY))
    assert sent_credentials(other) == [False]


def test_a_broken_redirected_layer_is_resumed_from_the_start_of_the_way(
    stub: Stub, other: Stub, repository: Open
) -> None:
    stub.on(PATH, Reply(307, {"Location": f"{other.url}/blob"}))
    other.on("/blob", Reply(body=CONTENT, cut=1000, ranges=True), Reply(body=CONTENT, ranges=True))
    assert fetched(repository(f"{stub.address}/a/b")) == CONTENT
    assert stub.paths().count(PATH) == 2
    assert other.seen[-1].headers["Range"] == "bytes=1000-"


def test_relative_redirects(stub: Stub, repository: Open) -> None:
    stub.on(PATH, BASIC, Reply(302, {"Location": "/blob"}))
    stub.on("/blob", Reply(308, {"Location": "elsewhere"}))
    stub.on("/elsewhere", Reply(body=CONTENT))
    assert fetched(repository(f"{stub.address}/a/b", credentials=SOMEBODY)) == CONTENT
    assert sent_credentials(stub)[-3:] == [True, True, True]


def test_redirects_without_end(stub: Stub, repository: Open) -> None:
    stub.on(PATH, Reply(302, {"Location": PATH}))
    with pytest.raises(Unavailable, match="stopped after 10 redirects"):
        fetched(repository(f"{stub.address}/a/b"))


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://user@127.0.0.1/",
                                      "http://127.0.0.1:99999/", "http://[::1/", "//"])
def test_redirects_to_nowhere(stub: Stub, repository: Open, location: str) -> None:
    stub.on(PATH, Reply(302, {"Location": location}))
    with pytest.raises(Unavailable):
        fetched(repository(f"{stub.address}/a/b"))


def test_a_redirect_to_plain_http_elsewhere(stub: Stub, other: Stub, repository: Open) -> None:
    target = other.address.replace("127.0.0.1", "0.0.0.0")
    stub.on(PATH, Reply(302, {"Location": f"http://{target}/blob"}))
    with pytest.raises(Unavailable, match=f"plain http is refused, {target} is not an insecure registry"):
        fetched(repository(f"{stub.address}/a/b"))
    assert not other.seen


def test_no_way_from_https_to_http(other: Stub, repository: Open, tmp_path: Path) -> None:
    with Stub(certificates.make(tmp_path)) as stub:
        stub.on(PATH, Reply(302, {"Location": f"{other.url}/blob"}))
        with pytest.raises(Unavailable, match="refused a redirect from https to"):
            fetched(repository(f"{stub.address}/a/b", insecure=(stub.address,)))
    assert not other.seen


def test_layers_with_urls_are_fetched_from_the_registry_all_the_same(
    stub: Stub, other: Stub, repository: Open
) -> None:
    stub.on(PATH, Reply(body=CONTENT))
    foreign = Descriptor(media_type="", digest=BLOB.digest, size=BLOB.size, urls=(f"{other.url}/blob",))
    with repository(f"{stub.address}/a/b").blob(foreign) as pieces:
        assert b"".join(pieces) == CONTENT
    assert not other.seen


def test_a_cookie_is_not_kept(stub: Stub, repository: Open) -> None:
    stub.on("/v2/", Reply(headers={"Set-Cookie": "a=b"}))
    stub.on(PATH, Reply(body=CONTENT))
    assert fetched(repository(f"{stub.address}/a/b")) == CONTENT
    assert all("Cookie" not in seen.headers for seen in stub.seen)


def test_netrc_is_not_read(stub: Stub, repository: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    stub.on(PATH, Reply(body=CONTENT))
    assert fetched(repository(f"{stub.address}/a/b")) == CONTENT
    assert not any(sent_credentials(stub))
