"""Pulling from a real registry: what is there afterwards, what is told, and what is not fetched twice."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pydocker.errors import NotFound, PydockerError
from pydocker.images.progress import ANYBODY, Progress
from pydocker.images.pull import pull
from pydocker.images.store import ImageStore
from pydocker.model.image import Manifest
from pydocker.model.platform import Platform
from pydocker.model.reference import parse
from pydocker.paths import Paths
from pydocker.registry.repository import Repository
from tests.peers.evil import Evil
from tests.peers.layout import CONFIG, MANIFEST, Layout
from tests.peers.registry import Registry
from tests.peers.stub import Reply
from tests.root.images.conftest import Pull, Push
from tests.root.layers.archive import archive, entry, folder

BASE = [folder("bin"), entry("bin/sh", content=b"#!" * 5000, mode=0o755), folder("etc"), entry("etc/old")]
CHANGE = [entry("etc/.wh.old"), entry("etc/new", content=b"new")]


def statuses(told: list[Progress]) -> list[str]:
    return [progress.status for progress in told]


def temporary(paths: Paths) -> list[str]:
    return os.listdir(paths.temporary)


def test_an_image_arrives_whole(pulled: Pull, push: Push, store: ImageStore, paths: Paths) -> None:
    told: list[Progress] = []
    name = push("whole:1", BASE, CHANGE, Cmd=["sh"], Env=["A=b"])
    image = pulled(name, told)
    assert image.names == (name,)
    assert [digest.rpartition("@")[0] for digest in image.digests] == [name.removesuffix(":1")]
    assert image.config.config.cmd == ("sh",)
    assert image.size == 10003
    lower, upper = (store.layers.diff(chain) for chain in image.layers)
    assert (lower / "bin/sh").read_bytes() == b"#!" * 5000
    assert (upper / "etc/old").is_char_device()
    assert temporary(paths) == []
    assert statuses(told)[0] == "Pulling from whole"
    assert statuses(told)[-1] == f"Status: Downloaded newer image for {name}"
    assert statuses(told)[-2] == "Digest: " + image.digests[0].partition("@")[2]
    for word in ("Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"):
        assert statuses(told).count(word) == 2


def test_the_second_time_nothing_is_fetched(pulled: Pull, push: Push, registry: Registry) -> None:
    name = push("twice:1", BASE)
    first = pulled(name)
    before = len([line for line in registry.requests() if "/blobs/" in line])
    told: list[Progress] = []
    assert pulled(name, told) == first
    blobs = [line for line in registry.requests() if "/blobs/" in line][before:]
    assert len(blobs) <= 1  # the config
    assert statuses(told)[1] == "Already exists"
    assert statuses(told)[-1] == f"Status: Image is up to date for {name}"


def test_shared_layers_are_fetched_once(pulled: Pull, push: Push, store: ImageStore) -> None:
    first = pulled(push("shared/a:1", BASE, CHANGE))
    told: list[Progress] = []
    second = pulled(push("shared/b:1", BASE, [entry("other")]), told)
    assert first.layers[0] == second.layers[0]
    assert [status for status in statuses(told) if status in ("Already exists", "Pulling fs layer")] == [
        "Already exists", "Pulling fs layer"]
    assert len(list(store.layers)) == 3


def test_the_same_layer_twice_in_one_image(pulled: Pull, push: Push, store: ImageStore) -> None:
    image = pulled(push("same:1", BASE, CHANGE, CHANGE))
    assert len(set(image.layers)) == 3
    assert all(store.layers.diff(chain).is_dir() for chain in image.layers)


def test_by_digest(pulled: Pull, push: Push) -> None:
    name = push("digest:1", BASE)
    digest = pulled(name).digests[0]
    told: list[Progress] = []
    other = pulled(digest, told)
    assert digest in other.digests
    assert told[0] == Progress(digest, "Pulling from digest")  # the whole name, as in Docker


def test_a_new_image_under_an_old_tag_leaves_the_old_one_dangling(pulled: Pull, push: Push, store: ImageStore) -> None:
    old = pulled(push("moving:1", BASE))
    new = pulled(push("moving:1", BASE, CHANGE))
    assert store.resolve(new.names[0]).id == new.id
    assert store.resolve(old.id).names == ()
    assert {image.id for image in store.list()} == {old.id, new.id}


def test_missing_tag_and_missing_platform(pulled: Pull, push: Push, store: ImageStore) -> None:
    name = push("there:1", BASE)
    with pytest.raises(NotFound, match="manifest unknown"):
        pulled(name.replace(":1", ":2"))
    with pytest.raises(NotFound, match="does not match the specified platform: wanted linux/s390x, actual: "):
        pulled(name, platform=Platform("linux", "s390x"))
    assert store.list() == []


def test_docker_schema_2_with_a_plain_layer(pulled: Pull, registry: Registry, push: Push, session_directory: Path,
                                            store: ImageStore) -> None:
    name = push("oci:1", BASE, CHANGE)
    plain = session_directory / "plain"
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", f"docker://{name}",
                    f"dir:{plain}", "--dest-decompress", "-f", "v2s2"], check=True)
    registry.push(f"dir:{plain}", "schema2:1", "--dest-decompress")
    shutil.rmtree(plain)
    image = pulled(registry.name("schema2:1"))
    assert image.manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert (store.layers.diff(image.layers[0]) / "etc/old").exists()
    assert pulled(name).layers == image.layers


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked"])
def test_a_zstd_image(compression: str, pulled: Pull, registry: Registry, store: ImageStore, session_directory: Path
                      ) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    layers = [[*BASE, entry("new", content=os.urandom(100))], CHANGE]  # what the registry knows is not compressed anew
    # skopeo 1.9 drops what Python's tarfile puts behind the end, up to a multiple of 10 KiB
    ended = (data[:-(-len(data.rstrip(b"\0")) // 512) * 512] + bytes(1024) for data in map(archive, layers))
    source = layout.tag("x", layout.image(ended))
    registry.push(source, "zstd:1", "--dest-compress-format", compression)
    image = pulled(registry.name("zstd:1"))
    [blob, _] = store.read(image.manifest.digest, Manifest).layers
    assert blob.media_type.endswith("+zstd")
    assert bool(blob.annotations) == (compression == "zstd:chunked")
    lower, upper = (store.layers.diff(chain) for chain in image.layers)
    assert (lower / "bin/sh").read_bytes() == b"#!" * 5000
    assert (upper / "etc/new").read_bytes() == b"new"


@pytest.fixture
def indexed(registry: Registry, session_directory: Path) -> str:
    """An index as BuildKit pushes it: an attestation beside each image, of which one is for linux/arm/v6."""
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    here, six = (layout.image([archive(layer)]) for layer in (BASE, [*BASE, entry("v6")]))
    attestation = layout.image([archive([entry("in-toto")])]) | {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    six |= {"platform": {"os": "linux", "architecture": "arm", "variant": "v6"}}
    registry.push(layout.tag("x", layout.index([attestation, six, here])), "indexed:1", "--all")
    return registry.name("indexed:1")


def test_an_index_gives_the_platforms_image(indexed: str, pulled: Pull, store: ImageStore) -> None:
    image = pulled(indexed, platform=Platform("linux", "amd64"))
    assert not (store.layers.diff(image.layers[0]) / "v6").exists()
    with pytest.raises(NotFound, match=r"no matching manifest for linux/s390x .*: there are linux/arm/v6, linux/amd64"):
        pulled(indexed, platform=Platform("linux", "s390x"))


def test_others_read_the_images_directory_in_place(pulled: Pull, push: Push, paths: Paths) -> None:
    name = push("layout:1", BASE, CHANGE)
    image = pulled(name)
    names = subprocess.run(["umoci", "ls", "--layout", paths.images], check=True, capture_output=True, text=True).stdout
    assert set(names.split()) == {name, *image.digests}
    subprocess.run(["skopeo", "inspect", f"oci:{paths.images}:{name}"], check=True, capture_output=True)


def test_a_damaged_left_over_blob_is_fetched_again(pulled: Pull, push: Push, store: ImageStore) -> None:
    name = push("damaged:1", BASE)
    image = pulled(name)
    blob = next(blob for blob in store.blobs if blob not in (image.id, image.manifest.digest))
    store.layers.remove(image.layers[0])
    good = store.blobs.path(blob).read_bytes()
    store.blobs.path(blob).write_bytes(good[:-20] + bytes(20))
    (store.paths.images / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    again = pulled(name)
    assert again.id == image.id
    assert store.blobs.path(blob).read_bytes() == good


def test_a_listener_that_left_ends_the_pull(push: Push, store: ImageStore, paths: Paths) -> None:
    reference = parse(push("left:1", [entry("big", content=os.urandom(8 << 20))], CHANGE))

    def leave(progress: Progress) -> None:
        if progress.status in ("Downloading", "Download complete"):
            raise BrokenPipeError

    with Repository(reference) as repository, pytest.raises(BrokenPipeError):
        pull(store, store.layers, repository, reference, None, leave)
    assert store.list() == []
    assert list(store.layers) == []
    assert all(name.startswith("partial-") for name in temporary(paths))
    with Repository(reference) as repository:
        assert pull(store, store.layers, repository, reference, None, lambda progress: None) in store.list()
    assert temporary(paths) == []


def test_a_registry_that_falls_silent_holds_nobody(store: ImageStore, paths: Paths) -> None:
    """Who leaves is noticed though there is nothing to tell him, and the next pull waits for nothing of his."""
    told: list[Progress] = []

    def leave(progress: Progress) -> None:
        told.append(progress)
        if progress == ANYBODY:
            raise PydockerError("the client has gone")

    layer = archive([entry("big", content=os.urandom(1 << 20))])
    content = gzip.compress(layer, 1, mtime=0)
    with Evil() as evil:
        evil.tag(evil.image(layer=layer, replies=(
            Reply(body=content, cut=1000, silent=True), Reply(body=content, ranges=True))))
        reference = parse(evil.name())
        with Repository(reference) as repository:
            with pytest.raises(PydockerError, match="the client has gone"):
                pull(store, store.layers, repository, reference, None, leave)
            [part] = paths.temporary.iterdir()  # and no lock, no draft, no lease
            assert part.read_bytes() == content[:1000]
            assert "Downloading" in [progress.status for progress in told]
            assert pull(store, store.layers, repository, reference, None, told.append) in store.list()
        assert [seen.headers.get("Range") for seen in evil.seen if part.name.partition("-")[2] in seen.path] == [
            None, "bytes=1000-"]


def test_a_layer_that_fails_waits_for_no_silent_one(store: ImageStore, paths: Paths) -> None:
    layers = [archive([entry("big", content=os.urandom(1 << 20))]), archive(CHANGE)]
    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    with Evil() as evil:
        silent = evil.image(layer=layers[0], replies=(Reply(raw=b"", silent=True),))
        wrong = evil.image(layer=layers[1], replies=(Reply(404),))
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
        evil.tag(silent | {"config": evil.blob(CONFIG, json.dumps(config).encode()),
                           "layers": silent["layers"] + wrong["layers"]})
        reference = parse(evil.name())
        with Repository(reference) as repository, pytest.raises(NotFound):
            pull(store, store.layers, repository, reference, None, lambda progress: None)
    assert temporary(paths) == []


def test_a_layer_above_the_ceiling_leaves_nothing(push: Push, pulled: Pull, paths: Paths) -> None:
    small = ImageStore(paths, ceiling=9_999)
    with pytest.raises(PydockerError, match="a layer of more than 9999 bytes: max-layer-size in"):
        pulled(push("ceiling:1", BASE), into=small)
    assert list(small.layers) == list(small.blobs) == temporary(paths) == []


@pytest.mark.parametrize("damage", [lambda blob: blob[:-100], lambda blob: blob[:99] + b"?" * 99 + blob[198:],
                                    lambda blob: b"", lambda blob: b"\x1f\x8b", lambda blob: b"\x28\xb5\x2f\xfd" * 9])
def test_a_damaged_stream_is_an_error_and_the_next_pull_works(
        damage: Callable[[bytes], bytes], registry: Registry, push: Push, pulled: Pull, store: ImageStore,
        session_directory: Path, paths: Paths) -> None:
    """CVE-2021-20291: one such layer stopped every later pull."""
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    content = archive([entry("a", content=os.urandom(5000))])
    image = layout.image([content])
    [layer] = json.loads((layout.blobs / image["digest"][7:]).read_bytes())["layers"]
    broken = damage((layout.blobs / layer["digest"][7:]).read_bytes())
    described = layout.blob(layer["mediaType"], broken)
    manifest = json.loads((layout.blobs / image["digest"][7:]).read_bytes()) | {"layers": [described]}
    registry.push(layout.tag("x", layout.blob(MANIFEST, json.dumps(manifest).encode())), "stream:1")
    with pytest.raises(PydockerError, match=r"damaged|unexpected end|layers from manifest don't match"):
        pulled(registry.name("stream:1"))
    assert list(store.layers) == list(store.blobs) == temporary(paths) == []
    assert pulled(push("stream:2", BASE)) in store.list()


def test_an_evil_layer_leaves_nothing(push: Push, pulled: Pull, store: ImageStore, paths: Paths) -> None:
    with pytest.raises(PydockerError, match="leads outside"):
        pulled(push("evil:1", BASE, [entry("../../evil", content=b"x")]))
    assert store.list() == []
    assert list(store.layers) == []
    assert temporary(paths) == []
