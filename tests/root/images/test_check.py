"""`system check`: whatever is broken on disk is found and named, and what can be mended is as it was before."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from pydocker.cli.phrases import decimal_size
from pydocker.errors import Conflict
from pydocker.images import usage
from pydocker.images.store import ImageStore
from pydocker.layers.overlay import MountOverlay
from pydocker.model.digest import Digest
from pydocker.paths import Paths
from pydocker.storage import locks
from pydocker.upkeep import remains, unpacked
from pydocker.upkeep.findings import Finding, Summary
from tests.engine import Engine, Result
from tests.root.images.conftest import Pull, Push
from tests.root.layers.archive import described, entry, folder

BASE = [folder("."), folder("bin"), entry("bin/sh", content=b"#!" * 5000, mode=0o4755, uid=7),
        entry("etc/old"), entry("srv/data", content=b"data")]
CHANGE = [entry("etc/.wh.old"), entry("srv/deep/new", content=b"new"), folder("var", mode=0o1777)]


@pytest.fixture
def image(engine: Engine, push: Push) -> str:
    """Two layers, of which the upper one walks through directories that it does not name."""
    name = push("checked:1", BASE, CHANGE, Cmd=["sh"])
    engine.ok("pull", name)
    return name


@pytest.fixture
def store(engine: Engine) -> ImageStore:
    """The engine's own, looked at from outside."""
    return ImageStore(Paths(*engine.roots))


def checked(engine: Engine, *flags: str) -> Result:
    return engine.pydocker("system", "check", *flags)


def well(engine: Engine) -> None:
    said = checked(engine)
    assert said.code == 0, said.out
    assert said.out.endswith("all is well\n")


def mended(engine: Engine, *problems: str) -> None:
    """Each of these is found, and then mended, and then all is well."""
    said = checked(engine)
    assert said.code == 2
    for problem in problems:
        assert problem in said.out
    said = checked(engine, "--repair")
    assert (said.code, "not mended" in said.out) == (0, False), said.out
    well(engine)


def test_all_is_well(engine: Engine, image: str) -> None:
    well(engine)
    said = checked(engine, "--repair")
    assert (said.code, said.err) == (0, "")


def damage(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(3)
        file.write(b"X")


@pytest.mark.parametrize(("change", "problem"), [
    (lambda lower, upper: damage(lower / "bin/sh"), "bin/sh: its content"),
    (lambda lower, upper: (lower / "bin/sh").chmod(0o755), "bin/sh: its mode is 0755, not 4755"),
    (lambda lower, upper: os.chown(lower / "srv/data", 1, 2), "srv/data: its owner is 1:2, not 0:0"),
    (lambda lower, upper: (lower / "srv/data").unlink(), "srv/data: is missing"),
    (lambda lower, upper: (upper / "etc/old").unlink(), "etc/old: is missing"),
    (lambda lower, upper: (upper / "x").write_text(""), "x: does not belong to the layer"),
    (lambda lower, upper: shutil.rmtree(upper), "is missing"),
    (lambda lower, upper: shutil.rmtree(upper.parent), "is missing"),
    (lambda lower, upper: (upper.parent / "record.json").unlink(), "its record: no such layer"),
    (lambda lower, upper: (upper.parent / "record.json").write_text("{"), "its record: damaged document"),
    (lambda lower, upper: os.setxattr(upper / "srv", "trusted.overlay.opaque", b"y"), "srv: its extended attributes"),
])
def test_a_damaged_layer(change: Callable[[Path, Path], object], problem: str, pulled: Pull, push: Push,
                         paths: Paths) -> None:
    store = ImageStore(paths)
    lower, upper = (paths.layers / chain.removeprefix("sha256:") / "diff"
                    for chain in pulled(push("damaged:1", BASE, CHANGE), into=store).layers)
    before = contents(lower), contents(upper)
    assert list(verified(store)) == []
    change(lower, upper)
    (finding,) = verified(store)
    assert problem in finding.problem
    for finding in verified(store):
        assert finding.mend is not None
        finding.mend()
    assert (contents(lower), contents(upper)) == before
    assert list(verified(store)) == []
    assert os.listdir(paths.temporary) == []


def test_a_name_twice_in_one_layer_counts_once(pulled: Pull, push: Push, paths: Paths) -> None:
    store = ImageStore(paths)
    twice = [entry("a", content=b"x" * 100), entry("a", content=b"y" * 7), entry("d/b", content=b"z" * 50),
             entry("d", content=b"now a file")]
    assert pulled(push("twice:1", twice), into=store).size == 17
    assert held(store) == usage.total(store).total
    assert list(verified(store)) == []


def contents(layer: Path) -> dict[str, tuple[object, ...]]:
    """All of it, but the times that no archive gives: of whiteouts, and of directories that are only walked through."""
    untimed = {"etc", "etc/old", "srv", "srv/deep"}
    return {name: (*facts[:4], 0, *facts[5:]) if name in untimed else facts for name, facts in described(layer).items()}


def verified(store: ImageStore, resting: unpacked.Resting = lambda chain: nullcontext()) -> Iterator[Finding]:
    """What `system check` finds of the layers, with a reader that remembers nothing."""
    fresh = ImageStore(store.paths)
    return unpacked.check(fresh, set(fresh.blobs), resting, Summary(), lambda status, current, total: None)


def test_a_layer_below_a_running_container_is_left_until_that_has_ended(engine: Engine, store: ImageStore) -> None:
    engine.ok("run", "-d", "--name", "stands", "busybox", "sleep", "100")
    path = store.layers.diff(store.resolve("busybox").layers[0]) / "etc/group"
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content.upper())
    said = checked(engine, "--repair")
    assert said.code == 2
    assert "stands on it: stop that, and repair again" in said.out
    engine.ok("rm", "-f", "stands")
    mended(engine, "etc/group: its content")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, times.st_mtime_ns)


