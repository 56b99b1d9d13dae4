"""`save` and `load` on a store of its own: what comes back, in every form that an archive has, and what is refused."""

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import resource
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import zstandard

from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError
from pydocker.images.archive_images import MOST_BYTES, MOST_IMAGES, Found, find
from pydocker.images.archive_load import load
from pydocker.images.archive_save import save
from pydocker.images.catalog import Catalog
from pydocker.images.committing import Told, commit
from pydocker.images.importing import import_
from pydocker.images.progress import Progress
from pydocker.images.store import ImageStore
from pydocker.layers import limits
from pydocker.layers.limits import ArchiveError
from pydocker.model.image import DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, Image, ImageDefaults, Manifest
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference, parse
from pydocker.paths import Paths
from tests.root.images.saved import Files, blob, config, layout, legacy, packed, pieces, sha
from tests.root.layers.archive import archive, described, entry, folder, hard, link

LOWER = archive([folder("."), folder("etc"), entry("etc/x", content=b"x" * 99), folder("old"), entry("old/file")])
UPPER = archive([folder("etc", mode=0o700), entry("etc/y", content=b"y"), entry("old/.wh.file")])
FOREIGN = "s390x"


def loaded(store: ImageStore, data: bytes, *platforms: Platform) -> list[str]:
    """The lines for a person."""
    return [step for step in load(store, pieces(data), platforms) if isinstance(step, str)]


def empty(store: ImageStore) -> bool:
    return store.list() == [] and [*store.layers, *store.blobs] == [] == os.listdir(store.paths.temporary)


def tree(store: ImageStore, image: Image) -> list[dict[str, tuple[object, ...]]]:
    """Without the whiteout, whose time is when it was made."""
    found = [described(store.layers.diff(chain)) for chain in image.layers]
    return [{name: facts for name, facts in files.items() if name != "old/file"} for files in found]


@pytest.fixture
def other(session_directory: Path, paths: Paths) -> ImageStore:
    """Another engine's store."""
    there = Paths(paths.data.with_name("other"), paths.run.with_name("other-run"))
    there.make()
    return ImageStore(there)


# -- there and back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_there_and_back_without_a_changed_byte(pack: Callable[[bytes], bytes], store: ImageStore,
                                               other: ImageStore) -> None:
    assert loaded(store, packed(layout(LOWER, UPPER, pack=pack))) == ["Loaded image: h.example/box:1"]
    image = store.resolve("h.example/box:1")
    store.tag(image, parse("box:2"))
    saved = b"".join(save(store, ["h.example/box", "box:2"]))
    assert saved == b"".join(save(store, ["h.example/box:1", "box:2", image.id]))
    assert loaded(other, saved) == ["Loaded image: h.example/box:1", "Loaded image: box:2"]
    again = other.resolve("box:2")
    assert (again.id, again.manifest, again.names) == (image.id, image.manifest, ("box:2", "h.example/box:1"))
    assert set(other.blobs) == set(store.blobs)
    assert tree(other, again) == tree(store, image)
    assert os.listdir(store.paths.temporary) == os.listdir(other.paths.temporary) == []


def test_what_a_saved_archive_has(store: ImageStore) -> None:
    loaded(store, packed(layout(LOWER, UPPER)))
    image = store.resolve("h.example/box:1")
    with tarfile.open(fileobj=io.BytesIO(b"".join(save(store, ["h.example/box:1"])))) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
    assert all(path == f"blobs/sha256/{sha(files[path])}" for path in files if path.startswith("blobs/"))
    saved, = json.loads(files["manifest.json"])
    assert (saved["Config"], saved["RepoTags"]) == (f"blobs/sha256/{image.id[7:]}", ["h.example/box:1"])
    assert [gzip.decompress(files[path]) for path in saved["Layers"]] == [LOWER, UPPER]
    named, = json.loads(files["index.json"])["manifests"]
    assert named == {"mediaType": DOCKER_MANIFEST, "digest": image.manifest.digest, "size": image.manifest.size,
                     "annotations": {"io.containerd.image.name": "h.example/box:1",
                                     "org.opencontainers.image.ref.name": "1"}}
    assert json.loads(files["repositories"]) == {"h.example/box": {"1": saved["Layers"][1].rpartition("/")[2]}}


