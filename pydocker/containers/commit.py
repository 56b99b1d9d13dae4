"""`commit`: what a container has changed of its image, and how it is set up, as a new image.

Its processes are held still meanwhile, unless that is not wanted: what they write between two files would be half in
the layer. What is read is the container's own directory, as for `diff`.
"""

import contextlib
from collections.abc import Iterator
from itertools import chain

from pydocker.containers import pausing, presets
from pydocker.containers.files import Files
from pydocker.containers.options import CommitOptions
from pydocker.containers.status import Statuses
from pydocker.containers.streams import Streams
from pydocker.containers.top import processes
from pydocker.errors import Conflict, InvalidParameter, PydockerError
from pydocker.images.changes import changed
from pydocker.images.committing import Told, commit
from pydocker.images.store import ImageStore
from pydocker.layers import pack
from pydocker.layers.changes import layer
from pydocker.model.container import Container, ContainerId, State, Status
from pydocker.model.image import Image
from pydocker.model.reference import Reference


class Commits:
    """Makes images of containers."""

    def __init__(self, images: ImageStore, files: Files, statuses: Statuses, streams: Streams) -> None:
        self._images, self._files, self._statuses, self._streams = images, files, statuses, streams

    def commit(self, id: ContainerId, reference: Reference | None, options: CommitOptions) -> Image:
        """The new image. NotFound: the container's image is gone; InvalidParameter: a wrong change, or a digest;
        Conflict: the container is dead.
        """
        if reference is not None and reference.digest is not None:
            raise InvalidParameter("cannot commit to digest reference")
        container = self._statuses.container(id)
        if container.state.dead:
            raise Conflict(f"You cannot commit container {id} which is Dead")
        record = container.record
        parent = self._images.resolve(record.image)
        preset = presets.of(record.config)
        defaults = presets.merged(options.config, preset) if options.config else preset
        told = Told(defaults=changed(defaults, options.changes), author=options.author, comment=options.comment,
                    created_by=" ".join(record.config.cmd or ()))
        with self._still(id) if options.pause else contextlib.nullcontext(), \
                self._files.upper(record) as (upper, below):
            entries = layer(upper, below)
            first = next(entries, None)
            content = None if first is None else pack.stream(chain([first], entries))
            return commit(self._images, parent, content, told, reference)

    @contextlib.contextmanager
    def _still(self, id: ContainerId) -> Iterator[None]:
        """One that has no processes, or that somebody else has paused, stays as it is."""
        state = self._statuses.container(id).state
        paused = state.status is Status.RUNNING and self._paused(id, state)
        try:
            yield
        finally:
            if paused:
                with contextlib.suppress(PydockerError):  # it was killed, or somebody else has woken it
                    pausing.unpause(self._streams, self._statuses.container(id))

    def _paused(self, id: ContainerId, before: State) -> bool:
        """Pause it. False: it has ended, or somebody was faster. Raises PydockerError: what runs cannot be paused."""
        try:
            pausing.pause(self._streams, self._statuses.container(id))
        except PydockerError:
            container = self._statuses.container(id)
            if container.state.pid == before.pid and container.state.status is Status.RUNNING and _lives(container):
                raise
            return False
        return True


def _lives(container: Container) -> bool:
    """Whether it has processes, whatever its monitor has recorded by now."""
    try:
        return bool(processes(container))
    except Conflict:
        return False
