"""What an interrupted pull left of a layer is not fetched again; and it is not believed."""

import gzip
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pydocker.config import RegistryEntry
from pydocker.errors import PydockerError
from pydocker.images import partial
from pydocker.images.progress import Progress
from pydocker.images.pull import pull
from pydocker.images.store import ImageStore
from pydocker.model.image import Image, Manifest
from pydocker.model.reference import parse
from pydocker.paths import Paths
from pydocker.registry.patience import Patience
from pydocker.registry.repository import Repository
from tests.peers.evil import Evil
from tests.peers.registry import Registry
from tests.peers.stub import Reply
from tests.root.images.conftest import Pull, Push
from tests.root.layers.archive import archive, entry
from tests.waiting import wait_until

SIZE = 3 << 20
KEPT = 1_000_000
QUICK = Patience(attempts=3, first=0.001, most=0.01)


class Left:
    """An image in the registry, and the path where a pull that was interrupted leaves its one layer."""

    def __init__(self, name: str, content: bytes, path: Path, registry: Registry) -> None:
        self.name, self.content, self.path, self._registry = name, content, path, registry
        self._before = 0

    def begin(self, count: int) -> None:
        """What has been fetched until now does not count: so many answers, of which the log may not tell yet."""
        self._before = len(self.fetched(count))

    def fetched(self, count: int) -> list[tuple[int, int]]:
        """(status, bytes) of every answer with a part of the layer, since then, when `count` have come to the log."""
        wait_until(lambda: len(self._found()) >= count)
        return self._found()

    def _found(self) -> list[tuple[int, int]]:
        blob = f"sha256:{self.path.name.partition('-')[2]}"
        found = (re.search(rf'blobs/{blob} HTTP/1.1" (\d+) (\d+)', line)
                 for line in self._registry.requests())
        return [(int(match[1]), int(match[2])) for match in found if match][self._before:]


def manifest_of(store: ImageStore, image: Image) -> Manifest:
    return msgspec.json.decode(store.blobs.read(image.manifest.digest), type=Manifest)


@pytest.fixture
def left(push: Push, pulled: Pull, registry: Registry, paths: Paths, session_directory: Path) -> Left:
    top = Path(tempfile.mkdtemp(dir=session_directory))
    name = push(f"{top.name.replace('_', '0')}:1".lower(), [entry("big", content=os.urandom(SIZE))])
    whole = Paths(top / "data", top / "run")
    whole.make()
    store = ImageStore(whole)
    image = pulled(name, into=store)
    [layer] = manifest_of(store, image).layers
    found = Left(name, store.blobs.path(layer.digest).read_bytes(), paths.temporary / f"partial-{layer.digest[7:]}",
                 registry)
    found.begin(1)
    return found


def test_only_the_rest_is_fetched(left: Left, pulled: Pull, store: ImageStore) -> None:
    left.path.write_bytes(left.content[:KEPT])
    assert pulled(left.name) in store.list()
    assert left.fetched(1) == [(206, len(left.content) - KEPT)]
    assert os.listdir(store.paths.temporary) == []


def test_nothing_is_fetched_where_all_is_there(left: Left, pulled: Pull, store: ImageStore) -> None:
    left.path.write_bytes(left.content)
    assert pulled(left.name) in store.list()
    assert left.fetched(0) == []


@pytest.mark.parametrize(("kept", "fetched"), [
    (lambda content: b"x" * KEPT, [(206, -KEPT), (200, 0)]),
    (lambda content: content[:-1] + bytes([content[-1] ^ 1]), [(200, 0)]),
    (lambda content: content + b"x", [(200, 0)]),
    (lambda content: b"", [(200, 0)]),
], ids=["another beginning", "another end", "too long", "nothing"])
def test_what_is_damaged_is_fetched_anew(kept: Callable[[bytes], bytes], fetched: list[tuple[int, int]], left: Left,
                                         pulled: Pull, store: ImageStore) -> None:
    left.path.write_bytes(kept(left.content))
    image = pulled(left.name)
    assert left.fetched(len(fetched)) == [(status, len(left.content) + less) for status, less in fetched]
    [layer] = manifest_of(store, image).layers
    assert store.blobs.path(layer.digest).read_bytes() == left.content
    assert os.listdir(store.paths.temporary) == []


