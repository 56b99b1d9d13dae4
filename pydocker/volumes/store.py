"""Volumes on disk: `volumes/<name>/volume.json`, and beside it `_data`, which a container sees.

A volume exists when `volumes/<name>` does: the directory is filled under `tmp/` and renamed, and renamed back there
before it is deleted; rename(2) lets one of two win. `volume.json` has no name in it, so that `volume rename` is one
rename(2), too.

    volumes/ itself       shared: by who writes down that he uses volumes (a container's record)
                          exclusive: by who takes a name away (rm, rename, prune)
    volumes/<name>/lock   shared: by who reads all of it (export, clone); exclusive: by who fills it

The first is never held for longer than a few renames: filling, deleting and measuring wait for nobody's names.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from pydocker.errors import Conflict, InvalidParameter, NotFound, PydockerError
from pydocker.model import volume
from pydocker.model.volume import Volume
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from pydocker.storage.trees import delete_left, delete_tree
from runtime.linux.mountinfo import mountinfo

RECORD, DATA, LOCK = "volume.json", "_data", "lock"
_DRAFT = "volume-"

Inode = tuple[int, int]


class Store:
    """The volumes below one data root."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def names(self) -> list[str]:
        """Of all; what else lies there is somebody's mistake, and no volume."""
        return sorted(entry.name for entry in os.scandir(self.paths.volumes)
                      if volume.is_name(entry.name) and entry.is_dir(follow_symlinks=False))

    def get(self, name: str) -> Volume:
        """Raises NotFound, PydockerError (its record is damaged, or missing)."""
        try:
            directory = self.paths.volume(volume.check_name(name))
            return documents.read(directory / RECORD, Volume)
        except InvalidParameter:
            raise NotFound(f"get {name}: no such volume") from None
        except FileNotFoundError as error:
            if directory.is_dir() and not (directory / RECORD).exists():
                raise PydockerError(f"volume {name}: its record is missing (see `system check`)") from error
            raise NotFound(f"get {name}: no such volume") from None

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Nobody takes a volume away for the length of this block."""
        with locks.directory(self.paths.volumes, shared=True):
            yield

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """Nobody begins to use one for the length of this block."""
        with locks.directory(self.paths.volumes):
            yield

    def identity(self, name: str) -> Inode | None:
        """Which one has that name now; None: there is none."""
        try:
            there = os.stat(self.paths.volume(name), follow_symlinks=False)
        except FileNotFoundError:
            return None
        return there.st_dev, there.st_ino

    @contextlib.contextmanager
    def filling(self, name: str) -> Iterator[Path]:
        """Nobody else writes or reads all of it for the length of this block: its directory. Raises NotFound."""
        with self._locked(name, shared=False) as directory:
            yield directory

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """Nobody fills or removes it for the length of this block: its directory. Raises NotFound."""
        with self._locked(name, shared=True) as directory:
            yield directory

    @contextlib.contextmanager
    def _locked(self, name: str, *, shared: bool) -> Iterator[Path]:
        directory = self.paths.volume(name)
        try:
            lock = locks.acquire(directory / LOCK, shared=shared)
        except FileNotFoundError:
            raise NotFound(f"get {name}: no such volume") from None
        assert lock is not None
        try:
            yield directory
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def draft(self) -> Iterator[Path]:
        """A directory with an empty `_data`, to become a volume; it is gone afterwards unless `publish` took it."""
        path = self.paths.temporary / f"{_DRAFT}{os.urandom(8).hex()}"
        with locks.directory(self.paths.temporary, shared=True):  # no sweep between making and locking it
            os.mkdir(path, 0o700)
            lock = locks.take(path)
        assert lock is not None
        try:
            os.mkdir(path / DATA, 0o755)
            os.chmod(path / DATA, 0o755)  # whatever the umask is
            yield path
        finally:
            delete_tree(path)
            os.close(lock)

    def publish(self, draft: Path, name: str, made: Volume) -> bool:
        """Let the draft, whose content is on disk, become the volume `name`. False: somebody was first."""
        documents.write(draft / RECORD, made)
        try:
            os.rename(draft, self.paths.volume(name))
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        documents.sync_directory(self.paths.volumes)
        return True

    def change(self, name: str, *, labels: dict[str, str]) -> None:
        """Give it other labels. Call it while `taking`."""
        documents.write(self.paths.volume(name) / RECORD, structs.replace(self.get(name), labels=labels))

    def rename(self, old: str, new: str) -> None:
        """Call it while `taking`. Raises Conflict: the new name is taken, or somebody fills it."""
        lock = locks.acquire(self.paths.volume(old) / LOCK, blocking=False, shared=True)
        if lock is None:
            raise Conflict(f"rename {old}: volume is in use - it is being filled")
        try:
            os.rename(self.paths.volume(old), self.paths.volume(new))
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise Conflict(f"rename {old}: a volume named {new} exists already") from error
            raise
        finally:
            os.close(lock)
        documents.sync_directory(self.paths.volumes)

    def bury(self, name: str, *, empty: bool = False) -> Path:
        """Take its name away: what is left to be deleted. Call it while `taking`, of one that nobody uses.

        Raises Conflict: somebody reads or fills it, or has mounted on it; or there is something in it, and only an
        `empty` one is to go.
        """
        directory = self.paths.volume(name)
        lock = locks.acquire(directory / LOCK, blocking=False)
        if lock is None:
            raise Conflict(f"remove {name}: volume is in use - it is being read or filled")
        try:
            if empty and (directory / DATA).exists() and os.listdir(directory / DATA):
                raise Conflict(f"remove {name}: volume is not empty")
            inside = f"{os.path.realpath(directory)}/"
            for mount in mountinfo():
                if mount.target.startswith(inside):
                    raise Conflict(f"remove {name}: volume is in use - something is mounted on {mount.target}")
            grave = self.paths.temporary / f"{_DRAFT}{os.urandom(8).hex()}"
            os.rename(directory, grave)
            documents.sync_directory(self.paths.volumes)
            return grave
        finally:
            os.close(lock)

    def delete(self, name: str, grave: Path) -> None:
        """All of a volume that had that name. Raises PydockerError: not all of it can be deleted."""
        try:
            delete_tree(grave)
        except OSError as error:
            raise PydockerError(f"remove {name}: {os.strerror(error.errno or 0).lower()}: the volume is gone, and what "
                                f"could not be deleted of it is in {grave}") from error

    def sweep(self) -> None:
        """Delete what a crash left half made, or half removed."""
        with locks.directory(self.paths.temporary):
            for name in os.listdir(self.paths.temporary):
                if name.startswith(_DRAFT):
                    lock = locks.take(self.paths.temporary / name)
                    if lock is not None:
                        delete_left(self.paths.temporary / name)
                        os.close(lock)