def test_an_image_without_names(store: ImageStore, other: ImageStore) -> None:
    assert loaded(store, packed(layout(LOWER, name=""))) == [f"Loaded image ID: {(image := store.list()[0]).id}"]
    assert loaded(other, b"".join(save(store, [image.id]))) == [f"Loaded image ID: {image.id}"]
    assert other.list()[0].names == ()


def test_what_cannot_be_saved(store: ImageStore) -> None:
    loaded(store, packed(layout(LOWER)))
    image = store.resolve("h.example/box:1")
    with pytest.raises(NotFound, match="No such image: nothing:latest"):
        next(save(store, ["h.example/box:1", "nothing"]))
    with pytest.raises(InvalidParameter, match="no image was named"):
        next(save(store, []))
    with pytest.raises(NotFound, match="does not match the specified platform: wanted linux/s390x, actual: linux/amd"):
        next(save(store, ["h.example/box:1"], [Platform("linux", FOREIGN)]))
    layer = store.blobs.path(store.read(image.manifest.digest, Manifest).layers[0].digest)
    content = bytearray(layer.read_bytes())
    content[100] ^= 1
    layer.write_bytes(content)
    with pytest.raises(PydockerError, match=r"damaged blob .*: its content has another digest"):
        list(save(store, ["h.example/box:1"]))
    layer.unlink()
    with pytest.raises(NotFound, match=r"blob sha256:.* is missing"):
        next(save(store, ["h.example/box:1"]))
    assert os.listdir(store.paths.temporary) == []


def test_a_removal_beside_a_save_waits_with_the_blobs(store: ImageStore, other: ImageStore) -> None:
    loaded(store, packed(layout(LOWER)))
    stream = save(store, ["h.example/box:1"])
    first = next(stream)
    store.remove("h.example/box:1", force=False, users=lambda id: [])
    assert loaded(other, first + b"".join(stream)) == ["Loaded image: h.example/box:1"]
    store.collect()
    assert empty(store)


# -- the forms of archives -------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, lzma.compress, bz2.compress],
                         ids=["plain", "gzip", "zstd", "xz", "bzip2"])
def test_an_older_dockers_archive_compressed_as_one_likes(pack: Callable[[bytes], bytes], store: ImageStore) -> None:
    assert loaded(store, pack(packed(legacy(LOWER, UPPER, names=("box:1", "a/b:latest"))))) == [
        "Loaded image: box:1", "Loaded image: a/b:latest"]
    image = store.resolve("a/b")
    assert image.id == f"sha256:{sha(config(LOWER, UPPER))}"
    layers = store.read(image.manifest.digest, Manifest).layers
    assert [gzip.decompress(store.blobs.read(layer.digest)) for layer in layers] == [LOWER, UPPER]
    assert (store.layers.diff(image.layers[1]) / "etc/y").read_bytes() == b"y"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, lzma.compress, bz2.compress],
                         ids=["plain", "gzip", "zstd", "xz", "bzip2"])
def test_layers_compressed_as_one_likes(pack: Callable[[bytes], bytes], store: ImageStore) -> None:
    files = layout(LOWER, UPPER, pack=pack)
    loaded(store, packed(files))
    image = store.resolve("h.example/box:1")
    kept = f"blobs/sha256/{image.manifest.digest[7:]}" in files
    assert kept is (pack in (gzip.compress, zstandard.compress))
    assert {path.stat().st_mode & 0o777 for path in (store.layers.diff(image.layers[1]) / "etc",)} == {0o700}


def test_documents_first_or_last(store: ImageStore, other: ImageStore) -> None:
    files = layout(LOWER, UPPER)
    loaded(store, packed(files))
    loaded(other, packed(dict(reversed(files.items()))))
    assert set(store.blobs) == set(other.blobs)


