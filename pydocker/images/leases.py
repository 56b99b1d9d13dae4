"""What must not be removed although no image has it: blobs and layers of containers and of pulls in progress.

A pull says what it is about to need in `tmp/lease-<random>` and keeps that file locked; a removal reads the leases that
are locked. A lease whose pull was killed is free, thus void, without anybody looking at a pid.

    tmp/terms-<random>    made, locked, written     ── rename ──>    tmp/lease-<random>

So whoever reads a lease, with or without the store's lock, reads a whole one.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pydocker.model.digest import Digest
from pydocker.model.point import Point
from pydocker.paths import Paths
from pydocker.storage import documents, locks

_LEASE, _DRAFT = "lease-", "terms-"


class _Stack(msgspec.Struct, frozen=True):
    """The fields of a container's `config.json` that matter here: its own layers, and those of images it mounts."""

    layers: tuple[Digest, ...] = ()
    points: tuple[Point, ...] | None = None

    @property
    def all(self) -> tuple[Digest, ...]:
        return (*self.layers, *(layer for point in self.points or () for layer in point.layers))


@contextlib.contextmanager
def lease(temporary: Path, digests: Iterable[Digest]) -> Iterator[None]:
    """Keep these blobs and chain ids from being removed for the length of a `with` block."""
    random = os.urandom(8).hex()
    path, draft = temporary / f"{_LEASE}{random}", temporary / f"{_DRAFT}{random}"
    with locks.directory(temporary, shared=True):  # no sweep between the two: not locked yet, it looks abandoned
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(sorted(set(digests))))
        os.rename(draft, path)
        yield
    finally:
        path.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        os.close(fd)


def leased(temporary: Path) -> frozenset[Digest]:
    """Everything that some living pull needs. It only reads."""
    found: set[Digest] = set()
    for name in os.listdir(temporary):
        if name.startswith(_LEASE) and locks.is_held(temporary / name):
            with contextlib.suppress(FileNotFoundError):  # its pull ended just now
                found.update(documents.read(temporary / name, list[Digest]))
    return frozenset(found)


def sweep(temporary: Path) -> None:
    """Remove the void leases, and those that a crash left half written."""
    with locks.directory(temporary):
        for name in os.listdir(temporary):
            if name.startswith((_LEASE, _DRAFT)):
                locks.unlink_free(temporary / name)


def stacks(paths: Paths) -> dict[str, tuple[Digest, ...]]:
    """The chain ids that each container stands on, also of those whose image was removed by force."""
    found: dict[str, tuple[Digest, ...]] = {}
    for name in os.listdir(paths.containers):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it is just being made, or removed
            found[name] = documents.read(paths.container(name) / "config.json", _Stack).all
    return found
