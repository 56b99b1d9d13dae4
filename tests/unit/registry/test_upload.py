"""Uploads: in one request, resumed where it broke, in chunks where it was too large, mounted, or there already."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from pydocker.errors import NotFound, PydockerError, Unauthorized, Unavailable
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_MANIFEST, Descriptor
from pydocker.registry.credentials import Credentials
from pydocker.registry.manifest import Fetched
from pydocker.registry.patience import Patience
from pydocker.registry.repository import Repository
from pydocker.registry.upload import _Upload
from tests.peers.registry import PASSWORD, USER, Registry
from tests.peers.stub import Reply, Stub
from tests.peers.wire import Wire
from tests.unit.registry.conftest import SHORT, Open

CONTENT = os.urandom(700_000)
START = "/v2/a/b/blobs/uploads/"
BEGUN = Reply(202, {"Location": "/upload/1?state=x"})
RIGHT = Credentials(USER, PASSWORD)


@dataclass(frozen=True)
class Part:
    content: bytes

    def __len__(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.content), 65536):
            yield self.content[at:at + 65536]


@dataclass(frozen=True)
class Blob:
    content: bytes

    @property
    def digest(self) -> Digest:
        return Digest("sha256:" + hashlib.sha256(self.content).hexdigest())

    @property
    def size(self) -> int:
        return len(self.content)

    def part(self, start: int, length: int) -> Part:
        return Part(self.content[start:start + length])


@pytest.fixture
def near(stub: Stub, repository: Open) -> Repository:
    stub.on(START, BEGUN)
    return repository(f"{stub.address}/a/b", actions="pull,push")


def failing(repository: Repository, kind: type[PydockerError] = Unavailable, content: bytes = CONTENT) -> str:
    with pytest.raises(kind) as failed:
        repository.uploads().send(Blob(content))
    assert "\n" not in str(failed.value)
    return str(failed.value)


def asked(stub: Stub, method: str) -> list[tuple[str, int]]:
    return [(seen.headers.get("Content-Range", ""), len(seen.content)) for seen in stub.seen if seen.method == method]


def test_one_request_for_the_whole(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(201))
    assert near.uploads().send(Blob(CONTENT)) is False
    assert [seen.method for seen in stub.seen] == ["POST", "PUT"]
    put = stub.seen[-1]
    assert put.content == CONTENT
    assert put.path == f"/upload/1?state=x&digest={Blob(CONTENT).digest.replace(':', '%3A')}"
    assert put.headers["Content-Length"] == str(len(CONTENT))
    assert put.headers["Content-Type"] == "application/octet-stream"


def test_an_empty_blob(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(201))
    near.uploads().send(Blob(b""))
    assert stub.seen[-1].headers["Content-Length"] == "0"


def test_what_is_there(stub: Stub, near: Repository) -> None:
    path = f"/v2/a/b/blobs/{Blob(CONTENT).digest}"
    assert near.uploads().has(Blob(CONTENT).digest) is False
    stub.on(path, Reply(200))
    assert near.uploads().has(Blob(CONTENT).digest) is True
    assert [seen.method for seen in stub.seen] == ["HEAD", "HEAD"]


def test_mounted_from_a_neighbour(stub: Stub, near: Repository) -> None:
    stub.on(START, Reply(201))
    assert near.uploads().send(Blob(CONTENT), "c/d") is True
    assert [(seen.method, seen.path) for seen in stub.seen] == [
        ("POST", f"{START}?mount={Blob(CONTENT).digest.replace(':', '%3A')}&from=c%2Fd")]


def test_a_neighbour_without_it_means_an_upload(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(201))
    assert near.uploads().send(Blob(CONTENT), "c/d") is False
    assert [seen.method for seen in stub.seen] == ["POST", "PUT"]


def test_what_broke_goes_on_where_the_registry_is(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(raw=b""), Reply(204, {"Range": "0-299999"}), Reply(202, {"Range": "0-699999"}),
            Reply(201))
    near.uploads().send(Blob(CONTENT))
    assert [seen.method for seen in stub.seen] == ["POST", "PUT", "HEAD", "GET", "PATCH", "PUT"]
    assert asked(stub, "PATCH") == [("300000-699999", 400_000)]
    assert next(seen for seen in stub.seen if seen.method == "PATCH").content == CONTENT[300_000:]
    assert asked(stub, "PUT")[-1] == ("", 0)


def test_what_the_registry_has_forgotten_begins_anew(stub: Stub, near: Repository) -> None:
    stub.on(START, BEGUN, Reply(202, {"Location": "/upload/2"}))
    stub.on("/upload/1", Reply(500), Reply(404))
    stub.on("/upload/2", Reply(201))
    near.uploads().send(Blob(CONTENT))
    assert stub.seen[-1].path.startswith("/upload/2?digest=") and stub.seen[-1].content == CONTENT


def test_only_the_answer_was_lost(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(raw=b""))
    stub.on(f"/v2/a/b/blobs/{Blob(CONTENT).digest}", Reply(200))
    near.uploads().send(Blob(CONTENT))
    assert [seen.method for seen in stub.seen] == ["POST", "PUT", "HEAD"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_registry_that_stays_busy(stub: Stub, near: Repository, status: int) -> None:
    stub.on("/upload/1", Reply(status))
    words = failing(near)
    assert str(status) in words
    assert len(asked(stub, "PUT")) == SHORT.attempts


def test_waiting_is_told(stub: Stub, repository: Open) -> None:
    heard: list[str] = []
    stub.on(START, BEGUN)
    stub.on("/upload/1", Reply(429, {"Retry-After": "1"}), Reply(404), Reply(201))
    near = repository(f"{stub.address}/a/b", notice=heard.append, patience=Patience(first=0.001, most=5))
    near.uploads().send(Blob(CONTENT))
    [words] = heard
    assert words.startswith("toomanyrequests: ") and words.endswith(": trying again in 1 second")


def test_a_proxy_with_a_limit_gets_chunks(stub: Stub, near: Repository) -> None:
    content = os.urandom(5 << 20)
    stub.on("/upload/1", Reply(413), Reply(413), *[Reply(202, {"Location": "/upload/1"})] * 4, Reply(201))
    near.uploads().send(Blob(content))
    sizes = [size for _, size in asked(stub, "PATCH")]
    assert sizes[0] == 5 << 19 and max(sizes[1:]) == 5 << 18
    assert b"".join(seen.content for seen in stub.seen if seen.method == "PATCH")[sizes[0]:] == content
    assert [limits for limits, _ in asked(stub, "PATCH")][1:3] == ["0-1310719", "1310720-2621439"]


def test_a_limit_that_nothing_fits(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(413))
    assert "413" in failing(near)
    assert len(asked(stub, "PUT")) == 1


def test_the_least_chunk_of_the_registry_is_kept(stub: Stub, near: Repository) -> None:
    stub.on(START, Reply(202, {"Location": "/upload/1", "OCI-Chunk-Min-Length": str(3 << 20)}))
    content = os.urandom(4 << 20)
    stub.on("/upload/1", Reply(413), Reply(202), Reply(202), Reply(201))
    near.uploads().send(Blob(content))
    assert [size for _, size in asked(stub, "PATCH")] == [3 << 20, 1 << 20]


@pytest.mark.parametrize("arrived", ["0-5", "0-99999999", "0-0"])
def test_a_registry_that_takes_nothing_or_too_much(stub: Stub, near: Repository, arrived: str) -> None:
    stub.on("/upload/1", Reply(raw=b""), Reply(204, {"Range": "0-9"}), Reply(202, {"Range": arrived}), Reply(400))
    words = failing(near)
    assert "have arrived" in words or "400" in words


@pytest.mark.parametrize("headers", [{}, {"Location": "http://[::1/"}, {"Location": "ftp://127.0.0.1/x"}])
def test_an_upload_that_leads_nowhere(stub: Stub, near: Repository, headers: dict[str, str]) -> None:
    stub.on(START, Reply(202, headers))
    failing(near)


def test_an_upload_to_somebody_else_gets_no_credentials(stub: Stub, repository: Open) -> None:
    basic = Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
    with Stub() as other:
        stub.on(START, basic, Reply(202, {"Location": f"{other.url}/storage?signature=1"}))
        other.on("/storage", Reply(201))
        repository(f"{stub.address}/a/b", credentials=Credentials("user", "secret")).uploads().send(Blob(CONTENT))
        assert other.seen[-1].content == CONTENT
        assert "Authorization" not in other.seen[-1].headers
    assert "Authorization" in stub.seen[-1].headers


def test_a_token_that_expires_before_the_last_request(stub: Stub, repository: Open) -> None:
    """The body is sent twice, from its beginning both times."""
    basic = Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
    stub.on(START, BEGUN)
    stub.on("/upload/1", basic, Reply(201))
    repository(f"{stub.address}/a/b", credentials=Credentials("user", "secret")).uploads().send(Blob(CONTENT))
    assert [seen.content == CONTENT for seen in stub.seen if seen.method == "PUT"] == [True, True]


def test_a_redirected_upload_keeps_its_body(stub: Stub, near: Repository) -> None:
    stub.on("/upload/1", Reply(307, {"Location": "/elsewhere"}))
    stub.on("/elsewhere", Reply(201))
    near.uploads().send(Blob(CONTENT))
    assert (stub.seen[-1].method, stub.seen[-1].content) == ("PUT", CONTENT)


def test_refusals_in_words(stub: Stub, near: Repository) -> None:
    stub.on(START, Reply(403, body=b'{"errors": [{"code": "DENIED", "message": "requested access is denied"}]}'))
    assert failing(near, NotFound).startswith(f"push access denied for {stub.address}/a/b, repository does not exist")
    stub.on(START, Reply(405, body=b'{"errors": [{"code": "UNSUPPORTED", "message": "It is unsupported."}]}'))
    assert failing(near).endswith("unsupported: It is unsupported.")
    stub.on(START, Reply(401))
    failing(near, Unauthorized)


def test_a_manifest_that_the_registry_understood_differently(stub: Stub, near: Repository) -> None:
    document = Fetched(OCI_MANIFEST, Blob(b"{}").digest, b"{}")
    stub.on("/v2/a/b/manifests/1", Reply(201, {"Docker-Content-Digest": "sha256:" + "0" * 64}), Reply(201))
    with pytest.raises(Unavailable, match="instead of"):
        near.put_manifest("1", document)
    near.put_manifest("1", document)
    assert stub.seen[-1].headers["Content-Type"] == OCI_MANIFEST
    stub.on("/v2/a/b/manifests/1", Reply(400, body=b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "x"}]}'))
    with pytest.raises(Unavailable, match="manifest blob unknown: x"):
        near.put_manifest("1", document)


@pytest.mark.parametrize("kind", ["open", "tls", "basic", "token"])
def test_real_registries(request: pytest.FixtureRequest, repository: Open, kind: str,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry = request.getfixturevalue(f"{kind}_registry")
    monkeypatch.setenv("SSL_CERT_FILE", str(registry.certificates.authority))
    content = os.urandom(100_000)
    name = registry.name("push/x")
    uploads = repository(name, credentials=RIGHT, actions="pull,push").uploads()
    assert not uploads.has(Blob(content).digest)
    assert uploads.send(Blob(content)) is False
    assert uploads.has(Blob(content).digest)
    other = repository(registry.name("push/y"), credentials=RIGHT, actions="pull,push", neighbours=("push/x",))
    assert other.uploads().send(Blob(content), "push/x") is True
    assert other.uploads().has(Blob(content).digest)


def test_a_real_registry_in_chunks(open_registry: Registry, repository: Open) -> None:
    """Debian's registry has no limit, so its own limit is made: the state that a 413 leads to."""
    shared = repository(open_registry.name("push/chunks"), actions="pull,push")
    content = os.urandom(3 << 20)
    sent = _Upload(shared._own, "/v2/push/chunks/blobs", Blob(content), lambda it: Unavailable("no"), SHORT, print)
    sent._most = 1 << 20
    sent.run()
    assert shared.uploads().has(Blob(content).digest)


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_connection_to_a_real_registry_that_breaks(open_registry: Registry, repository: Open, cuts: int) -> None:
    content = os.urandom(1 << 20)
    with Wire(open_registry.port, up=500_000, cuts=cuts) as wire:
        shared = repository(f"127.0.0.1:{wire.port}/push/broken{cuts}", actions="pull,push")
        shared.uploads().send(Blob(content))
        assert wire.broken == cuts
    assert repository(open_registry.name(f"push/broken{cuts}")).uploads().has(Blob(content).digest)


