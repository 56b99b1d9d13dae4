"""What is in a volume, opened: where its directory is, or in the file system that is mounted for it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pydocker.errors import Conflict
from pydocker.model.volume import Volume
from pydocker.volumes import filesystem, filling
from pydocker.volumes.store import DATA, Store

Mounted = Callable[[str], int | None]


class Contents:
    """Of all volumes; `holder` and `mounted` as for `Volumes`."""

    def __init__(self, store: Store, holder: str, mounted: Mounted) -> None:
        self._store, self._holder, self._mounted = store, holder, mounted

    @contextlib.contextmanager
    def read(self, name: str, found: Volume) -> Iterator[filling.Target]:
        """Its content, which nobody fills or removes meanwhile.

        What is in memory stays as long as we hold it: a lock would only hold up the containers that start with it.
        """
        with contextlib.ExitStack() as held:
            directory = held.enter_context(self._store.reading(name))
            with self.target(directory, found) as target:
                if found.filesystem is not None and found.filesystem.in_memory:
                    held.close()
                yield target

    @contextlib.contextmanager
    def emptied(self, name: str, found: Volume) -> Iterator[filling.Target]:
        """Nobody else fills or reads it. Raises Conflict: there is something in it, or it would not stay there."""
        with self._store.filling(name) as directory, self.target(directory, found, lasting=True) as target:
            filling.finish(target)
            if target.names():
                raise Conflict(f"import {name}: volume is not empty")
            yield target

    def target(self, directory: Path, found: Volume, *, lasting: bool = False
               ) -> AbstractContextManager[filling.Target]:
        """Its content, mounted where that is to be; of a file system in memory, the one that containers have: if it has
        to be `lasting`, and there is none, that is a Conflict.
        """
        if found.filesystem is None:
            return filling.beside(directory)
        new = filesystem.elsewhere(found.filesystem, str(directory / DATA), self._holder)
        there = self._mounted(directory.name) if found.filesystem.in_memory else None
        if lasting and found.filesystem.in_memory and there is None:
            raise Conflict(f"import {directory.name}: the volume is in memory, and no running container has it")
        return filling.beside(directory, new if there is None else lambda: there)

    def vanishes(self, name: str, found: Volume) -> bool:
        """Whether what is put into it now would be gone at once: it is in memory, and nobody has it mounted."""
        if found.filesystem is None or not found.filesystem.in_memory:
            return False
        there = self._mounted(name)
        if there is not None:
            os.close(there)
        return there is None