def test_links_between_layers(store: ImageStore) -> None:
    """Docker wrote a layer that two images share once, and a symbolic link for each other image."""
    files = legacy(LOWER)
    path = f"{0:064x}/layer.tar"
    files[f"{1:064x}/layer.tar"] = files.pop(path)
    assert loaded(store, packed(files, link(path, f"../{1:064x}/layer.tar"))) == ["Loaded image: box:1"]
    files["manifest.json"] = files["manifest.json"].replace(path.encode(), b"hard.tar")
    assert loaded(store, packed(files, hard("hard.tar", f"{1:064x}/layer.tar"))) == ["Loaded image: box:1"]


def test_a_layer_of_no_bytes_at_all(store: ImageStore) -> None:
    """What Docker imports from an empty stream, and saves again."""
    assert loaded(store, packed(legacy(b"", LOWER))) == ["Loaded image: box:1"]


def test_more_layers_than_descriptors(store: ImageStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    try:
        layers = [archive([entry(f"x{number}")]) for number in range(30)]
        assert loaded(store, packed(legacy(*layers))) == ["Loaded image: box:1"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_same_layer_twice_on_different_ones(store: ImageStore) -> None:
    files = legacy(UPPER, LOWER, UPPER)
    manifest = json.loads(files["manifest.json"])
    first = manifest[0]["Layers"][0]
    del files[manifest[0]["Layers"][2]]
    manifest[0]["Layers"][2] = first
    files["manifest.json"] = json.dumps(manifest).encode()
    loaded(store, packed(files))
    image = store.resolve("box:1")
    assert [sorted(os.listdir(store.layers.diff(chain))) for chain in image.layers] == [
        ["etc", "old"], ["etc", "old"], ["etc", "old"]]
    assert len(set(image.layers)) == 3


def test_several_images_one_of_them_here_already(store: ImageStore) -> None:
    loaded(store, packed(legacy(LOWER, names=("box:1",))))
    old = store.resolve("box:1").id
    both = legacy(LOWER, UPPER, names=("box:1",))
    more = legacy(LOWER, names=("again:1",), settings=config(LOWER, author="me"))
    manifest = json.loads(both["manifest.json"]) + json.loads(more["manifest.json"])
    assert loaded(store, packed(more | both | {"manifest.json": json.dumps(manifest).encode()})) == [
        f"The image box:1 already exists, renaming the old one with ID {old} to empty string",
        "Loaded image: box:1", "Loaded image: again:1"]
    assert {image.names for image in store.list()} == {(), ("box:1",), ("again:1",)}


def test_a_layer_that_is_here_is_not_read_again(store: ImageStore) -> None:
    files = layout(LOWER, UPPER)
    first = [step for step in load(store, pieces(packed(files))) if isinstance(step, Progress)]
    assert [(step.status, step.current) for step in first] == [
        ("Loading layer", len(gzip.compress(LOWER))), ("Loading layer", len(gzip.compress(UPPER)))]
    assert list(load(store, pieces(packed(files)))) == ["Loaded image: h.example/box:1"]


def test_an_image_that_is_here_stays_as_a_registry_sent_it(store: ImageStore) -> None:
    loaded(store, packed(layout(LOWER, UPPER)))
    before = store.resolve("h.example/box:1"), set(store.blobs)
    assert loaded(store, packed(legacy(LOWER, UPPER))) == ["Loaded image: box:1"]
    assert (store.resolve("box:1").manifest, set(store.blobs)) == (before[0].manifest, before[1])


def test_platforms(store: ImageStore) -> None:
    files: Files = {}
    entries = []
    for architecture, layer in ((FOREIGN, LOWER), ("amd64", UPPER)):
        part = layout(layer, settings=config(layer, architecture=architecture))
        entries += [json.loads(part["index.json"])["manifests"][0] | {
            "platform": {"os": "linux", "architecture": architecture}}]
        files |= part
    attestation = blob(files, b"{}", DOCKER_MANIFEST) | {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [*entries, attestation]}).encode()
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        blob(files, index, "application/vnd.oci.image.index.v1+json") | {
            "annotations": {"io.containerd.image.name": "docker.io/library/multi:1"}}]}).encode()
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64"):
        loaded(store, packed(files), Platform("linux", "riscv64"))
    assert empty(store)
    assert loaded(store, packed(files)) == ["Loaded image: multi:1"]
    assert store.resolve("multi:1").config.architecture == "amd64"
    loaded(store, packed(files), Platform("linux", FOREIGN))
    assert store.resolve("multi:1").config.architecture == FOREIGN
    files["index.json"] = index  # the same names and platforms, one level higher
    assert loaded(store, packed(files)) == ["Loaded image: h.example/box:1"]
    assert store.resolve("h.example/box:1").config.architecture == "amd64"


