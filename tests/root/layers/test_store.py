"""Layers as a store keeps them: named by their chain, complete or not there, stacked by a real overlay."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydocker.errors import NotFound, NotSupported, PydockerError
from pydocker.layers.foreman import DIFF, RESULT, Result
from pydocker.layers.inherit import inherit
from pydocker.layers.overlay import MountOverlay
from pydocker.layers.store import LayerStore
from pydocker.layers.unpack import Unpacked
from pydocker.model.digest import Digest
from pydocker.paths import Paths

CHAIN = Digest("sha256:" + "a" * 64)
OTHER = Digest("sha256:" + "b" * 64)


@pytest.fixture
def paths(target: Path) -> Paths:
    paths = Paths(target / "data", target / "run")
    paths.make()
    return paths


@pytest.fixture
def layers(paths: Paths) -> LayerStore:
    return LayerStore(paths)


def add(layers: LayerStore, chain: Digest, *implied: bytes, below: tuple[Digest, ...] = (), name: str = "file") -> None:
    with layers.draft() as draft:
        (draft.path / DIFF / name).write_text(chain)
        (draft.path / RESULT).write_text("")
        unpacked = Unpacked(size=71, entries=1, implied=implied)
        layers.settle(draft, Result(diff=chain[7:], compressed=1, unpacked=unpacked), chain, below)
        layers.sync()
        layers.commit(draft, chain)


def test_a_committed_layer_is_there(layers: LayerStore, paths: Paths) -> None:
    add(layers, CHAIN)
    assert layers.has(CHAIN)
    assert layers.record(CHAIN).size == 71
    assert os.listdir(layers.diff(CHAIN)) == ["file"]
    assert list(layers) == [CHAIN]
    assert os.listdir(paths.temporary) == []
    with pytest.raises(NotFound, match=f"no such layer: {OTHER}"):
        layers.diff(OTHER)


def test_a_draft_that_is_not_committed_vanishes(layers: LayerStore, paths: Paths) -> None:
    with pytest.raises(ZeroDivisionError), layers.draft() as draft:
        (draft.path / DIFF / "x").write_text("x")
        raise ZeroDivisionError
    assert os.listdir(paths.temporary) == []


def test_the_second_of_two_makers_gives_way(layers: LayerStore) -> None:
    add(layers, CHAIN, name="first")
    add(layers, CHAIN, name="second")
    assert os.listdir(layers.diff(CHAIN)) == ["first"]


def test_a_sweep_takes_what_is_abandoned_and_leaves_what_is_being_made(layers: LayerStore, paths: Paths) -> None:
    add(layers, CHAIN)
    (paths.temporary / "layer-abandoned" / DIFF).mkdir(parents=True)
    with layers.draft() as draft:
        layers.sweep_drafts()
        assert os.listdir(paths.temporary) == [draft.path.name]
    assert list(layers) == [CHAIN]


@pytest.mark.timeout(60)  # its failure is to wait for itself, for ever
def test_what_was_just_committed_can_be_removed_within_the_drafts_context(layers: LayerStore, paths: Paths) -> None:
    with layers.draft() as draft, layers.draft() as late:
        unpacker = os.dup(draft.lock)  # a child that is done, but has not ended yet
        for made in (draft, late):
            (made.path / RESULT).write_text("")
            result = Result(diff=CHAIN[7:], compressed=1, unpacked=Unpacked(size=0, entries=0, implied=()))
            layers.settle(made, result, CHAIN, ())
            layers.commit(made, CHAIN)
        layers.remove(CHAIN)
        assert (list(layers), os.listdir(paths.temporary)) == ([], [late.path.name])
        os.close(unpacker)
    assert os.listdir(paths.temporary) == []


def test_a_draft_whose_unpacker_outlives_its_pull_is_swept_by_the_next(layers: LayerStore, paths: Paths) -> None:
    draft = layers.draft()  # of a pull that was killed: nobody leaves its context
    unpacker = os.dup(draft.lock)
    os.close(draft.lock)
    layers.sweep_drafts()
    assert os.listdir(paths.temporary) == [draft.path.name]
    os.close(unpacker)
    layers.sweep_drafts()
    assert os.listdir(paths.temporary) == []


def test_a_sweep_never_takes_a_draft_that_is_just_being_made(layers: LayerStore) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            layers.sweep_drafts()

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for _ in range(300):
            with layers.draft() as draft:
                assert (draft.path / DIFF).is_dir()
    finally:
        done.set()
        sweeper.join()


def test_implied_directories_look_as_below(layers: LayerStore, target: Path) -> None:
    stack = [target / name for name in ("low", "middle", "top")]
    for path in stack:
        (path / "a/b").mkdir(parents=True)
    os.chmod(stack[0] / "a", 0o1750)
    os.chown(stack[0] / "a", 5, 6)
    os.setxattr(stack[0] / "a", "user.x", b"1")
    os.utime(stack[0] / "a", ns=(10**18 + 1, 10**18 + 2))
    (stack[1] / "a/b").rmdir()
    (stack[1] / "a").rmdir()
    inherit(stack[2], [b"a", b"a/b", b""], stack[:2])
    there = (stack[2] / "a").stat()
    assert (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid, there.st_mtime_ns) == (0o1750, 5, 6, 10**18 + 2)
    assert os.getxattr(stack[2] / "a", "user.x") == b"1"


@pytest.mark.parametrize("hide", ["whiteout", "opaque", "file"])
def test_what_is_hidden_is_not_inherited(target: Path, hide: str) -> None:
    low, middle, top = (target / name for name in ("low", "middle", "top"))
    (low / "a/b").mkdir(parents=True)
    (low / "a/b").chmod(0o700)
    (top / "a/b").mkdir(parents=True)
    middle.mkdir()
    if hide == "whiteout":
        os.mknod(middle / "a", stat.S_IFCHR, os.makedev(0, 0))
    elif hide == "opaque":
        (middle / "a").mkdir()
        os.setxattr(middle / "a", "trusted.overlay.opaque", b"y")
    else:
        (middle / "a").write_text("")
    inherit(top, [b"a/b"], [low, middle])
    assert stat.S_IMODE((top / "a/b").stat().st_mode) == 0o755


@pytest.fixture
def overlay(target: Path) -> Iterator[MountOverlay]:
    """127 layers with long names, of which each hides a file of the one below."""
    lower = []
    for at in range(127):
        path = target / f"{at:03}-{'x' * 80}"
        path.mkdir()
        (path / f"own{at}").write_text("")
        (path / "common").write_text(str(at))
        lower.append(str(path))
    for name in ("upper", "work", "merged"):
        (target / name).mkdir()
    step = MountOverlay(lower=tuple(lower), upper=str(target / "upper"), work=str(target / "work"),
                        target=str(target / "merged"))
    step.apply(None)
    yield step
    step.undo(None)


def test_a_hundred_layers(overlay: MountOverlay) -> None:
    merged = Path(overlay.target)
    assert (merged / "common").read_text() == "126"
    assert len(list(merged.iterdir())) == 128
    (merged / "own0").unlink()
    (merged / "new").write_text("x")
    assert (Path(overlay.upper) / "new").exists()
    assert (Path(overlay.lower[0]) / "own0").exists()


def test_paths_with_the_overlays_own_syntax(target: Path) -> None:
    names = [target / name for name in ("lo:w,er\\", "up:per", "wo,rk", "merged")]
    for path in names:
        path.mkdir()
    (names[0] / "x").write_text("1")
    step = MountOverlay(lower=(str(names[0]),), upper=str(names[1]), work=str(names[2]), target=str(names[3]))
    step.apply(None)
    try:
        assert os.listdir(names[3]) == ["x"]
    finally:
        step.undo(None)


def test_a_mount_that_fails_names_the_call(target: Path) -> None:
    step = MountOverlay(lower=(str(target),), upper="/nowhere/upper", work="/nowhere/work", target=str(target))
    with pytest.raises(PydockerError, match=r"mount overlay on .*: no such file or directory \(mount\(2\), ENOENT\)"):
        step.apply(None)


def test_a_kernel_without_overlayfs_is_said_so() -> None:
    step = MountOverlay(lower=(), upper="/u", work="/w", target="/t")
    with pytest.raises(NotSupported, match="the kernel has no overlay file system"):
        raise step._explained(OSError(19, "ENODEV"))
