"""`import`, `tag`, `rmi` and the questions in between, on a store of its own."""

import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from pydocker.errors import Conflict, InvalidParameter, NotFound
from pydocker.images import leases
from pydocker.images.importing import import_
from pydocker.images.store import ImageStore
from pydocker.layers.limits import ArchiveError
from pydocker.model.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Image, Manifest
from pydocker.model.reference import parse
from pydocker.paths import Paths
from tests.root.layers.archive import archive, entry, folder

ROOT = archive([folder("."), folder("bin"), entry("bin/sh", content=b"#!", mode=0o755),
                entry("etc/x", content=b"x" * 99)])


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[at:at + size] for at in range(0, len(data), size))


def nobody(image: object) -> list[str]:
    return []


@pytest.fixture
def image(store: ImageStore) -> Image:
    return import_(store, pieces(ROOT), parse("box"), ['CMD ["sh"]', "ENV A=b"], "made here")


def test_what_an_import_makes(image: Image, store: ImageStore, paths: Paths) -> None:
    assert image.names == ("box:latest",)
    assert image.size == 101
    assert (image.config.config.cmd, image.config.config.env) == (("sh",), ("A=b",))
    assert image.config.history[0].comment == "made here"
    assert (store.layers.diff(image.layers[0]) / "bin/sh").read_bytes() == b"#!"
    assert store.resolve("box") == image
    assert os.listdir(paths.temporary) == []


@pytest.mark.parametrize(("pack", "media_type", "verbatim"), [
    (gzip.compress, OCI_LAYER_GZIP, True), (zstandard.compress, OCI_LAYER_ZSTD, True),
    (lzma.compress, OCI_LAYER_GZIP, False), (bytes, OCI_LAYER_GZIP, False),
], ids=["gzip", "zstd", "xz", "plain"])
def test_the_blob_is_as_it_came_where_others_can_read_that(
        pack: Callable[[bytes], bytes], media_type: str, verbatim: bool, store: ImageStore) -> None:
    data = pack(ROOT)
    image = import_(store, pieces(data, 3))
    layer = store.read(image.manifest.digest, Manifest).layers[0]
    assert layer.media_type == media_type
    assert (store.blobs.read(layer.digest) == data) is verbatim
    assert image.names == ()
    assert len(image.layers) == 1


@pytest.mark.parametrize("data", [b"no archive" * 200, gzip.compress(ROOT)[:-100], ROOT[:600]],
                         ids=("other words", "cut gzip", "cut tar"))
def test_what_is_no_archive_leaves_nothing(data: bytes, store: ImageStore, paths: Paths) -> None:
    with pytest.raises(ArchiveError):
        import_(store, pieces(data), parse("bad"))
    assert store.list() == []
    assert list(store.layers) == list(store.blobs) == os.listdir(paths.temporary) == []


def test_refused_before_anything_is_read(store: ImageStore) -> None:
    with pytest.raises(InvalidParameter, match="cannot import digest reference"):
        import_(store, pieces(b""), parse("x@sha256:" + "a" * 64))
    with pytest.raises(InvalidParameter, match="run is not a valid change command"):
        import_(store, pieces(b""), None, ["RUN x"])


def test_every_way_to_name_an_image(image: Image, store: ImageStore) -> None:
    store.tag(image, parse("h.example:5000/a/b:1"))
    digits = image.id.removeprefix("sha256:")
    for name in ("box", "box:latest", "docker.io/library/box", "h.example:5000/a/b:1", image.id, digits, digits[:12],
                 f"sha256:{digits[:5]}", digits[:1]):
        assert store.resolve(name).id == image.id, name


@pytest.mark.parametrize(("name", "words"), [
    ("nothing", "No such image: nothing:latest"), ("box:2", "No such image: box:2"),
    ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64), ("0" * 64, "No such image: " + "0" * 64),
])
def test_names_of_nothing(name: str, words: str, image: Image, store: ImageStore) -> None:
    with pytest.raises(NotFound) as caught:
        store.resolve(name)
    assert str(caught.value) == words


@pytest.mark.parametrize(("name", "words"), [
    ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
    ("../../etc", "invalid reference format"), ("", "invalid reference format"),
])
def test_what_no_image_can_be_called(name: str, words: str, store: ImageStore) -> None:
    with pytest.raises(InvalidParameter) as caught:
        store.resolve(name)
    assert str(caught.value) == words