def test_an_archive_of_dockers_for_another_platform(store: ImageStore) -> None:
    data = packed(legacy(LOWER, settings=config(LOWER, architecture=FOREIGN)))
    with pytest.raises(NotFound, match=f"no image for linux/amd64 in the archive: it has linux/{FOREIGN}"):
        loaded(store, data, Platform("linux", "amd64"))
    assert loaded(store, data) == ["Loaded image: box:1"]


# -- what is no archive, and what is worse ---------------------------------------------------------------

TWICE = layout(LOWER)
SETTINGS = config(LOWER)


def replaced(files: Files, **changes: object) -> Files:
    """`files` with other fields in the one image of manifest.json."""
    return {**files, "manifest.json": json.dumps([json.loads(files["manifest.json"])[0] | changes]).encode()}


def nested() -> Files:
    files = layout(LOWER)
    for _ in range(2):
        descriptor = blob(files, files["index.json"], "application/vnd.oci.image.index.v1+json")
        files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
    return files


def many(count: int) -> bytes:
    """An index.json with so many names for TWICE's image."""
    [descriptor] = json.loads(TWICE["index.json"])["manifests"]
    names = [{"org.opencontainers.image.ref.name": f"a:{at}"} for at in range(count)]
    return json.dumps({"schemaVersion": 2, "manifests": [
        descriptor | {"annotations": name} for name in names]}).encode()


