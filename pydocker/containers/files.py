"""A container's files seen from outside: which have changed (`diff`), all of them (`export`).

`diff` needs no mount: it reads the container's own directory and the layers below it. `export` reads the overlay: the
one that the container's monitor has mounted, handed over as a descriptor, or one mounted for the occasion.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from pydocker.containers.status import Statuses
from pydocker.containers.store import READING, Store
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, PydockerError
from pydocker.layers import pack, view
from pydocker.layers.below import Below
from pydocker.layers.changes import Change, changes
from pydocker.layers.store import LayerStore
from pydocker.layers.walk import Walk
from pydocker.model.container import Container, ContainerId, Record
from pydocker.monitor import control
from pydocker.storage import locks

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Files:
    """Reads containers' files."""

    def __init__(self, store: Store, statuses: Statuses, streams: Streams, layers: LayerStore, holder: str) -> None:
        """`holder`: the mount point of the mount that the run root is on."""
        self._store, self._statuses, self._streams, self._layers = store, statuses, streams, layers
        self._holder = holder

    def changes(self, id: ContainerId) -> Sequence[Change]:
        """What it has changed of its image's files."""
        with self.upper(self._statuses.container(id).record) as (upper, below):
            return changes(upper, below)

    @contextlib.contextmanager
    def upper(self, record: Record) -> Iterator[tuple[int, Below]]:
        """The container's own directory, opened, and the layers below it."""
        with self.reading(record.id), contextlib.ExitStack() as held:
            fds = [os.open(path, _DIRECTORY) for path in reversed(self._lower(record))]
            for fd in fds:
                held.callback(os.close, fd)
            upper = os.open(self._upper(record), _DIRECTORY)
            held.callback(os.close, upper)
            yield upper, Below(fds)

    def export(self, id: ContainerId) -> Iterator[bytes]:
        """All files as an archive, without what is mounted over them. It has begun when this returns. Conflict: it is
        dead.
        """
        container = self._statuses.container(id)
        if container.state.dead:
            raise Conflict(f"You cannot export container {id} which is Dead")
        pieces = self._exported(container)
        return chain([next(pieces)], pieces)  # what was never begun would never be closed

    def _exported(self, container: Container) -> Iterator[bytes]:
        with self.reading(container.record.id):
            root = self.overlay(container)
            try:
                yield from pack.stream(Walk().tree(root, b""))
            finally:
                os.close(root)

    def reading(self, id: ContainerId) -> AbstractContextManager[None]:
        """For as long as this is held, `system check --repair` leaves the layers below the container alone. A lock of
        its own: who reads for long (an export into a pager) keeps the container from nothing.
        """
        return locks.held(self._store.paths.container(id) / READING, shared=True)

    def overlay(self, container: Container) -> int:
        """A descriptor (O_PATH) of the root, without its mounts."""
        if container.state.running:
            with contextlib.suppress(PydockerError):  # it ended this very moment
                return self._monitors(container.record.id)
        return self.mounted(container.record)

    def _monitors(self, id: ContainerId) -> int:
        return self._streams.ask_for(id, control.View(), f"file system of container {id[:12]}")

    def mounted(self, record: Record, *, writable: bool = False, binds: Sequence[view.Bind] = ()) -> int:
        """A descriptor of the root of a container that does not run, with these mounts."""
        work = str(self._store.paths.container(record.id) / "work") if writable else None
        return view.opened(self._lower(record), self._upper(record), work, holder=self._holder,
                           place=str(self._store.paths.run), binds=binds)

    def _lower(self, record: Record) -> list[str]:
        return [str(self._layers.diff(layer)) for layer in record.layers]

    def _upper(self, record: Record) -> str:
        return str(self._store.paths.container(record.id) / "upper")
