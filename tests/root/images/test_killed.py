"""kill -9 in the middle of a pull: whatever it leaves, a sweep and a pull later everything is right."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydocker.images.store import ImageStore
from pydocker.model.image import Image
from pydocker.paths import Paths
from tests.root.images.conftest import Push
from tests.root.layers.archive import described, entry, folder

ROUNDS = int(os.environ.get("PYDOCKER_KILLS", "5"))
CHECKOUT = Path(__file__).resolve().parents[3]

PULL = """
import sys
from pathlib import Path
from pydocker.images.pull import pull
from pydocker.images.store import ImageStore
from pydocker.model.reference import parse
from pydocker.model.image import Image
from pydocker.paths import Paths
from pydocker.registry.repository import Repository
store = ImageStore(Paths(Path(sys.argv[1]), Path(sys.argv[2])))
store.sweep()
with Repository(parse(sys.argv[3])) as repository:
    pull(store, store.layers, repository, parse(sys.argv[3]), None, lambda progress: None)
"""


def start(paths: Paths, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PULL, paths.data, paths.run, name], cwd=CHECKOUT)


@pytest.fixture(scope="module")
def layers() -> list:
    """Four layers of three thousand files: a second's work."""
    return [[folder("."), folder("shared"), folder(f"d{layer}"),
             *(entry(f"d{layer}/{at}", content=os.urandom(2000), uid=at) for at in range(700)),
             entry(f"large{layer}", content=os.urandom(4 << 20)), entry("shared/x", content=bytes([layer]))]
            for layer in range(4)]


def test_a_pull_killed_at_any_moment(layers: list, push: Push, store: ImageStore, paths: Paths,
                                     session_directory: Path) -> None:
    name = push("killed:1", *layers)
    whole = Paths(session_directory / "whole/data", session_directory / "whole/run")
    whole.make()
    began = time.monotonic()
    assert start(whole, name).wait() == 0
    duration = time.monotonic() - began
    reference = ImageStore(whole)
    expected = contents(reference, reference.resolve(name))
    seed = int(os.environ.get("PYDOCKER_SEED", "1"))
    moments = random.Random(seed)
    for _ in range(ROUNDS):
        with start(paths, name) as process:
            time.sleep(moments.random() * duration)
            process.send_signal(signal.SIGKILL)
        for image in store.list():  # it was faster than the signal; then it has to be whole
            assert contents(store, image) == expected, f"seed {seed}"
            store.remove(image.id, force=True, users=lambda image: [])
    with start(paths, name) as process:
        assert process.wait() == 0
    assert contents(store, store.resolve(name)) == expected, f"seed {seed}"
    store.sweep()
    settled(paths)
    assert set(store.layers) == set(reference.layers)
    assert set(store.blobs) == set(reference.blobs)


def contents(store: ImageStore, image: Image) -> list[dict[str, tuple[object, ...]]]:
    return [described(store.layers.diff(chain)) for chain in image.layers]


def settled(paths: Paths) -> None:
    """An orphaned child may still be noticing that nobody waits for it; its draft goes with the sweep after that."""
    deadline = time.monotonic() + 60
    while os.listdir(paths.temporary) and time.monotonic() < deadline:
        ImageStore(paths).sweep()
        time.sleep(0.05)
    assert os.listdir(paths.temporary) == []