WRONG: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not an archive of images: no manifest.json, no index.json"),
    "other words": (b"no archive" * 200, "invalid tar header"),
    "a root file system": (LOWER, "not an archive of images"),
    "cut in a layer": (packed(legacy(LOWER))[:4000], "unexpected end of archive"),
    "cut gzip": (gzip.compress(packed(legacy(LOWER)))[:-50], "damaged gzip stream"),
    "cut zstd": (zstandard.compress(packed(legacy(LOWER)))[:-9], "damaged zstd stream"),
    "cut xz": (lzma.compress(packed(legacy(LOWER)))[:-50], "damaged xz stream"),
    "cut bzip2": (bz2.compress(packed(legacy(LOWER)))[:-50], "damaged bzip2 stream"),
    "cut behind a file": (packed(legacy(LOWER))[:1024], "not an archive of images"),
    "a file twice": (packed(TWICE, entry("index.json", content=b"{}")), "index.json: stands in the archive twice"),
    "absolute path": (packed(TWICE, entry("/etc/x")), "'/etc/x': leads out of the archive"),
    "path to above": (packed(TWICE, entry("a/../../x")), "'a/../../x': leads out of the archive"),
    "path with dots": (packed(TWICE, entry("a/../x")), "'x': leads out of a directory"),
    "link to above": (packed(TWICE, link("a/l", "../../x")), "a/l: '../../x': leads out of the archive"),
    "absolute link": (packed(TWICE, link("l", "/etc/passwd")), "l: '/etc/passwd': leads out of the archive"),
    "hard link to above": (packed(TWICE, hard("l", "../x")), "l: '../x': leads out of the archive"),
    "device": (packed(TWICE, entry("d", tarfile.CHRTYPE)), "d: neither a file nor a directory nor a link"),
    "FIFO": (packed(TWICE, entry("f", tarfile.FIFOTYPE)), "f: neither a file"),
    "no UTF-8": (packed(TWICE, entry("\udcff")), r"is not UTF-8"),
    "link in a circle": (packed(replaced(legacy(LOWER), Layers=["a"]), link("a", "b"), link("b", "a")),
                         "a: is not in the archive"),
    "config elsewhere": (packed(replaced(legacy(LOWER), Config="../../x")), "'../../x': leads out of the archive"),
    "layer elsewhere": (packed(replaced(legacy(LOWER), Layers=["/etc/passwd"])), "'/etc/passwd': leads out"),
    "no config": (packed(replaced(legacy(LOWER), Config="x.json")), "x.json: is not in the archive"),
    "no layer": (packed(replaced(legacy(LOWER), Layers=["x/layer.tar"])), "x/layer.tar: is not in the archive"),
    "document as layer": (packed(replaced(legacy(LOWER), Layers=["repositories"])),
                          "repositories: is not a tar archive"),
    "layer as config": (packed(replaced(legacy(LOWER), Config=f"{0:064x}/layer.tar")), "is a layer, where a document"),
    "too many layers": (packed(replaced(legacy(LOWER), Layers=[f"{0:064x}/layer.tar"] * 2)),
                        "layers length mismatch: expected 1, got 2"),
    "another layer": (packed(legacy(UPPER, settings=SETTINGS)), 'layer.tar: invalid diffID for layer 0: expected "sha'),
    "name of nothing": (packed(legacy(LOWER, names=("a b",))), "manifest.json: 'a b': invalid reference format"),
    "name without tag": (packed(legacy(LOWER, names=("a",))), "manifest.json: invalid tag 'a'"),
    "name with digest": (packed(legacy(LOWER, names=(f"a@sha256:{0:064x}",))), "manifest.json: invalid tag"),
    "name of an id": (packed(legacy(LOWER, names=("../../x:1",))), "manifest.json: '../../x:1': invalid reference"),
    "other manifest.json": (packed({"manifest.json": b'{"a": 1}'}), "manifest.json: not a valid document"),
    "deep manifest.json": (packed({"manifest.json": b"[" * 100000}), "manifest.json: not a valid document"),
    "other config": (packed(legacy(LOWER, settings=b'{"os": 1}')), r"[0-9a-f]{64}.json: image config .* not a valid"),
    "other index.json": (packed({**TWICE, "index.json": b'{"schemaVersion": 2}'}), "index.json: manifest sha256"),
    "ambiguous index.json": (packed({**TWICE, "index.json": b'{"schemaVersion":2,"manifests":[],"layers":[]}'}),
                             "ambiguous document"),
    "no image in index.json": (packed({**TWICE, "index.json": b'{"schemaVersion":2,"manifests":[]}'}),
                               "index.json: no image in it"),
    "index in an index": (packed(nested()), "an index inside an index is not supported"),
    "wrong blob": (packed({**TWICE, f"blobs/sha256/{0:064x}": b"{}"}),
                   f"blobs/sha256/{0:064x}: its content has the digest sha256:{sha(b'{}')}"),
    "wrong layer": (packed({**layout(LOWER), f"blobs/sha256/{sha(gzip.compress(LOWER))}": gzip.compress(UPPER)}),
                    "its content has the digest sha256:"),
    "layer of a blob's name": (packed({**legacy(LOWER), f"blobs/sha256/{0:064x}": UPPER}
                                      | {"manifest.json": replaced(legacy(UPPER), Layers=[f"blobs/sha256/{0:064x}"],
                                         Config=f"{sha(SETTINGS)}.json")["manifest.json"]}),
                               f"blobs/sha256/{0:064x}: its content has the digest sha256:{sha(UPPER)}"),
    "large index.json": (packed({**TWICE, "index.json": b" " * (5 << 20)}), "index.json: 5242880 bytes, at most 4194"),
    "layer that leads out": (packed(legacy(evil := archive([link("x", "/etc"), entry("x/../../y")]))),
                             "layer.tar: .*x/../../y"),
    "damaged layer": (packed(legacy(LOWER) | {f"{0:064x}/layer.tar": gzip.compress(LOWER)[:-30]}),
                      "layer.tar: damaged gzip stream"),
    "Docker before 1.10": (packed({"repositories": b"{}", "x/json": b"{}"}), "an archive of Docker before 1.10"),
    "name like an id": (packed(legacy(LOWER, names=("sha256:x",))),
                        "manifest.json: refusing to create an ambiguous tag using .*: sha256:x"),
    "name like an id in index.json": (packed(layout(LOWER, name="docker.io/library/sha256:x")),
                                      "index.json: refusing to create an ambiguous tag using .*: sha256:x"),
    "more images than there may be": (packed({"c": SETTINGS, "manifest.json": b'[%s{"Config":"c"}]' % (
        b'{"Config":"c"},' * MOST_IMAGES)}), f"manifest.json: {MOST_IMAGES + 1} images or names of images, at most"),
    "more names than there may be": (packed(legacy(LOWER, names=("a:1",) * (MOST_IMAGES + 1))),
                                     f"manifest.json: {MOST_IMAGES + 1} images or names of images, at most"),
    "more names in index.json": (packed({**TWICE, "index.json": many(MOST_IMAGES + 1)}),
                                 f"index.json: {MOST_IMAGES + 1} images or names of images, at most"),
    "for another platform": (packed(layout(LOWER, platform={"os": "linux", "architecture": FOREIGN})),
                             "no matching manifest for linux/"),
    "for another system": (packed(legacy(LOWER, settings=config(LOWER, os="windows"))),
                           'image operating system "windows" cannot be used on this platform'),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_in_one_line_and_nothing_stored(name: str, store: ImageStore) -> None:
    data, words = WRONG[name]
    with pytest.raises((ArchiveError, NotFound, NotSupported), match=words) as caught:
        loaded(store, data)
    assert "\n" not in str(caught.value)
    assert empty(store)


