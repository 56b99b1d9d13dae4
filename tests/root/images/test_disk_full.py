"""A disk that is full at any point of a pull: an error that says so, nothing half there; later the same pull works."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydocker.errors import PydockerError
from pydocker.images.archive_load import load
from pydocker.images.importing import import_
from pydocker.images.store import ImageStore
from pydocker.paths import Paths
from tests.engine import Engine
from tests.root.images.conftest import Pull, Push
from tests.root.images.saved import legacy, packed, pieces
from tests.root.layers.archive import Made, archive, entry, folder

DISK = 40 << 20
KIB = (0, 40, 2000, 5000, 6300, 6600, 9000)


@contextlib.contextmanager
def disk(directory: Path, *options: str) -> Iterator[Path]:
    """A small ext4 of its own."""
    image, point = directory / "disk", directory / "mounted"
    with image.open("wb") as file:
        file.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, image], check=True)
    point.mkdir()
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)
        image.unlink()


def free(point: Path) -> int:
    there = os.statvfs(point)
    return there.f_bavail * there.f_frsize


@contextlib.contextmanager
def filled(point: Path, left: int) -> Iterator[None]:
    """The disk with only so many KiB left."""
    ballast = point / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (more := free(point) - (left << 10)) > 0:
            file.write(bytes(min(more, 1 << 20)))
    try:
        yield
    finally:
        ballast.unlink()
        os.sync()


def assert_nothing(paths: Paths, store: ImageStore) -> None:
    assert store.list() == []
    assert list(store.layers) == []
    assert list(store.blobs) == []
    assert os.listdir(paths.temporary) == []


def test_full_of_bytes(push: Push, pulled: Pull, tmp_path: Path) -> None:
    def layer(at: int) -> list[Made]:
        return [folder(f"d{at}"), entry(f"d{at}/x", content=os.urandom(1 << 20)),
                *(entry(f"d{at}/{small}", content=b"x" * 3000) for small in range(30))]

    name = push("full:1", *map(layer, range(3)))
    outcomes = []
    with disk(tmp_path) as point:
        paths = Paths(point / "data", point / "run")
        paths.make()
        store = ImageStore(paths)
        for left in KIB:
            with filled(point, left):
                try:
                    pulled(name, into=store)
                    outcomes.append(True)
                except PydockerError as error:
                    assert "no space left on device" in str(error)
                    assert_nothing(paths, store)
                    outcomes.append(False)
            image = store.resolve(name) if outcomes[-1] else pulled(name, into=store)
            assert sum(len(list(store.layers.diff(chain).rglob("*"))) for chain in image.layers) == 3 * 32
            store.remove(image.id, force=True, users=lambda image: [])
            store.sweep()
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert outcomes == sorted(outcomes)


def test_full_of_inodes(push: Push, pulled: Pull, tmp_path: Path) -> None:
    name = push("inodes:1", [entry(f"x{at}") for at in range(600)])
    with disk(tmp_path, "-N", "512") as point:
        paths = Paths(point / "data", point / "run")
        paths.make()
        store = ImageStore(paths)
        with pytest.raises(PydockerError, match="no space left on device"):
            pulled(name, into=store)
        assert_nothing(paths, store)


def test_full_in_a_load_and_an_import(tmp_path: Path) -> None:
    layers = [archive([folder(f"d{at}"), entry(f"d{at}/x", content=os.urandom(1 << 20))]) for at in range(3)]
    ways: dict[str, Callable[[ImageStore], object]] = {
        "load": lambda store: list(load(store, pieces(packed(legacy(*layers))))),
        "import": lambda store: import_(store, pieces(packed({f"{at}": layer for at, layer in enumerate(layers)}))),
    }
    with disk(tmp_path) as point:
        paths = Paths(point / "data", point / "run")
        paths.make()
        store = ImageStore(paths)
        for verb, go in ways.items():
            outcomes = []
            for left in (0, 2000, 4000, 12000):
                with filled(point, left):
                    try:
                        go(store)
                        outcomes.append(True)
                    except PydockerError as error:
                        assert "no space left on device" in str(error), verb
                        assert_nothing(paths, store)
                        outcomes.append(False)
                if not outcomes[-1]:
                    go(store)
                image, = store.list()
                store.remove(image.id, force=True, users=lambda image: [])
            assert (outcomes[0], outcomes[-1]) == (False, True)
            assert outcomes == sorted(outcomes)


def test_whatever_meets_a_full_disk_says_so(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    with disk(tmp_path) as point:
        engine = make_engine(**{"data-root": str(point / "data")})
        engine.import_busybox()
        engine.ok("create", "--name", "there", "busybox")
        commands = (("commit", "there", "new"), ("create", "busybox"), ("tag", "busybox", "new"),
                    ("run", "--rm", "busybox", "true"), ("volume", "create", "new"), ("network", "create", "new"))
        with filled(point, 0):
            for command in commands:
                said = engine.pydocker(*command)
                assert said.code and "no space left on device" in said.err, (command, said)
                assert "internal error" not in said.err, (command, said)
        assert engine.ok("system", "check").endswith("all is well")
        engine.ok("rm", "there")
        engine.stop()
