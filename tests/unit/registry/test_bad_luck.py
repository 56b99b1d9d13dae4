"""Registries that are down, lie, break, or are busy: one clear error or, where another try helps, the right bytes."""

import gzip
import hashlib
import os
import time
from pathlib import Path

import pytest

from pydocker.errors import NotFound, NotSupported, PydockerError, Unavailable
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from pydocker.registry import manifest
from pydocker.registry.patience import Patience
from pydocker.registry.repository import Repository
from tests.peers import certificates
from tests.peers.certificates import Certificates
from tests.peers.registry import free_port
from tests.peers.stub import Reply, Stub
from tests.unit.registry.conftest import SHORT, Open

CONTENT = os.urandom(700_000)  # two whole pieces and a part of one
BLOB = Descriptor(
    media_type=OCI_LAYER_GZIP, digest=Digest("sha256:" + hashlib.sha256(CONTENT).hexdigest()), size=len(CONTENT)
)
PATH = f"/v2/a/b/blobs/{BLOB.digest}"
MANIFEST_PATH = "/v2/a/b/manifests/1"
MANIFEST = {"Content-Type": OCI_MANIFEST}


def fetched(repository: Repository, descriptor: Descriptor = BLOB) -> bytes:
    with repository.blob(descriptor) as pieces:
        return b"".join(pieces)


def failing(repository: Repository, kind: type[PydockerError] = Unavailable) -> str:
    """The one line that fetching the blob fails with."""
    with pytest.raises(kind) as failed:
        fetched(repository)
    assert "\n" not in str(failed.value)
    return str(failed.value)


def refused_manifest(repository: Repository, kind: type[PydockerError] = Unavailable) -> str:
    with pytest.raises(kind) as failed:
        repository.manifest("1")
    assert "\n" not in str(failed.value)
    return str(failed.value)


@pytest.fixture
def near(stub: Stub, repository: Open) -> Repository:
    """A repository on the stub."""
    return repository(f"{stub.address}/a/b")


def test_nobody_there(repository: Open) -> None:
    address = f"127.0.0.1:{free_port()}"
    words = refused_manifest(repository(f"{address}/a/b", patience=Patience(first=60)))  # no second try, so no wait
    assert words == f'Get "https://{address}{MANIFEST_PATH}": dial tcp {address}: connect: connection refused'


def test_no_such_host(repository: Open) -> None:
    words = refused_manifest(repository("registry.invalid/a/b", patience=Patience(first=60)))
    assert words.startswith('Get "https://registry.invalid/v2/a/b/manifests/1": ')
    assert words.endswith(": no such host")


def elsewhere(stub: Stub) -> str:
    """An address that leads to the stub, and is not a loopback one (connect(2) takes 0.0.0.0 for this host)."""
    return stub.address.replace("127.0.0.1", "0.0.0.0")


def test_plain_http_is_refused_for_everybody_else(stub: Stub, repository: Open) -> None:
    words = refused_manifest(repository(f"{elsewhere(stub)}/a/b"))
    assert words.startswith(f'Get "https://{elsewhere(stub)}/v2/a/b/manifests/1": ')
    assert not stub.seen


def test_plain_http_for_whom_the_administrator_called_insecure(stub: Stub, repository: Open) -> None:
    stub.on(PATH, Reply(body=CONTENT))
    name = elsewhere(stub)
    assert fetched(repository(f"{name}/a/b", insecure=(name,))) == CONTENT
    assert fetched(repository(f"{name}/a/b", insecure=("0.0.0.0/8",))) == CONTENT