def test_a_part_that_another_pull_is_fetching_is_left_alone(left: Left, pulled: Pull, store: ImageStore) -> None:
    left.path.write_bytes(left.content[:KEPT])
    other = partial.Partial(store.paths.temporary, left_digest(left))
    assert pulled(left.name) in store.list()
    assert left.fetched(1) == [(200, len(left.content))]
    assert left.path.read_bytes() == left.content[:KEPT]
    other.close()


def test_parts_that_nobody_asks_for_go_after_a_day_or_with_a_prune(paths: Paths, store: ImageStore) -> None:
    old, new, used = (paths.temporary / f"partial-{digit * 64}" for digit in "abc")
    for path in (old, new, used):
        path.write_bytes(b"12345")
    os.utime(old, (0, time.time() - partial.KEPT - 60))
    open_one = partial.Partial(paths.temporary, f"sha256:{'c' * 64}")  # type: ignore[arg-type]
    store.sweep()
    assert sorted(os.listdir(paths.temporary)) == [new.name, used.name]
    assert store.prune(lambda image: True, lambda image: []).freed == 5
    assert os.listdir(paths.temporary) == [used.name]
    open_one.close()


def left_digest(left: Left) -> "partial.Digest":
    return partial.Digest(f"sha256:{left.path.name.partition('-')[2]}")


def test_who_leaves_while_the_registry_is_busy_keeps_what_came(store: ImageStore) -> None:
    """The wait is told like everything else: in the pull's own thread, where leaving ends the pull and nothing more."""
    threads = set()

    def tell(progress: Progress) -> None:
        threads.add(threading.current_thread())
        if progress.status.startswith("toomanyrequests"):
            raise PydockerError("the client has gone")

    with Evil() as evil:
        layer = archive([entry("big", content=os.urandom(SIZE))])
        document = evil.image(layer=layer)
        evil.tag(document)
        blob = document["layers"][0]
        content = gzip.compress(layer, 1, mtime=0)
        evil.on(f"/v2/a/b/blobs/{blob['digest']}", Reply(body=content, cut=KEPT), Reply(429),
                Reply(body=content, ranges=True))
        wanted = parse(evil.name())
        with Repository(wanted, patience=QUICK, notice=lambda words: tell(Progress("", words))) as repository, \
                pytest.raises(PydockerError, match="the client has gone"):
            pull(store, store.layers, repository, wanted, None, tell)
    [part] = store.paths.temporary.iterdir()
    assert content.startswith(part.read_bytes()) and part.stat().st_size >= KEPT
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("wrong", ["config", "layer"])
def test_what_a_mirror_has_wrong_comes_from_the_registry(wrong: str, store: ImageStore) -> None:
    with Evil() as evil, Evil() as mirror:
        document = evil.image(layer=archive([entry("big", content=os.urandom(SIZE))]))
        evil.tag(document)
        blob = document["config"] if wrong == "config" else document["layers"][0]
        mirror.on(f"/v2/a/b/blobs/{blob['digest']}", Reply(body=os.urandom(blob["size"])))
        wanted, registries = parse(evil.name()), {evil.address: RegistryEntry((mirror.address,))}
        with Repository(wanted, patience=QUICK, registries=registries) as repository:
            pull(store, store.layers, repository, wanted, None, lambda progress: None)
    assert (store.layers.diff(store.resolve(str(wanted)).layers[0]) / "big").stat().st_size == SIZE
    assert mirror.paths()[-1].endswith(blob["digest"]) and os.listdir(store.paths.temporary) == []