def test_an_ambiguous_prefix_is_no_name(store: ImageStore) -> None:
    images = [import_(store, pieces(ROOT), None, [f"LABEL n={at}"]) for at in range(17)]
    first = {}
    shared = next(digit for image in images if (digit := image.id[7]) in first or first.update({digit: 1}))
    with pytest.raises(NotFound):
        store.resolve(shared)
    assert len({image.layers for image in images}) == 1


def test_removal_frees_exactly_what_nobody_else_has(image: Image, store: ImageStore) -> None:
    other = import_(store, pieces(ROOT), parse("other"), ["USER 1"])
    assert other.layers == image.layers
    removed = store.remove("box", force=False, users=nobody)
    assert removed == [("Untagged", "box:latest"), ("Deleted", image.id)]
    assert store.layers.has(image.layers[0])
    assert store.remove("other", force=False, users=nobody) == [
        ("Untagged", "other:latest"), ("Deleted", other.id), ("Deleted", other.layers[0])]
    assert list(store.layers) == list(store.blobs) == []


def test_a_stopped_containers_layers_outlive_their_image(image: Image, store: ImageStore, paths: Paths) -> None:
    container = paths.container("c" * 64)
    container.mkdir()
    (container / "config.json").write_text(json.dumps({"layers": image.layers, "name": "x"}))
    with pytest.raises(Conflict):
        store.remove("box", force=False, users=lambda id: ["c" * 64], running=lambda id: False)
    store.remove("box", force=True, users=lambda id: ["c" * 64], running=lambda id: False)
    assert store.list() == []
    store.sweep()
    assert store.layers.has(image.layers[0])
    (container / "config.json").unlink()
    store.sweep()
    assert not store.layers.has(image.layers[0])


def test_what_a_pull_in_progress_needs_is_spared(image: Image, store: ImageStore, paths: Paths) -> None:
    with leases.lease(paths.temporary, [image.layers[0]]):
        store.remove("box", force=False, users=nobody)
        assert store.layers.has(image.layers[0])
    store.sweep()
    assert not store.layers.has(image.layers[0])


def test_a_void_lease_is_taken_away(store: ImageStore, paths: Paths) -> None:
    for name in ("lease-dead", "terms-dead"):
        (paths.temporary / name).write_text('["sha256:x"]')
    assert leases.leased(paths.temporary) == frozenset()
    store.sweep()
    assert os.listdir(paths.temporary) == []


def test_a_sweep_keeps_what_is_named(image: Image, store: ImageStore, paths: Paths) -> None:
    (paths.temporary / "blob-dead").write_text("x")
    store.blobs.add(b"orphan")
    blobs = set(store.blobs)
    store.sweep()
    assert os.listdir(paths.temporary) == []
    assert len(blobs) == len(set(store.blobs)) + 1
    assert ImageStore(paths).resolve("box") == image


def test_a_damaged_blob_is_named(image: Image, store: ImageStore) -> None:
    store.blobs.path(image.id).write_bytes(b"{}")
    import_(store, [archive([folder("other")])], parse("other"))
    store = ImageStore(store.paths)
    with pytest.raises(Exception, match=r"damaged blob .*: its content has another digest"):
        store.resolve("box")
    assert [other.names for other in store.list()] == [("other:latest",)]  # the others are as good as before
    with pytest.raises(Exception, match=r"damaged blob .*: its content has another digest"):
        store.collect()  # what the damaged one needs is not known: nothing is removed
    store.sweep()
    assert store.resolve("other").size == 0


def test_tagging(image: Image, store: ImageStore) -> None:
    with pytest.raises(InvalidParameter, match="refusing to create a tag with a digest reference"):
        store.tag(image, parse("x@sha256:" + "a" * 64))
    for taken in ("sha256:abc", image.id):  # an archive must not name its image like another one's id
        with pytest.raises(InvalidParameter, match=r"ambiguous tag|invalid"):
            store.tag(image, parse(taken))
        with pytest.raises(InvalidParameter, match=r"ambiguous tag|invalid"):
            store.add(image.manifest, [parse(taken)])
        with pytest.raises(InvalidParameter, match=r"ambiguous tag|invalid"):
            import_(store, [b""], parse(taken))
    store.tag(image, parse("again"))
    assert store.resolve("again").names == ("again:latest", "box:latest")  # by name, as Docker lists them


def test_the_directories_are_roots_alone(image: Image, store: ImageStore, paths: Paths) -> None:
    """CVE-2021-41091: a setuid file in a layer must not be within the reach of the host's users."""
    for path in (paths.data, paths.images, paths.layers, store.layers.diff(image.layers[0]).parent):
        assert Path(path).stat().st_mode & 0o077 == 0, path