@pytest.mark.parametrize("raw", [b"hello\r\n\r\n", b"\x00" * 1000, b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_garbage_instead_of_http(stub: Stub, near: Repository, raw: bytes) -> None:
    stub.on(MANIFEST_PATH, Reply(raw=raw))
    assert refused_manifest(near).startswith(f'Get "http://{stub.address}{MANIFEST_PATH}": malformed HTTP response "')


def test_a_web_page_instead_of_a_registry(stub: Stub, near: Repository) -> None:
    page = Reply(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<html>" * 1000)
    stub.on(MANIFEST_PATH, page)
    words = refused_manifest(near, NotSupported)
    assert words == f'{stub.address}/a/b:1: unsupported manifest media type "text/html"'


def test_no_registry_at_all(stub: Stub, near: Repository) -> None:
    stub.on(MANIFEST_PATH, Reply(404, body=b"<html>"))
    assert "received unexpected HTTP status: 404 Not Found" in refused_manifest(near, NotFound)


def test_a_registry_that_never_ends(stub: Stub, near: Repository) -> None:
    stub.on(MANIFEST_PATH, Reply(headers=MANIFEST, body=b" " * (manifest.LONGEST + 1)))
    assert refused_manifest(near).endswith(f"the answer is longer than {manifest.LONGEST} bytes")


def test_an_error_message_cannot_write_to_the_terminal(stub: Stub, near: Repository) -> None:
    evil = '{"errors": [{"code": "DENIED", "message": "a\\u001b[2J\\nError: b' + "c" * 10_000 + '"}]}'
    stub.on(MANIFEST_PATH, Reply(403, body=evil.encode()))
    words = refused_manifest(near, NotFound)
    assert "denied: a?[2J Error: bccc" in words
    assert words.isprintable() and len(words) < 500


def test_a_manifest_with_another_digest(stub: Stub, near: Repository) -> None:
    wanted = "sha256:" + "0" * 64
    stub.on(f"/v2/a/b/manifests/{wanted}", Reply(headers=MANIFEST, body=b"{}"))
    with pytest.raises(Unavailable, match=f"manifest verification failed for digest {wanted}"):
        near.manifest(wanted)
    stub.on(MANIFEST_PATH, Reply(headers=MANIFEST | {"Docker-Content-Digest": wanted}, body=b"{}"))
    assert refused_manifest(near) == f"manifest verification failed for digest {wanted}"


def test_a_truncated_manifest_is_asked_for_again(stub: Stub, near: Repository) -> None:
    stub.on(MANIFEST_PATH, Reply(headers=MANIFEST, body=b"{...}", cut=3), Reply(headers=MANIFEST, body=b"{...}"))
    assert near.manifest("1").content == b"{...}"


def test_a_compressed_answer_is_taken_as_it_is(stub: Stub, near: Repository) -> None:
    """A digest is of the bytes as stored: an encoding that nobody asked for must not be undone."""
    zipped = gzip.compress(b"{}")
    stub.on(MANIFEST_PATH, Reply(headers=MANIFEST | {"Content-Encoding": "gzip"}, body=zipped))
    assert near.manifest("1").content == zipped


def test_schema_1_is_refused_by_name(stub: Stub, near: Repository) -> None:
    stub.on(MANIFEST_PATH, Reply(headers={"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}))
    assert "version 2, schema 1 is not supported" in refused_manifest(near, NotSupported)


def test_a_wrong_digest_is_no_end(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT[:-1] + b"\x00\x01"[CONTENT[-1] == 0:][:1]))
    assert failing(near) == f"filesystem layer verification failed for digest {BLOB.digest}"


@pytest.mark.parametrize("reset", [False, True])
def test_a_layer_that_breaks_is_resumed(stub: Stub, near: Repository, reset: bool) -> None:
    stub.on(PATH, Reply(body=CONTENT, cut=100_000, ranges=True, reset=reset))
    assert fetched(near) == CONTENT
    asked = [seen.headers.get("Range") for seen in stub.seen if seen.path == PATH]
    assert asked[:2] == [None, "bytes=100000-"] or reset
    if not reset:  # a reset may destroy what is on its way
        assert stub.sent == len(CONTENT)


def test_a_layer_that_breaks_where_ranges_are_unknown(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT, cut=300_000), Reply(body=CONTENT, cut=100), Reply(body=CONTENT))
    assert fetched(near) == CONTENT


def test_a_truncated_layer(stub: Stub, near: Repository) -> None:
    """The same connection breaks at the same byte for ever."""
    stub.on(PATH, Reply(body=CONTENT, cut=1000))
    assert failing(near).endswith("unexpected EOF")
    assert len([path for path in stub.paths() if path == PATH]) == SHORT.attempts


def test_a_layer_without_length_that_is_too_short(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT[:5000], length=-1))
    assert failing(near) == f"blob {BLOB.digest} ended after 5000 of {len(CONTENT)} bytes: unexpected EOF"


def test_a_layer_that_is_too_long(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT + b"x", length=-1))
    assert failing(near) == f"blob {BLOB.digest} is longer than the {len(CONTENT)} bytes of its manifest"


def test_a_layer_that_declares_another_length(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT + b"x"))
    assert failing(near) == (
        f"blob {BLOB.digest}: the registry declares {len(CONTENT) + 1} bytes, its manifest {len(CONTENT)}"
    )


@pytest.mark.parametrize("answered", ["bytes 0-9/10", "bytes 5-9/700000", "junk", ""])
def test_another_range_than_asked_for(stub: Stub, near: Repository, answered: str) -> None:
    wrong = Reply(206, {"Content-Range": answered}, CONTENT[1000:])
    stub.on(PATH, Reply(body=CONTENT, cut=1000), wrong)
    assert failing(near) == f"blob {BLOB.digest}: the registry sent another range than bytes 1000-"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_registry_is_asked_again(stub: Stub, near: Repository, status: int) -> None:
    stub.on(PATH, Reply(status), Reply(status), Reply(body=CONTENT))
    assert fetched(near) == CONTENT


@pytest.mark.parametrize(("status", "words"), [
    (429, "toomanyrequests: received unexpected HTTP status: 429 Too Many Requests"),
    (500, f'Get "http://{{address}}{PATH}": received unexpected HTTP status: 500 Internal Server Error'),
])
def test_a_registry_that_stays_busy(stub: Stub, near: Repository, status: int, words: str) -> None:
    stub.on(PATH, Reply(status))
    assert failing(near) == words.format(address=stub.address)
    assert stub.paths().count(PATH) == SHORT.attempts


def test_retry_after_is_obeyed(stub: Stub, repository: Open) -> None:
    stub.on(PATH, Reply(429, {"Retry-After": "1"}), Reply(body=CONTENT))
    started = time.monotonic()
    assert fetched(repository(f"{stub.address}/a/b", patience=Patience(first=0.001, most=5))) == CONTENT
    assert time.monotonic() - started >= 1


def test_a_limit_of_hours_is_told_at_once(stub: Stub, repository: Open) -> None:
    limit = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'
    stub.on(MANIFEST_PATH, Reply(429, {"Retry-After": "21600"}, limit))
    words = refused_manifest(repository(f"{stub.address}/a/b", patience=Patience()))
    assert words == ("toomanyrequests: You have reached your pull rate limit. "
                     "(the registry asks to come back in 6 hours)")
    assert stub.paths().count(MANIFEST_PATH) == 1


def test_connections_that_break_before_the_answer(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(raw=b""), Reply(raw=b""), Reply(body=CONTENT))
    assert fetched(near) == CONTENT
    stub.on(PATH, Reply(raw=b""))
    assert failing(near).endswith(": connection reset by peer")
    assert stub.paths().count(PATH) == 3 + SHORT.attempts


def test_leaving_early_ends_the_transfer(stub: Stub, near: Repository) -> None:
    stub.on(PATH, Reply(body=CONTENT))
    with near.blob(BLOB) as pieces:
        assert CONTENT.startswith(next(pieces))
    assert fetched(near) == CONTENT


def test_an_empty_blob(stub: Stub, near: Repository) -> None:
    empty = Descriptor(media_type="", digest=Digest("sha256:" + hashlib.sha256(b"").hexdigest()), size=0)
    stub.on(f"/v2/a/b/blobs/{empty.digest}", Reply())
    assert fetched(near, empty) == b""


def test_an_expired_certificate(tmp_path: Path, repository: Open) -> None:
    expired = certificates.make(tmp_path, expired=True)
    with Stub(expired) as stub:
        directory = tmp_path / "certs.d" / stub.address
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes(expired.authority.read_bytes())
        words = refused_manifest(repository(f"{stub.address}/a/b"))
    assert "x509: certificate has expired or is not yet valid" in words


def test_a_registry_that_wants_a_certificate(made: Certificates, repository: Open, tmp_path: Path) -> None:
    with Stub(made, mutual=True) as stub:
        stub.on("/v2/", Reply())
        stub.on(PATH, Reply(body=CONTENT))
        directory = tmp_path / "certs.d" / stub.address
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes(made.authority.read_bytes())
        failing(repository(f"{stub.address}/a/b"))
        assert not stub.seen
        (directory / "client.cert").write_bytes(made.certificate.read_bytes())
        assert failing(repository(f"{stub.address}/a/b"), PydockerError).startswith(
            f"cannot use client certificate {directory}/client.cert with key {directory}/client.key: "
        )
        (directory / "client.key").write_bytes(made.key.read_bytes())
        assert fetched(repository(f"{stub.address}/a/b")) == CONTENT


def test_a_proxy_is_for_others_than_this_machine(
    stub: Stub, near: Repository, repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stub() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        stub.on(PATH, Reply(body=CONTENT))
        assert fetched(near) == CONTENT
        assert "Tunnel connection failed: 501" in failing(repository("registry.test/a/b"))


def test_a_certificate_file_that_is_none(made: Certificates, repository: Open, tmp_path: Path) -> None:
    with Stub(made) as stub:
        directory = tmp_path / "certs.d" / stub.address
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_text("not a certificate")
        words = refused_manifest(repository(f"{stub.address}/a/b"), PydockerError)
    assert words.startswith(f"cannot read certificate authorities from {directory}/ca.crt: ")
