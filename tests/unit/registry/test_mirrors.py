"""Mirrors by the prefix of a name: in order, only for pulling, and never with what was meant for the registry."""

import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from pydocker.config import Config, RegistryEntry
from pydocker.errors import NotFound, Unavailable
from pydocker.model import reference
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_MANIFEST, Descriptor
from pydocker.registry.blob import Begun, Misled
from pydocker.registry.credentials import Credentials
from pydocker.registry.mirrors import Location, locations
from pydocker.registry.repository import Repository
from tests.peers.registry import free_port
from tests.peers.stub import Reply, Stub
from tests.unit.registry.conftest import Open

CONTENT = b"content" * 1000
BLOB = Descriptor(media_type="", digest=Digest("sha256:" + hashlib.sha256(CONTENT).hexdigest()), size=len(CONTENT))
MANIFEST = Reply(headers={"Content-Type": OCI_MANIFEST}, body=b"{}")
HUB = {"docker.io": RegistryEntry(("mirror.lan:5000/hub", "http://10.0.0.7:5000"))}
OTHERS = {
    "registry.lan": RegistryEntry(("a.lan",)), "registry.lan/team": RegistryEntry(("b.lan/x",)),
    "registry.lan/team/app": RegistryEntry(insecure=True),
}


@pytest.mark.parametrize(("name", "expected"), [
    ("alpine", [Location("mirror.lan:5000", "hub/library/alpine", mirror=True),
                Location("10.0.0.7:5000", "library/alpine", insecure=True, mirror=True),
                Location("registry-1.docker.io", "library/alpine")]),
    ("registry.lan/other", [Location("a.lan", "other", mirror=True), Location("registry.lan", "other")]),
    ("registry.lan/team/x/y", [Location("b.lan", "x/x/y", mirror=True), Location("registry.lan", "team/x/y")]),
    ("registry.lan/team/app", [Location("registry.lan", "team/app", insecure=True)]),
    ("registry.lan/teams", [Location("a.lan", "teams", mirror=True), Location("registry.lan", "teams")]),
    ("registry.lan.evil/team", [Location("registry.lan.evil", "team")]),
    ("ghcr.io/a/b", [Location("ghcr.io", "a/b")]),
])
def test_locations(name: str, expected: list[Location]) -> None:
    assert locations(reference.parse(name), HUB | OTHERS) == tuple(expected)


def test_dockers_key_is_for_docker_hub() -> None:
    config = Config(registry_mirrors=("https://one.lan",), registries=HUB)
    assert config.by_prefix["docker.io"].mirrors == ("https://one.lan", "mirror.lan:5000/hub", "http://10.0.0.7:5000")
    assert Config().by_prefix == {}


@pytest.mark.parametrize("document", [
    {"registries": {"docker.io": {"mirrors": ["ftp://x"]}}}, {"registries": {"docker.io": {"mirrors": ["a b"]}}},
    {"registries": {"docker.io": {"mirror": []}}}, {"registries": {"http://x": {}}}, {"registries": {"x/": {}}},
    {"registry-mirrors": ["user@host"]},
])
def test_what_is_no_mirror_is_an_error_at_the_start(document: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(document), type=Config)


@pytest.fixture
def mirror() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def mirrored(stub: Stub, mirror: Stub, repository: Open) -> Repository:
    """The stub's repository a/b, whose mirror is asked for hub/a/b."""
    registries = {stub.address: RegistryEntry((f"{mirror.address}/hub",))}
    return repository(f"{stub.address}/a/b", registries=registries, credentials=Credentials("user", "secret"))


def fetched(repository: Repository) -> bytes:
    with repository.blob(BLOB) as pieces:
        return b"".join(pieces)