def counted(files: Files) -> tuple[list[Found], dict[str, int]]:
    """The images that these documents describe, and how often each document was read."""
    read: dict[str, int] = {}

    class Counting(Files):
        def document(self, path: str) -> bytes:
            read[path] = read.get(path, 0) + 1
            return self[path]

    return find(Counting(files)), read


def test_a_config_of_many_images_is_read_once_and_kept_once() -> None:
    saved = [{"Config": "c", "RepoTags": [f"a:{at}"]} for at in range(1000)]
    images, read = counted({"c": config(), "manifest.json": json.dumps(saved).encode()})
    assert ([len(image.names) for image in images], read) == ([1000], {"manifest.json": 1, "c": 1})
    images, read = counted(TWICE | {"index.json": many(1000)})
    assert [len(image.names) for image in images] == [1000]
    assert read[f"blobs/sha256/{sha(SETTINGS)}"] == 1 == max(read.values())


def test_large_configs_that_small_documents_name_again_and_again() -> None:
    large = config(author="x" * ((4 << 20) - 300))
    saved = [{"Config": f"{'./' * at}c", "Layers": []} for at in range(3)]
    assert len(counted({"c": large, "manifest.json": json.dumps(saved).encode()})[0]) == 1
    paths = [f"c{at}" for at in range(9)]
    files = dict.fromkeys(paths, large) | {"manifest.json": json.dumps([{"Config": path} for path in paths]).encode()}
    with pytest.raises(ArchiveError, match=rf"c8: with this, the images' documents have more than {MOST_BYTES} bytes"):
        counted(files)
    files, entries = {}, []
    for at in range(9):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "annotations": {"a": str(at)},
                               "config": blob(files, large, DOCKER_CONFIG), "layers": []}).encode()
        entries.append(blob(files, manifest, DOCKER_MANIFEST))
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    with pytest.raises(ArchiveError, match="with this, the images' documents have more than"):
        counted(files)


