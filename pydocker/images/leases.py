"""What must not be removed although no image has it: blobs and layers of containers and of pulls in progress.

A pull says what it is about to need in `tmp/lease-<random>` and keeps that file locked; a removal reads the leases that
are locked. A lease whose pull was killed is free, thus void, without anybody looking at a pid.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pydocker.model.digest import Digest
from pydocker.paths import Paths
from pydocker.storage import documents, locks

_LEASE = "lease-"


class _Stack(msgspec.Struct, frozen=True):
    """The one field of a container's `config.json` that matters here."""

    layers: tuple[Digest, ...] = ()


@contextlib.contextmanager
def lease(temporary: Path, digests: Iterable[Digest]) -> Iterator[None]:
    """Keep these blobs and chain ids from being removed for the length of a `with` block."""
    path = temporary / f"{_LEASE}{os.urandom(8).hex()}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with open(fd, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(sorted(set(digests))))
        yield
    finally:
        os.unlink(path)
        os.close(fd)


def leased(temporary: Path) -> frozenset[Digest]:
    """Everything that some living pull needs. Void leases are removed on the way."""
    found: set[Digest] = set()
    for name in os.listdir(temporary):
        path = temporary / name
        if not name.startswith(_LEASE):
            continue
        if locks.is_held(path):
            with contextlib.suppress(FileNotFoundError):  # its pull ended just now
                found.update(documents.read(path, list[Digest]))
        else:
            path.unlink(missing_ok=True)
    return frozenset(found)


def stacked(paths: Paths) -> frozenset[Digest]:
    """The chain ids that containers stand on, also those whose image was removed by force."""
    found: set[Digest] = set()
    for name in os.listdir(paths.containers):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it is just being made, or removed
            found.update(documents.read(paths.container(name) / "config.json", _Stack).layers)
    return frozenset(found)
