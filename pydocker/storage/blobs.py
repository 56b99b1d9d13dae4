"""Content-addressed blobs: `blobs/sha256/<digest>`, each named after what is in it, each complete or not there.

    tmp/blob-<random>   a draft, locked (flock) by its writer     ── fsync, rename ──>   blobs/sha256/<64 digits>

A blob never changes, so it is never locked. Two writers of the same content end with the same file.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from pydocker.errors import NotFound, PydockerError
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.storage import documents, locks

_DRAFT = "blob-"


class BlobDraft:
    """A blob in the making, which vanishes unless it was committed. A context manager.

    `write` hashes as it goes, unless the digest is `known`: then whoever brings the bytes has verified them.
    """

    def __init__(self, temporary: Path, known: Digest | None = None) -> None:
        self.path = temporary / f"{_DRAFT}{os.urandom(8).hex()}"
        self.size = 0
        self._known, self._hash = known, hashlib.sha256()
        with locks.directory(temporary, shared=True):  # no sweep between the two: not locked yet, it looks abandoned
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __enter__(self) -> "BlobDraft":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.close(self._fd)
        with contextlib.suppress(FileNotFoundError):  # committed
            os.unlink(self.path)

    def write(self, piece: bytes | memoryview) -> None:
        """Append; on disk that is full, OSError."""
        if self._known is None:
            self._hash.update(piece)
        self.size += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view):]

    @property
    def digest(self) -> Digest:
        """Of everything written."""
        return self._known or Digest("sha256:" + self._hash.hexdigest())

    def sync(self) -> None:
        """On disk, when this returns."""
        os.fsync(self._fd)


class Blobs:
    """All blobs below one directory."""

    def __init__(self, directory: Path, temporary: Path) -> None:
        self.directory, self._temporary = directory, temporary

    def path(self, name: Digest) -> Path:
        """Where the blob is, or would be. Raises InvalidParameter for what is no digest."""
        return self.directory / digest.encoded(digest.parse(name))

    def has(self, name: Digest) -> bool:
        return self.path(name).is_file()

    def size(self, name: Digest) -> int:
        """In bytes; 0 if it is not there."""
        try:
            return os.stat(self.path(name)).st_size
        except FileNotFoundError:
            return 0

    def read(self, name: Digest) -> bytes:
        """A small blob's content, verified. Raises NotFound, or PydockerError if the file does not match its name."""
        try:
            content = documents.content(self.path(name))
        except FileNotFoundError:
            raise NotFound(f"blob {name} is missing") from None
        if digest.of(content) != name:
            raise PydockerError(f"damaged blob {self.path(name)}: its content has another digest")
        return content

    def draft(self, known: Digest | None = None) -> BlobDraft:
        """Begin a blob."""
        return BlobDraft(self._temporary, known)

    def commit(self, draft: BlobDraft) -> Digest:
        """Give the draft its name. The caller has synced it, or syncs the file system before it refers to it."""
        self.place(draft.path, draft.digest)
        return draft.digest

    def place(self, file: Path, name: Digest) -> None:
        """Give a file that has this content the blob's name. PydockerError: a directory lies there."""
        try:
            os.rename(file, self.path(name))
        except IsADirectoryError:
            raise PydockerError(f"{self.path(name)} is no blob: move it away") from None

    def add(self, content: bytes) -> Digest:
        """Store a small blob; on disk when this returns."""
        name = digest.of(content)
        if not self.has(name):
            with self.draft() as draft:
                draft.write(content)
                draft.sync()
                self.commit(draft)
        return name

    def __iter__(self) -> Iterator[Digest]:
        """The digests of all blobs; none before there is a directory for them."""
        with contextlib.suppress(FileNotFoundError):
            yield from (Digest(f"sha256:{entry.name}") for entry in _entries(self.directory) if _is_blob(entry))

    def strangers(self) -> list[Path]:
        """What else lies there: no work of ours, and nothing that we would take away."""
        return sorted(Path(entry.path) for entry in _entries(self.directory) if not _is_blob(entry))

    def remove(self, name: Digest) -> int:
        """Remove a blob that nothing refers to; returns the bytes freed, 0 if it was not there."""
        try:
            size = os.stat(self.path(name)).st_size
            os.unlink(self.path(name))
        except FileNotFoundError:
            return 0
        return size

    def sweep_drafts(self) -> None:
        """Remove the drafts that nobody is writing any more."""
        with locks.directory(self._temporary):
            for name in os.listdir(self._temporary):
                if name.startswith(_DRAFT):
                    locks.unlink_free(self._temporary / name)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)


def _is_blob(entry: os.DirEntry[str]) -> bool:
    return digest.is_one(f"sha256:{entry.name}") and entry.is_file()