def test_an_index_that_is_named_again_and_again_is_read_once() -> None:
    """Of an archive that has manifest.json, too."""
    files = layout()
    [manifest] = json.loads(files["index.json"])["manifests"]
    inner = json.dumps({"schemaVersion": 2, "manifests": [manifest] * 300}).encode()
    descriptor = blob(files, inner, "application/vnd.oci.image.index.v1+json")
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor] * 300}).encode()
    settings = f"blobs/sha256/{sha(config())}"
    files["manifest.json"] = json.dumps([{"Config": settings}]).encode()
    [image], read = counted(files)
    assert image.original is not None and image.original.fetched.digest == manifest["digest"]
    assert max(read.values()) == 1


class Full(ImageStore):
    """A store whose disk is full when index.json is written."""

    def add_all(self, images: Iterable[tuple[Descriptor, Iterable[Reference]]]) -> Catalog:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.timeout(60)  # its failure is that the layers' removal waits for itself, for ever
def test_a_disk_that_is_full_when_the_image_gets_its_name(store: ImageStore) -> None:
    full = Full(store.paths)
    with pytest.raises(PydockerError, match="load: no space left on device"):
        loaded(full, packed(legacy(LOWER, UPPER)))
    assert empty(store)
    with pytest.raises(PydockerError, match="import: no space left on device"):
        import_(full, pieces(LOWER))
    assert empty(store)
    loaded(store, packed(legacy(LOWER)))
    parent, before = store.resolve("box:1"), (set(store.layers), set(store.blobs))
    told = Told(defaults=ImageDefaults())
    with pytest.raises(PydockerError, match="commit: no space left on device"):
        commit(full, parent, pieces(UPPER), told, parse("new"))
    with pytest.raises(InvalidParameter, match="refusing to create an ambiguous tag"):
        commit(store, parent, unread(), told, parse("sha256:x"))
    assert (set(store.layers), set(store.blobs), os.listdir(store.paths.temporary)) == (*before, [])
    assert commit(store, parent, pieces(UPPER), told, parse("new")).names == ("new:latest",)


def unread() -> Iterator[bytes]:
    raise AssertionError("read for nothing")
    yield b""


def test_a_layer_that_no_image_has_may_be_anything(store: ImageStore) -> None:
    chart = gzip.compress(b"no tar at all" * 100)
    files = layout(LOWER) | {f"blobs/sha256/{sha(chart)}": chart, "large.json": b" " * (5 << 20)}
    assert loaded(store, packed(files)) == ["Loaded image: h.example/box:1"]
    assert f"sha256:{sha(chart)}" not in set(store.blobs)


@pytest.mark.parametrize("pack", [zstandard.compress, lzma.compress, bz2.compress], ids=["zstd", "xz", "bzip2"])
def test_bombs(pack: Callable[[bytes], bytes], store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2017-14992. (That of a layer in gzip or zstd is the unpacker's to judge: tests/root/layers/test_evil.py.)"""
    monkeypatch.setattr(limits, "FLOOR", 1 << 20)
    with pytest.raises(ArchiveError, match=r"more than \d+ bytes of content in \d+ compressed ones"):
        loaded(store, bomb := pack(bytes(1 << 25)))
    if pack != zstandard.compress:  # that is stored as it is, and unpacked elsewhere
        with pytest.raises(ArchiveError, match=r"more than \d+ bytes of content in \d+ compressed ones"):
            import_(store, pieces(bomb))
    assert empty(store)


def test_a_client_that_goes_away(store: ImageStore) -> None:
    class Gone(PydockerError):
        pass

    def cut(data: bytes) -> Iterator[bytes]:
        yield from pieces(data[:len(data) // 2])
        raise Gone("the client has gone")

    with pytest.raises(Gone):
        list(load(store, cut(packed(layout(LOWER, UPPER)))))
    steps = load(store, pieces(packed(layout(LOWER, UPPER))))
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert empty(store)
