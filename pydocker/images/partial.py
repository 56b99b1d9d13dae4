"""A layer's compressed bytes on their way here: kept where the way ends too early, so that the next pull goes on there.

    tmp/partial-<64 digits>     locked (flock) by the pull that fetches it    ── sync, rename ──>    blobs/sha256/…

Its name is the digest that its content will have, so a later pull finds it; what is in it counts for nothing before all
of it was read again and had that digest. It becomes a blob only together with the unpacked layers: what is named in
blobs/ is wanted by an image, or it is an orphan that the next cleaning takes away. A part that nobody asks for again is
removed after a day.
"""

import contextlib
import hashlib
import os
import stat
import threading
import time
from pathlib import Path

from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.storage import locks
from pydocker.storage.blobs import Blobs

_PARTIAL = "partial-"
_PIECE = 1 << 20
KEPT = 24 * 3600.0  # seconds


class Partial:
    """One blob that is being fetched. `check` has digested the `size` bytes that are there; who brings more goes on.

    `guard` is for layers with the same blob: the second one waits until it is `complete`. Close it, in any case.
    """

    def __init__(self, temporary: Path, blob: Digest) -> None:
        self.blob, self.guard, self.complete = blob, threading.Lock(), False
        self.path, self._fd = _open(temporary, blob)
        self.size, self.check = 0, hashlib.sha256()
        while piece := os.read(self._fd, _PIECE):
            self.check.update(piece)
            self.size += len(piece)

    def write(self, piece: bytes) -> None:
        """Append what `check` has digested already; on a disk that is full, OSError."""
        self.size += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view):]

    def empty(self) -> None:
        """Begin anew: what was kept is not what it should be."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.size, self.check, self.complete = 0, hashlib.sha256(), False

    def commit(self, blobs: Blobs) -> None:
        """Make it a blob. The caller has synced the file system."""
        blobs.place(self.path, self.blob)

    def discard(self) -> None:
        """Remove what is there; nothing, after `commit`."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another pull have it, if there is something to have."""
        if not self.size:
            self.discard()
        os.close(self._fd)


def _open(temporary: Path, blob: Digest) -> tuple[Path, int]:
    """The blob's own file, locked. Whoever finds it locked takes another one, which nobody will find again: waiting
    for each other's layers, two pulls could wait for ever."""
    path = temporary / f"{_PARTIAL}{digest.encoded(blob)}"
    while (fd := locks.acquire(path, blocking=False)) is None:
        path = temporary / f"{_PARTIAL}{os.urandom(8).hex()}"
    return path, fd


def sweep(temporary: Path, age: float = KEPT) -> int:
    """Remove the parts that nobody is fetching, and that are older than `age` (seconds); the bytes freed."""
    freed = 0
    for name in os.listdir(temporary):
        if name.startswith(_PARTIAL):
            freed += _sweep_one(temporary / name, time.time() - age)
    return freed


def size(temporary: Path) -> int:
    """The bytes of all parts, also of those that are being fetched."""
    found = 0
    for name in os.listdir(temporary):
        if name.startswith(_PARTIAL):
            with contextlib.suppress(FileNotFoundError):
                found += (temporary / name).stat().st_size
    return found


def is_kept(path: Path) -> bool:
    """Whether this is a part with which a pull may go on, and not too old for that."""
    return path.name.startswith(_PARTIAL) and path.lstat().st_mtime > time.time() - KEPT


def _sweep_one(path: Path, before: float) -> int:
    try:
        there = path.lstat()  # before its lock is taken: a pull that finds that taken cannot go on with the part
    except FileNotFoundError:
        return 0
    if there.st_mtime > before or not stat.S_ISREG(there.st_mode) or (fd := locks.take(path)) is None:
        return 0
    try:
        path.unlink()
        return there.st_size
    finally:
        os.close(fd)