def test_the_mirror_is_asked_first(stub: Stub, mirror: Stub, mirrored: Repository) -> None:
    mirror.on("/v2/hub/a/b/manifests/1", MANIFEST)
    mirror.on(f"/v2/hub/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT))
    assert mirrored.manifest("1").content == b"{}"
    assert fetched(mirrored) == CONTENT
    assert not stub.seen


def test_what_a_mirror_has_not_comes_from_the_registry(stub: Stub, mirror: Stub, mirrored: Repository) -> None:
    stub.on("/v2/a/b/manifests/1", MANIFEST)
    assert mirrored.manifest("1").content == b"{}"
    mirror.on("/v2/hub/a/b/manifests/1", Reply(500), Reply(500), Reply(500))
    assert mirrored.manifest("1").content == b"{}"


@pytest.mark.parametrize("reply", [
    Reply(headers={"Content-Type": "text/html"}, body=b"<html>log in first</html>"),
    Reply(headers={"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": str(BLOB.digest)}, body=b"{}"),
    Reply(headers={"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": "sha256:x"}, body=b"{}"),
    Reply(headers={"Content-Type": OCI_MANIFEST}, body=b"{}", length=1 << 30),
    Reply(headers={"Content-Type": OCI_MANIFEST}, body=b"{}", cut=1),
], ids=["another type", "another digest", "no digest", "too long", "cut"])
def test_a_mirror_that_answers_nonsense_is_passed_over(reply: Reply, stub: Stub, mirror: Stub,
                                                       mirrored: Repository) -> None:
    mirror.on("/v2/hub/a/b/manifests/1", reply)
    stub.on("/v2/a/b/manifests/1", Reply(headers={"Content-Type": OCI_MANIFEST}, body=b'{"right": 1}'))
    assert mirrored.manifest("1").content == b'{"right": 1}'


def test_a_blob_of_another_length_or_range_comes_from_the_registry(stub: Stub, mirror: Stub,
                                                                   mirrored: Repository) -> None:
    path = f"/v2/a/b/blobs/{BLOB.digest}"
    stub.on(path, Reply(body=CONTENT, ranges=True))
    mirror.on(path.replace("a/b", "hub/a/b"), Reply(body=b"<html>"))
    assert fetched(mirrored) == CONTENT
    mirror.on(path.replace("a/b", "hub/a/b"), Reply(206, {"Content-Range": "bytes 0-6999/7000"}, CONTENT))
    with mirrored.blob(BLOB, Begun(1000, hashlib.sha256(CONTENT[:1000]))) as pieces:
        assert b"".join(pieces) == CONTENT[1000:]


@pytest.mark.parametrize("reply", [Reply(body=CONTENT[::-1]), Reply(body=CONTENT * 2, length=-1)],
                         ids=["other bytes", "too many"])
def test_a_mirror_that_sent_a_wrong_blob_is_not_asked_again(reply: Reply, stub: Stub, mirror: Stub,
                                                            mirrored: Repository) -> None:
    """What it sent was handed on already, so whoever reads it has to begin anew."""
    mirror.on(f"/v2/hub/a/b/blobs/{BLOB.digest}", reply)
    stub.on(f"/v2/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT))
    with pytest.raises(Misled):
        fetched(mirrored)
    assert fetched(mirrored) == CONTENT
    assert len(mirror.seen) == 1


def test_the_registrys_own_wrong_blob_and_what_was_here_are_no_mirrors_fault(stub: Stub, mirror: Stub,
                                                                             mirrored: Repository) -> None:
    stub.on(f"/v2/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT[::-1]))
    with pytest.raises(Unavailable, match="verification failed") as failed:
        fetched(mirrored)
    assert not isinstance(failed.value, Misled)
    mirror.on(f"/v2/hub/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT, ranges=True))
    with pytest.raises(Unavailable, match="verification failed"), mirrored.blob(
            BLOB, Begun(3, hashlib.sha256(b"bad"))) as pieces:
        list(pieces)
    assert fetched(mirrored) == CONTENT


def test_a_mirror_gets_no_credentials(stub: Stub, mirror: Stub, mirrored: Repository) -> None:
    basic = Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})
    mirror.on("/v2/hub/a/b/manifests/1", basic)
    stub.on("/v2/a/b/manifests/1", basic, MANIFEST)
    assert mirrored.manifest("1").content == b"{}"
    assert not any("Authorization" in seen.headers for seen in mirror.seen)
    assert "Authorization" in stub.seen[-1].headers


def test_a_mirror_that_is_down_is_asked_once(stub: Stub, repository: Open) -> None:
    registries = {stub.address: RegistryEntry((f"127.0.0.1:{free_port()}",))}
    shared = repository(f"{stub.address}/a/b", registries=registries)
    stub.on("/v2/a/b/manifests/1", MANIFEST)
    stub.on(f"/v2/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT))
    assert shared.manifest("1").content == b"{}"
    assert fetched(shared) == CONTENT
    assert shared._dead


def test_errors_are_the_registrys_own(stub: Stub, mirror: Stub, mirrored: Repository) -> None:
    stub.on("/v2/a/b/manifests/1", Reply(404, body=b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "own"}]}'))
    with pytest.raises(NotFound, match="manifest unknown: own"):
        mirrored.manifest("1")


def test_a_layer_that_breaks_at_the_mirror_goes_on_at_the_registry(stub: Stub, mirror: Stub,
                                                                   mirrored: Repository) -> None:
    mirror.on(f"/v2/hub/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT, cut=1000), Reply(404))
    stub.on(f"/v2/a/b/blobs/{BLOB.digest}", Reply(body=CONTENT, ranges=True))
    assert fetched(mirrored) == CONTENT
    assert stub.seen[-1].headers["Range"] == "bytes=1000-"


def test_nothing_is_pushed_to_a_mirror(stub: Stub, mirror: Stub, mirrored: Repository) -> None:
    with pytest.raises(NotFound):
        mirrored.uploads().has(BLOB.digest) or mirrored.put_manifest("1", mirrored.manifest("1"))
    assert {seen.method for seen in mirror.seen} <= {"GET"}


def test_a_mirror_in_plain_http_has_to_be_called_so(stub: Stub, mirror: Stub, repository: Open) -> None:
    elsewhere = mirror.address.replace("127.0.0.1", "0.0.0.0")
    mirror.on("/v2/a/b/manifests/1", MANIFEST)
    for name, reached in ((elsewhere, False), (f"https://{elsewhere}", False), (f"http://{elsewhere}", True)):
        shared = repository(f"{stub.address}/a/b", registries={stub.address: RegistryEntry((name,))})
        if reached:
            assert shared.manifest("1").content == b"{}"
        else:
            with pytest.raises(NotFound):
                shared.manifest("1")
        assert bool(mirror.seen) is reached


def test_an_insecure_prefix(stub: Stub, repository: Open) -> None:
    elsewhere = stub.address.replace("127.0.0.1", "0.0.0.0")
    stub.on("/v2/a/b/manifests/1", MANIFEST)
    with pytest.raises(Unavailable):
        repository(f"{elsewhere}/a/b", registries={f"{elsewhere}/c": RegistryEntry(insecure=True)}).manifest("1")
    shared = repository(f"{elsewhere}/a/b", registries={f"{elsewhere}/a": RegistryEntry(insecure=True)})
    assert shared.manifest("1").content == b"{}"