def test_a_container_that_starts_while_its_layer_is_made_anew_keeps_it(pulled: Pull, push: Push, paths: Paths) -> None:
    store = ImageStore(paths)
    (chain, _) = pulled(push("meanwhile:1", BASE, CHANGE), into=store).layers
    damage(store.layers.diff(chain) / "bin/sh")
    asked: list[str] = []

    @contextmanager
    def resting(layer: str) -> Iterator[None]:
        """The container starts between the first question and the second."""
        asked.append(layer)
        if len(asked) > 1:
            raise Conflict("it runs now")
        yield

    before = store.layers.diff(chain).stat().st_ino
    found = verified(store, resting)  # its workers live as long as it does
    finding = next(found)
    assert finding.mend is not None
    with pytest.raises(Conflict, match="it runs now"):
        finding.mend()
    assert list(found) == []
    assert (asked, store.layers.diff(chain).stat().st_ino) == ([chain, chain], before)
    assert os.listdir(paths.temporary) == []


@pytest.mark.parametrize("command", [("export", "still"), ("cp", "still:/root", "-")])
def test_a_layer_is_not_replaced_while_somebody_reads_it(engine: Engine, store: ImageStore, tmp_path: Path,
                                                         command: tuple[str, ...]) -> None:
    """Through a stopped container, and slowly: into a pipe that is full."""
    engine.ok("create", "--name", "still", "busybox")
    (tmp_path / "large").write_bytes(os.urandom(32 << 20))  # more than all buffers on the way
    engine.ok("cp", str(tmp_path / "large"), "still:/root")
    path = store.layers.diff(store.resolve("busybox").layers[0]) / "etc/group"
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content.upper())
    with engine.popen(*command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.read(1)
        assert "stands on it, and is being read: repair again" in checked(engine, "--repair").out
        assert engine.pydocker("start", "still").code == 0  # which waits for no reader
        engine.ok("rm", "-f", "still")
        reader.stdout.read()
    assert path.read_bytes() == content.upper()
    mended(engine, "etc/group: its content")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, times.st_mtime_ns)


def test_a_layer_is_not_replaced_while_its_container_is_being_started(engine: Engine, store: ImageStore) -> None:
    id = engine.ok("create", "busybox")
    path = store.layers.diff(store.resolve("busybox").layers[0]) / "etc/group"
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(content.upper())
    with locks.held(store.paths.container(id) / "lock"):  # which a start holds to its end
        assert "stands on it, and is being changed: repair again" in checked(engine, "--repair").out
    assert path.read_bytes() == content.upper()
    mended(engine, "etc/group: its content")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, times.st_mtime_ns)


