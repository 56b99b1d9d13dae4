"""Containers on disk: `containers/<id>/config.json`, and `names/<name>`, a symbolic link whose target is the id.

A container exists when `containers/<id>` does: the directory is filled under `tmp/` and renamed, and renamed back there
before it is deleted. A link whose container is in neither place is what a crash left, and counts as free. Links change
only under the lock of `names/`; directories need none, because rename(2) lets one of two win.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from pydocker.containers import names
from pydocker.errors import Conflict, InvalidParameter, NotFound, PydockerError
from pydocker.events.journal import Journal
from pydocker.model.container import ContainerId, Record
from pydocker.monitor import remains
from pydocker.paths import Paths, is_own
from pydocker.storage import documents, locks

RECORD = "config.json"
_FEW = 64  # records that may be remembered in vain
READING = "reading"  # whoever holds this lock of a container reads the layers below it
ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PREFIX = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


def is_one(entry: os.DirEntry[str]) -> bool:
    """Whether this, below the data root's `containers`, is a container: nobody else makes such directories."""
    return ID.fullmatch(entry.name) is not None and entry.is_dir(follow_symlinks=False)


class Store:
    """The records below one data root. Decoded ones are kept in memory as long as their file has not changed."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.journal = Journal(paths.events)
        self._decoded: dict[str, tuple[tuple[int, int], Record]] = {}
        self._most_decoded = _FEW

    def ids(self) -> list[ContainerId]:
        with os.scandir(self.paths.containers) as entries:
            return [ContainerId(entry.name) for entry in entries if is_one(entry)]

    def record(self, id: str) -> Record:
        """Raises FileNotFoundError when there is no such container (any more)."""
        path = self.paths.container(id) / RECORD
        found = os.stat(path)
        stamp = (found.st_ino, found.st_mtime_ns)
        known = self._decoded.get(id)
        if known is None or known[0] != stamp:
            known = (stamp, documents.read(path, Record))
            self._decoded[id] = known
        return known[1]

    def resolve(self, ref: str) -> ContainerId:
        """The id that `ref` (id, name, unambiguous prefix; looked for in this order, as Docker does) stands for."""
        if ID.fullmatch(ref) and self._is_there(ref):
            return ContainerId(ref)
        with contextlib.suppress(OSError, InvalidParameter):  # what is no name (one letter, say) may be a prefix
            return self._named(names.check(ref))
        found = [id for id in self.ids() if id.startswith(ref)] if _PREFIX.fullmatch(ref) else []
        if len(found) > 1:
            raise PydockerError(f"Multiple IDs found with provided prefix: {ref}")
        if not found:
            raise NotFound(f"No such container: {ref}")
        return found[0]

    def _named(self, name: str) -> ContainerId:
        id = os.readlink(self.paths.names / name)
        if not self._is_there(id):
            raise FileNotFoundError(id)
        return ContainerId(id)

    def _is_there(self, id: str) -> bool:
        """A link in a container's place is none: what is where it leads would be deleted with the container."""
        return is_own(self.paths.container(id))

    @contextlib.contextmanager
    def preparing(self) -> Iterator[tuple[ContainerId, Path]]:
        """A new id and the directory to fill; it is gone afterwards unless `publish` took it."""
        id = ContainerId(secrets.token_hex(32))
        directory = self.paths.temporary / f"container-{id}"
        os.mkdir(directory, 0o700)
        try:
            yield id, directory
        finally:
            if directory.exists():
                remains.delete_tree(directory)

    def publish(self, directory: Path, record: Record) -> None:
        """Make the filled directory the container `record`: from here on it exists. Conflict: its name is taken.

        A container with --rm is gone after a power cut anyway, so only the others are worth the wait for the disk.
        """
        self._forget_removed()
        durable = not record.host.auto_remove
        documents.write(directory / RECORD, record, durable=durable)
        with locks.held(self.paths.names / ".lock"):
            self._claim(record.name, record.id)
            os.rename(directory, self.paths.container(record.id))
        if durable:
            documents.sync_directory(self.paths.containers)

    def change(self, record: Record) -> None:
        """Replace what is recorded of a container that keeps its name."""
        documents.write(self.paths.container(record.id) / RECORD, record)

    def rename(self, record: Record) -> None:
        """Give the container the name that the record now carries."""
        old = self.record(record.id).name
        if record.name == old:
            raise Conflict("Renaming a container with the same name as its current name")
        with locks.held(self.paths.names / ".lock"):
            self._claim(record.name, record.id)
            documents.write(self.paths.container(record.id) / RECORD, record)
            remains.release_name(self.paths.names, old, record.id)

    def _claim(self, name: str, id: ContainerId) -> None:
        link = self.paths.names / name
        with contextlib.suppress(FileNotFoundError):
            holder = os.readlink(link)
            if self.paths.container(holder).is_dir() or remains.grave(self.paths.temporary, holder).is_dir():
                raise Conflict(f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                               "You have to remove (or rename) that container to be able to reuse that name.")
            os.unlink(link)
        os.symlink(id, link)

    def free_name(self) -> str:
        """A name that nobody has now."""
        for attempt in range(100):
            name = names.invent(attempt)
            if not os.path.lexists(self.paths.names / name):
                return name
        raise PydockerError("no free container name found in 100 attempts: give one with --name")

    def _forget_removed(self) -> None:
        """Now and then: what --rm has removed, its monitor does not tell us."""
        if len(self._decoded) > self._most_decoded:
            for id in self._decoded.keys() - set(self.ids()):
                self.forget(id)
            self._most_decoded = 2 * len(self._decoded) + _FEW

    def forget(self, id: str) -> None:
        """Drop what is remembered of a removed container."""
        self._decoded.pop(id, None)