def test_a_connection_that_always_breaks(open_registry: Registry, repository: Open) -> None:
    with Wire(open_registry.port, up=100_000) as wire:
        failing(repository(f"127.0.0.1:{wire.port}/push/never", actions="pull,push"))
        assert wire.broken >= SHORT.attempts


@pytest.mark.parametrize("after", [20_000, 150_000])
def test_a_download_costs_no_byte_twice(open_registry: Registry, repository: Open, after: int) -> None:
    """At most its size and what one connection carries, however often it is cut."""
    content = os.urandom(1 << 20)
    repository(open_registry.name("push/down"), actions="pull,push").uploads().send(Blob(content))
    with Wire(open_registry.port, down=after) as wire:
        shared = repository(f"127.0.0.1:{wire.port}/push/down")
        wanted = Descriptor(media_type="", digest=Blob(content).digest, size=len(content))
        with shared.blob(wanted) as pieces:
            assert b"".join(pieces) == content
        assert wire.broken >= len(content) // after - 1
        assert wire.carried["down"] <= len(content) + 1000 * (wire.broken + 2)  # the answers' heads


def test_wrong_credentials_push_nothing(token_registry: Registry, repository: Open) -> None:
    nobody = repository(token_registry.name("push/z"), actions="pull,push")
    with pytest.raises(NotFound, match="push access denied"):
        nobody.uploads().send(Blob(b"x"))
    with pytest.raises(Unauthorized), closing(repository(
            token_registry.name("push/z"), actions="pull,push", credentials=Credentials(USER, "wrong"))) as wrong:
        wrong.uploads().has(Blob(b"x").digest)