def test_what_is_taken_up_again_meanwhile_is_not_removed(paths: Paths) -> None:
    """Found while nobody held it, and then somebody does; or was about to, when it was found."""
    for name in ("blob-0", "lease-0", "layer-0", "pull-0.lock"):
        left = paths.temporary / name
        left.mkdir() if name == "layer-0" else left.touch()
        (finding,) = remains._temporary(paths)
        assert finding.mend is not None
        with ThreadPoolExecutor() as pool:
            with locks.directory(paths.temporary, shared=True):
                mending = pool.submit(finding.mend)
                wait([mending], timeout=0.1)
                fd = locks.take(left)
            mending.result()
        assert left.exists() and fd is not None
        os.close(fd)
        finding.mend()
        assert not left.exists()


def test_a_damaged_compressed_layer_is_pulled_again(engine: Engine, image: str, store: ImageStore) -> None:
    blob = max(store.blobs, key=lambda name: (name in _compressed(store, image), store.blobs.size(name)))
    damage(store.blobs.path(blob))
    said = checked(engine)
    assert (said.code, f"blob {blob}: its content has another digest" in said.out) == (2, True)
    said = checked(engine, "--repair")
    assert said.code == 2
    assert f"image {image}: its compressed layer {blob} is missing\n    not mended: pull it again" in said.out
    assert "1 layer could not be verified" in said.out
    engine.ok("pull", image)
    well(engine)


def _compressed(store: ImageStore, name: str) -> list[str]:
    manifest = json.loads(store.blobs.read(store.resolve(name).manifest.digest))
    return [layer["digest"] for layer in manifest["layers"]]


@pytest.mark.parametrize("document", ["manifest", "config"])
def test_an_image_without_its_documents_goes_and_comes_again(document: str, fresh_engine: Engine, push: Push) -> None:
    engine, image = fresh_engine, push("documents:1", BASE)
    engine.import_busybox()
    engine.ok("pull", image)
    store = ImageStore(Paths(*engine.roots))
    found = store.resolve(image)
    store.blobs.remove(found.manifest.digest if document == "manifest" else found.id)
    assert "busybox" in engine.ok("images")  # the others are still there, and still run
    assert engine.ok("run", "--rm", "busybox", "echo", "hi") == "hi"
    engine.stop()
    assert "busybox" in engine.ok("images")  # and a server still starts
    mended(engine, f"image {image}: blob sha256:", "what nobody needs: cannot be told")
    assert image.rpartition(":")[0] not in engine.ok("images")
    engine.ok("pull", image)
    well(engine)


