"""The unpacked layers: `layers/<chain id>/{diff, record.json}`, each complete or not there.

    tmp/layer-<random>/     a draft, locked (flock) by whoever works on it
       diff/                what the archive becomes
       result.json          what the unpacker found out
           │ inherit; sync the file system; write record.json; rename
    layers/<chain id>/      from here on it never changes

A rename is atomic, so a crash leaves a draft, and a draft without a living owner is taken away by the next sweep.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

import msgspec

from pydocker.errors import NotFound, PydockerError
from pydocker.layers.foreman import DIFF, RESULT, Result
from pydocker.layers.inherit import inherit
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.paths import Paths, is_own
from pydocker.storage import documents, locks
from pydocker.storage.trees import delete_left
from runtime.linux.syncfs import syncfs

_RECORD = "record.json"
_DRAFT = "layer-"


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a layer without walking it. `size` in bytes of all its regular files."""

    diff_id: Digest
    parent: Digest | None
    size: int
    entries: int


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """The chain id of each layer, lowest first (OCI image spec, config.md, "Layer ChainID")."""
    found: list[Digest] = []
    for diff_id in diff_ids:
        found.append(digest.of(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return tuple(found)


class Draft:
    """A layer in the making: a locked directory, which vanishes unless it was committed. A context manager."""

    def __init__(self, temporary: Path) -> None:
        self.path = temporary / f"{_DRAFT}{os.urandom(8).hex()}"
        with locks.directory(temporary, shared=True):  # no sweep between: not locked yet, it looks abandoned
            os.mkdir(self.path, 0o700)
            self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.mkdir(self.path / DIFF, 0o755)

    def empty(self) -> None:
        """Begin anew, after an attempt to unpack into it failed."""
        shutil.rmtree(self.path / DIFF)
        os.mkdir(self.path / DIFF, 0o755)
        (self.path / RESULT).unlink(missing_ok=True)

    def unlock(self) -> None:
        """Nobody works on it any more: neither its child, whose descriptor shares the lock, nor its context."""
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.close(self.lock)
        _remove_free(self.path)


class LayerStore:
    """All layers below one data root. Holds no state: any number of them, in any process, see the same."""

    def __init__(self, paths: Paths) -> None:
        self._layers, self._temporary = paths.layers, paths.temporary

    def diff(self, chain: Digest) -> Path:
        """The directory of a layer, for an overlay's stack. Raises NotFound if it is not there: a link, which could
        lead anywhere, is none."""
        path = self._directory(chain) / DIFF
        if not (self.has(chain) and is_own(path)):
            raise NotFound(f"no such layer: {chain}")
        return path

    def has(self, chain: Digest) -> bool:
        """Whether the layer is there, complete."""
        return is_own(self._directory(chain))

    def record(self, chain: Digest) -> LayerRecord:
        """Raises NotFound."""
        with contextlib.suppress(FileNotFoundError):
            if self.has(chain):
                return documents.read(self._directory(chain) / _RECORD, LayerRecord)
        raise NotFound(f"no such layer: {chain}")

    def __iter__(self) -> Iterator[Digest]:
        """The chain ids of all layers."""
        return (Digest(f"sha256:{entry.name}") for entry in self._entries() if _is_layer(entry))

    def strangers(self) -> list[Path]:
        """What else lies there: no work of ours, and nothing that we would take away."""
        return sorted(Path(entry.path) for entry in self._entries() if not _is_layer(entry))

    def draft(self) -> Draft:
        """Begin a layer."""
        return Draft(self._temporary)

    def settle(self, draft: Draft, result: Result, diff_id: Digest, below: Sequence[Digest],
               drafts: Mapping[Digest, Draft] = MappingProxyType({})) -> None:
        """Make the draft, whose archive had the digest `diff_id`, complete for its place on top of `below`.

        Layers of `below` that are not committed yet have to be in `drafts`, settled.
        """
        unpacked = result.unpacked
        stack = [drafts[chain].path / DIFF if chain in drafts else self.diff(chain) for chain in below]
        inherit(draft.path / DIFF, unpacked.implied, stack)
        os.unlink(draft.path / RESULT)
        record = LayerRecord(diff_id=diff_id, parent=below[-1] if below else None, size=unpacked.size,
                             entries=unpacked.entries)
        documents.write(draft.path / _RECORD, record, durable=False)  # `sync` comes before `commit`

    def commit(self, draft: Draft, chain: Digest) -> None:
        """Give the settled and synced draft its name. If another pull was faster, its layer stays and this one goes.

        The lock, which keeps sweeps from drafts, ends here: `bury` takes a layer's, and its caller, who undoes what was
        begun, may be within the draft's context and would wait for himself.
        """
        try:
            os.rename(draft.path, self._directory(chain))
        except NotADirectoryError:
            raise PydockerError(f"{self._directory(chain)} is no layer: move it away") from None
        except OSError:
            if not self.has(chain):
                raise
        draft.unlock()

    def sync(self) -> None:
        """Put everything on disk that was written so far: what is named after this survives a power cut."""
        fd = os.open(self._layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        finally:
            os.close(fd)

    def remove(self, chain: Digest) -> None:
        """Take a layer away that nothing refers to. It is renamed first, so that it is never seen half removed."""
        self.bury(chain)()

    def bury(self, chain: Digest) -> Callable[[], None]:
        """The same in two steps: from now on the layer is not there; the function that this returns deletes its files,
        which may take seconds and needs no lock. It has to be called; until then they are locked like a draft."""
        gone = self._temporary / f"{_DRAFT}{os.urandom(8).hex()}"
        lock = os.open(self._directory(chain), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(self._directory(chain), gone)
        except BaseException:
            os.close(lock)
            raise

        def delete() -> None:
            try:
                shutil.rmtree(gone)
            finally:
                os.close(lock)

        return delete

    def sweep_drafts(self) -> None:
        """Remove the drafts of killed pulls.

        An unpacker may outlive its pull for a moment, and holds the draft's lock so long: the next pull finds it free.
        """
        with contextlib.ExitStack() as taken:
            abandoned = []
            with locks.directory(self._temporary):  # not while deleting: it keeps everybody from making something
                for path in self._temporary.glob(f"{_DRAFT}*"):
                    if (fd := locks.take(path)) is not None:
                        taken.callback(os.close, fd)
                        abandoned.append(path)
            for path in abandoned:
                delete_left(path)

    def _entries(self) -> list[os.DirEntry[str]]:
        with os.scandir(self._layers) as entries:
            return list(entries)

    def _directory(self, chain: Digest) -> Path:
        return self._layers / digest.encoded(digest.parse(chain))


def _is_layer(entry: os.DirEntry[str]) -> bool:
    return digest.is_one(f"sha256:{entry.name}") and entry.is_dir(follow_symlinks=False)


def _remove_free(path: Path) -> None:
    """Remove a draft once nobody works on it any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        shutil.rmtree(path)
    except FileNotFoundError:  # somebody had the lock before us, and removed it
        return
    finally:
        os.close(fd)
