"""A lease is whole or not there, holds as long as its holder, and is removed only where nobody makes one."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pydocker.images import leases
from pydocker.images.store import ImageStore
from pydocker.model import digest
from pydocker.paths import Paths

WANTED = digest.of(b"wanted")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    paths.make()
    store = ImageStore(paths)
    store.make()
    yield store
    assert os.listdir(paths.temporary) == []


def test_a_lease_holds_as_long_as_its_block(store: ImageStore) -> None:
    temporary = store.paths.temporary
    with leases.lease(temporary, [WANTED]):
        assert leases.leased(temporary) == {WANTED}
        store.collect()
        assert leases.leased(temporary) == {WANTED}
    assert leases.leased(temporary) == frozenset()


def test_whoever_asks_removes_nothing(store: ImageStore) -> None:
    """What is not locked may be a lease in the making: only who holds the store's lock knows that nobody makes one."""
    void = store.paths.temporary / "lease-0"
    void.write_text("[]")
    assert leases.leased(store.paths.temporary) == frozenset()
    store.orphans()
    assert void.exists()
    store.collect()


def test_a_lease_that_was_taken_away_ends_well(store: ImageStore) -> None:
    before = os.listdir("/proc/self/fd")
    with leases.lease(store.paths.temporary, [WANTED]):
        [path] = store.paths.temporary.iterdir()
        path.unlink()
    assert os.listdir("/proc/self/fd") == before


def test_many_at_once(store: ImageStore) -> None:
    """With others asking and collecting, each lease is there while it is held, and readable."""
    def hold(at: int) -> None:
        wanted = digest.of(str(at).encode())
        with store.leasing([wanted]):
            store.collect()
            assert wanted in leases.leased(store.paths.temporary)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(200)))