def test_a_lost_list_of_images(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    index = engine.roots[0] / "images/index.json"
    for loss in (index.unlink, lambda: index.write_text('{"manifests":[{')):
        loss()
        engine.stop()
        assert "damaged document" in engine.pydocker("images").err
        mended(engine, "list of images: damaged document")
        id, = engine.ok("images", "-q", "--filter", "dangling=true").split()
        engine.ok("tag", id, "again")
        assert engine.ok("run", "--rm", "again", "echo", "hi") == "hi"


def test_what_nobody_refers_to(engine: Engine, store: ImageStore) -> None:
    paths = store.paths
    store.blobs.add(b"an orphan")
    (paths.layers / ("0" * 64) / "diff").mkdir(parents=True)
    (paths.temporary / "blob-dead").write_bytes(b"x")
    (paths.temporary / "layer-dead").mkdir()
    (paths.names / "ghost").symlink_to("1" * 64)
    (paths.run / "containers" / ("2" * 64)).mkdir()
    left = paths.images / ".index.json.1.00000000.tmp"
    left.write_text("{}")
    os.utime(left, (0, 0))
    mended(engine, "nothing refers to it (9 bytes)", "layer sha256:" + "0" * 64, "blob-dead", "layer-dead",
           "name ghost", "2" * 64, str(left))
    assert not left.exists() and os.listdir(paths.temporary) == []


def test_what_a_stranger_put_there_stays(fresh_engine: Engine) -> None:
    """Neither a repair nor the next server takes for a temporary file, or a container's, what has no such name."""
    engine, paths = fresh_engine, Paths(*fresh_engine.roots)
    engine.start()
    strangers = (paths.temporary / "notes", paths.temporary / "backup.old", paths.run / "containers/mine")
    for directory in strangers:
        directory.mkdir()
        (directory / "file").write_text("precious")
    said = checked(engine, "--repair")
    assert said.code == 2
    for directory in strangers:
        assert f"file {directory}: is nothing of pydocker's" in said.out, said.out
    engine.stop()
    engine.start()
    for directory in strangers:
        assert (directory / "file").read_text() == "precious"


OWN = ("data/tmp", "data/names", "data/containers", "data/layers", "data/volumes", "data/networks", "data/images",
       "data/images/blobs", "data/images/blobs/sha256", "run/containers")


def decoy(path: Path) -> list[str]:
    """What would be deleted from there, if it were a directory of the engine's own."""
    for word in ("passwd", "held.lock", "blob-1", "layer-1", "removed-1", "container-1", ".index.json.1.00000000.tmp"):
        (path / word).write_text("the host's")
        os.utime(path / word, (0, 0))
    for word in ("removed-2", "container-2", "volume-2", "0" * 64, "ssl"):
        (path / word).mkdir()
        (path / word / "file").write_text("the host's")
        os.utime(path / word, (0, 0))
    (path / "localtime").symlink_to("/nowhere")
    return everything(path)


def everything(path: Path) -> list[str]:
    return sorted(map(str, path.rglob("*")))


@contextmanager
def replaced(place: Path) -> Iterator[None]:
    away = place.with_name("away")
    place.rename(away)
    try:
        yield
    finally:
        place.unlink()
        away.rename(place)


def test_a_link_leads_no_deletion_out_of_the_root(fresh_engine: Engine, tmp_path: Path) -> None:
    """Such a link, to /etc, once had the whole of it deleted by `system check --repair`, as temporary files."""
    engine, before = fresh_engine, decoy(tmp_path)

    def refused(names: Iterable[str], *words: str) -> None:
        for name in names:
            place = engine.root / name
            with replaced(place):
                place.symlink_to(tmp_path)
                said = engine.pydocker(*words)
                assert f"{place} has to be a directory, and is a link to {tmp_path}" in said.err, said
                assert (said.code, said.err.count("\n")) == (1, 1), said
                assert everything(tmp_path) == before

    engine.start()
    refused(OWN, "system", "check", "--repair")  # by a server that was there before the link
    engine.stop()
    assert everything(tmp_path) == before
    refused(("data/tmp", "data/names", "run/containers"), "ps")  # where a server that begins deletes something
    well(engine)


def test_what_is_no_directory_is_named(fresh_engine: Engine) -> None:
    engine, place = fresh_engine, fresh_engine.root / "data/layers"
    engine.start()
    for make in (Path.touch, os.mkfifo, lambda path: path.symlink_to("nowhere")):
        with replaced(place):
            make(place)
            said = checked(engine)
        assert (said.code, said.err.count("\n")) == (1, 1), said
        assert f"{place} has to be a directory, and is " in said.err
    well(engine)


def others(decoy: Path) -> dict[str, Callable[[Path], object]]:
    """What may lie where a file or a directory belongs, and is neither."""
    return {"fifo": os.mkfifo, "socket": socketed, "device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, 0x103),
            "link": lambda path: path.symlink_to(decoy), "dangling": lambda path: path.symlink_to("nowhere")}


def socketed(path: Path) -> None:
    """Its own path may be too long for bind(2)."""
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device", "link"])
def test_a_list_of_images_that_is_no_file(kind: str, fresh_engine: Engine, tmp_path: Path) -> None:
    """A FIFO had the server wait for ever for somebody to write into it, a directory kept it from starting."""
    engine, before = fresh_engine, decoy(tmp_path)
    engine.import_busybox()
    index = engine.roots[0] / "images/index.json"
    engine.stop()
    index.unlink()
    (Path.mkdir if kind == "directory" else others(tmp_path)[kind])(index)
    said = engine.pydocker("images", timeout=20)
    assert (said.code, f"damaged document {index}: it is no file" in said.err) == (1, True), said
    mended(engine, f"list of images: damaged document {index}: it is no file")
    assert os.path.lexists(index.with_name("index.json.damaged"))
    assert len(engine.ok("images", "-q").split()) == 1
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device", "link", "dangling"])
def test_a_blob_that_is_no_file(kind: str, fresh_engine: Engine, push: Push, tmp_path: Path) -> None:
    """One that nobody refers to, a compressed layer, a manifest: each is told, and left to who put it there."""
    engine, image, before = fresh_engine, push("odd:1", BASE), decoy(tmp_path)
    engine.ok("pull", image)
    store = ImageStore(Paths(*engine.roots))
    found, (layer,) = store.resolve(image), _compressed(store, image)
    places = [store.blobs.path(name) for name in ("sha256:" + "0" * 64, layer, found.manifest.digest)]
    engine.stop()
    for place in places:
        place.unlink(missing_ok=True)
        if kind == "directory":
            place.mkdir()
            (place / "file").write_text("precious")
        else:
            others(tmp_path)[kind](place)
    engine.start()
    said = checked(engine, "--repair")
    assert said.code == 2, said
    for place in places:
        assert f"file {place}: is no blob\n    not mended: move it away by hand" in said.out
        assert os.path.lexists(place)
    if kind == "directory":
        assert f"{places[1]} is no blob: move it away" in engine.pydocker("pull", image).err
        for place in places:
            assert (place / "file").read_text() == "precious"
    assert everything(tmp_path) == before
    for place in places:
        place.rename(tmp_path / f"away-{place.name}")
    engine.ok("pull", image)
    well(engine)


def stood_on(engine: Engine, image: str) -> tuple[ImageStore, Digest]:
    """Pull an image of one layer, and have a container, `stands`, on it."""
    engine.ok("pull", image)
    engine.ok("create", "--name", "stands", image, "/bin/sh")
    store = ImageStore(Paths(*engine.roots))
    (chain,) = store.resolve(image).layers
    return store, chain


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo"])
def test_a_layer_that_is_no_directory(kind: str, fresh_engine: Engine, push: Push, tmp_path: Path) -> None:
    """Nothing is read through a link, nothing deleted there, and no container started on it."""
    engine, image, before = fresh_engine, push("led:1", BASE), decoy(tmp_path)
    store, chain = stood_on(engine, image)
    place = store.paths.layers / chain.removeprefix("sha256:")
    with replaced(place):
        others(tmp_path)[kind](place)
        said = checked(engine, "--repair")
        assert said.code == 2, said
        assert (said.code, f"file {place}: is no layer\n    not mended: move it away by hand" in said.out) == (2, True)
        assert f"layer {chain} of {image}: is missing\n    not mended: {place} is no layer: move it away" in said.out
        assert f"no such layer: {chain}" in engine.pydocker("start", "stands").err
        engine.stop()
        assert f"no such layer: {chain}" in engine.pydocker("start", "stands").err
        assert f"{place} is no layer: move it away" in engine.pydocker("pull", image).err
        assert everything(tmp_path) == before
    well(engine)


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo"])
def test_files_of_a_layer_that_are_elsewhere(kind: str, fresh_engine: Engine, push: Push, tmp_path: Path) -> None:
    engine, image, before = fresh_engine, push("led:2", BASE), decoy(tmp_path)
    store, chain = stood_on(engine, image)
    diff = store.layers.diff(chain)
    whole = contents(diff)
    shutil.rmtree(diff)
    others(tmp_path)[kind](diff)
    assert f"no such layer: {chain}" in engine.pydocker("start", "stands").err
    assert f"no such layer: {chain}" in engine.pydocker("image", "layers", image).err
    mended(engine, f"layer {chain} of {image}: is missing")
    assert contents(diff) == whole
    shutil.rmtree(diff)
    others(tmp_path)[kind](diff)
    engine.ok("rm", "stands")
    engine.ok("rmi", image)
    assert not diff.parent.exists()
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "socket", "link", "dangling"])
def test_temporary_files_of_another_kind(kind: str, fresh_engine: Engine, tmp_path: Path) -> None:
    """They keep no server from starting. What is neither a file nor a directory, pydocker has not made, and leaves."""
    engine, before = fresh_engine, decoy(tmp_path)
    engine.start()
    engine.stop()
    temporary = engine.roots[0] / "tmp"
    made = others(tmp_path) | {"file": Path.touch, "directory": Path.mkdir}
    places = [temporary / name for name in (
        "blob-1", "container-1", "layer-1", "lease-1", "partial-1", "pull-1.lock", "removed-1", "terms-1", "volume-1",
        f"removed-{'0' * 64}", f"partial-{'0' * 64}")]
    for place in places:
        made[kind](place)
        os.utime(place, (0, 0), follow_symlinks=False)
    assert engine.pydocker("images", timeout=20).code == 0
    said = checked(engine, "--repair")
    if kind in ("file", "directory"):
        assert said.code == 0, said
    else:
        for place in places:
            assert f"file {place}: is nothing of pydocker's" in said.out, said.out
            place.unlink()
    assert os.listdir(temporary) == []
    well(engine)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("running", [False, True])
def test_a_container_that_is_a_link(running: bool, fresh_engine: Engine, tmp_path: Path) -> None:
    """It is none: its removal deleted what was where the link led."""
    engine, before = fresh_engine, decoy(tmp_path)
    engine.import_busybox()
    id = engine.ok("create", "--name", "led", "busybox")
    place = engine.roots[0] / "containers" / id
    if not running:
        engine.stop()
    with replaced(place):
        place.symlink_to(tmp_path)
        for ref in (id, id[:12], "led"):
            assert "No such container" in engine.pydocker("rm", "-f", ref).err
        assert "No such container" in engine.pydocker("start", id).err
        said = checked(engine, "--repair")
        assert (said.code, f"file {place}: is no container" in said.out) == (2, True), said
        engine.stop()
        engine.start()
        assert everything(tmp_path) == before
    engine.ok("rm", id)


def test_a_run_directory_that_is_a_link(fresh_engine: Engine, tmp_path: Path) -> None:
    """Its removal, and the next start, delete nothing where it leads."""
    engine, before = fresh_engine, decoy(tmp_path)
    engine.import_busybox()
    id = engine.ok("create", "busybox")
    place = engine.roots[1] / "containers" / id
    if place.exists():
        shutil.rmtree(place)
    place.symlink_to(tmp_path)
    engine.pydocker("rm", id)
    engine.stop()
    engine.start()
    assert everything(tmp_path) == before
    place.unlink()


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_a_container_whose_record_is_no_file(kind: str, fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    engine.ok("create", "--name", "blank", "-v", "/data", "busybox")
    (record,) = (engine.roots[0] / "containers").glob("*/config.json")
    with replaced(record):
        (os.mkfifo if kind == "fifo" else os.mkdir)(record)
        assert engine.pydocker("volume", "ls", timeout=20).code == 0
        assert "its record is damaged" in engine.pydocker("volume", "prune", "-af", timeout=20).err
        assert f"damaged document {record}: it is no file" in checked(engine).out
        (os.unlink if kind == "fifo" else os.rmdir)(record)
        record.touch()
    well(engine)


def test_what_is_being_made_is_no_orphan(engine: Engine, store: ImageStore) -> None:
    with store.layers.draft() as layer, store.blobs.draft() as blob, store.leasing([store.blobs.add(b"needed")]):
        well(engine)
        assert checked(engine, "--repair").code == 0
        assert layer.path.is_dir() and blob.path.is_file()
    mended(engine, "nothing refers to it (6 bytes)")


def test_a_container_that_has_lost_its_files(engine: Engine, store: ImageStore) -> None:
    engine.ok("create", "--name", "empty", "busybox")
    (directory,) = store.paths.containers.iterdir()
    shutil.rmtree(directory / "upper")
    mended(engine, "container empty: its files are gone\n    --repair: removed")
    assert not directory.exists()


def test_a_container_that_has_lost_its_record_keeps_its_files(engine: Engine, store: ImageStore) -> None:
    engine.ok("create", "--name", "blank", "busybox")
    engine.ok("create", "--name", "whole", "busybox")
    blank = next(path for path in store.paths.containers.iterdir() if "blank" in (path / "config.json").read_text())
    record = (blank / "config.json").read_bytes()
    (blank / "upper/precious").write_text("data")
    (blank / "config.json").write_text("{")
    assert engine.ok("ps", "-a", "--format", "{{.Names}}") == "whole"
    said = checked(engine, "--repair")
    assert said.code == 2
    assert f"its files are in {blank}/upper" in said.out
    assert (blank / "upper/precious").read_text() == "data"
    assert "damaged document" in engine.pydocker("rmi", "-f", "busybox").err  # whether it needs that cannot be told
    (blank / "config.json").write_bytes(record)
    well(engine)


def test_an_overlay_that_nobody_mounted(engine: Engine, store: ImageStore, session_directory: Path) -> None:
    """In the mount namespace of the server, which is that of the tests, no container has one."""
    target = store.paths.run / "containers" / ("3" * 64)
    for name in ("upper", "work", "merged"):
        (target / name).mkdir(parents=True)
    step = MountOverlay(lower=(str(store.layers.diff(store.resolve("busybox").layers[0])),),
                        upper=str(target / "upper"), work=str(target / "work"), target=str(target / "merged"))
    step.apply(None)
    try:
        if str(target) not in Path(f"/proc/{engine.server()[0]}/mountinfo").read_text():
            pytest.skip("the server has a mount namespace of its own")
        said = checked(engine, "--repair")
        assert f"mount {target}/merged: an overlay that belongs to no monitor\n    mended: unmounted" in said.out
        assert str(target) not in Path("/proc/self/mountinfo").read_text()
    finally:
        subprocess.run(["umount", "-l", target / "merged"], check=False, capture_output=True)
        shutil.rmtree(target, ignore_errors=True)


def test_one_check_at_a_time(engine: Engine, store: ImageStore) -> None:
    with locks.held(store.paths.temporary / "check.lock"):
        said = checked(engine)
        assert (said.code, said.err) == (1, "Error response from daemon: another check is running\n")
    (store.paths.temporary / "check.lock").unlink()
    well(engine)


def test_df_is_what_du_finds(engine: Engine, image: str, store: ImageStore) -> None:
    script = "head -c 100000 /dev/zero > /file; ln /file /again; echo said"
    engine.ok("run", "--name", "wrote", "busybox", "sh", "-c", script)
    lines = dict(line.split("|") for line in engine.ok("system", "df", "--format", "{{.Type}}|{{.Size}}").splitlines())
    assert lines["Containers"].startswith("10")
    document = json.loads(subprocess.run(
        ["curl", "-s", "--unix-socket", engine.socket, "http://x/system/df"], check=True, capture_output=True).stdout)
    assert document["LayersSize"] == held(store)
    assert sum(container["SizeRw"] for container in document["Containers"]) == du(store.paths.containers)


def du(*tops: Path) -> int:
    """The bytes of every file below, each inode once, as find sees them."""
    told = subprocess.run(["find", *tops, "-type", "f", "-printf", "%D:%i %s\n"], check=True, capture_output=True)
    return sum(int(line.split()[1]) for line in set(told.stdout.splitlines()))


def held(store: ImageStore) -> int:
    return du(store.paths.images / "blobs", *store.paths.layers.glob("*/diff"))


def test_rm_of_the_last_container_takes_the_layers_that_rmi_left(engine: Engine, image: str, store: ImageStore) -> None:
    before = set(store.layers)
    engine.ok("create", "--name", "last", image)
    engine.ok("rmi", "-f", image)
    assert set(store.layers) == before
    engine.ok("rm", "last")
    assert len(set(store.layers)) == len(before) - 2
    well(engine)


def test_prune_tells_the_true_number(engine: Engine, push: Push, store: ImageStore) -> None:
    shared, alone = push("prune/a:1", BASE, CHANGE, Cmd=["sh"], Labels={"prune": "me"}), push(
        "prune/b:1", BASE, [entry("b", content=os.urandom(10000))], Labels={"prune": "me"})
    for name in (shared, alone):
        engine.ok("pull", name)
    engine.ok("create", "--name", "uses", shared)
    before = held(store)
    said = engine.ok("image", "prune", "-af", "--filter", "label=prune", "--filter", "label!=x")
    after = held(store)
    assert f"untagged: {alone}" in said and f"untagged: {shared}" not in said
    assert before - after > 10000
    assert said.splitlines()[-1] == f"Total reclaimed space: {decimal_size(before - after, 4)}"
