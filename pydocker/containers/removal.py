"""`rm`, and what a crash left to be removed."""

import contextlib
import logging
import os
from collections.abc import Iterator

from pydocker.containers import mounts
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.status import Statuses
from pydocker.containers.store import ID, Store
from pydocker.errors import Conflict, NotFound, PydockerError
from pydocker.model.container import ContainerId, State, Status
from pydocker.monitor import remains
from pydocker.storage.trees import delete_left
from pydocker.volumes.service import Volumes

_log = logging.getLogger(__name__)


def remove(lifecycle: Lifecycle, id: ContainerId, *, force: bool, volumes: bool = False) -> None:
    """Conflict: it runs, and `force` is not asked for. PydockerError: its files cannot be deleted; it is dead now.
    `volumes`: its anonymous volumes go, too.
    """
    with contextlib.suppress(NotFound):  # --rm may have been faster
        state = lifecycle.settled(id, end=force).state
        if state.running:
            if not force:
                raise _in_use(id, state)
            lifecycle.end(id)
        with lifecycle.locked(id) as container:
            if container.state.running:
                raise _in_use(id, container.state)
            lifecycle.take_away(container, container.state.exit_code,
                                volumes=volumes or container.record.host.auto_remove)


def _in_use(id: ContainerId, state: State) -> Conflict:
    before = "Unpause and then stop" if state.paused else "Stop"
    return Conflict(f"You cannot remove a {state.status} container {id}. {before} the container before attempting "
                    "removal or force remove")


@contextlib.contextmanager
def _told(id: ContainerId) -> Iterator[None]:
    """A container with a damaged record, or whose files cannot be deleted, is left alone, and prevents no start."""
    try:
        yield
    except (PydockerError, OSError) as error:
        _log.warning("container %s: %s", id, error)


def recover(store: Store, statuses: Statuses, volumes: Volumes) -> None:
    """At start-up, with nobody else at work:

    finish removals, drop half-made containers, tell the truth about the others.
    """
    for entry in os.scandir(store.paths.temporary):
        kind, _, id = entry.name.partition("-")
        if not entry.is_dir(follow_symlinks=False):
            continue  # no work of ours: what a link leads to would be deleted
        if kind == "removed" and ID.fullmatch(id):  # `removed-` alone, or `removed-..`, leads to all run directories
            with _told(ContainerId(id)):
                remains.finish(store.paths.container(id), store.paths.container_run(id), store.paths.names,
                               store.paths.temporary)
        elif entry.name.startswith(("container-", "removed-")):
            delete_left(store.paths.temporary / entry.name)
    known = set(store.ids())
    for link in os.scandir(store.paths.names):  # a name that was taken for a container that was never made
        if link.is_symlink() and os.readlink(link.path) not in known:
            os.unlink(link.path)
    runs = store.paths.run / "containers"
    for name in os.listdir(runs):
        if name not in known and ID.fullmatch(name):
            delete_left(runs / name)
    for id in known:
        with contextlib.suppress(FileNotFoundError), _told(id):
            container = statuses.container(id)
            ended = container.record.host.auto_remove and container.state.status in (Status.EXITED, Status.DEAD)
            if ended and remains.remove(store.paths.container(id), store.paths.container_run(id), store.paths.names,
                                        store.paths.temporary):
                store.journal.container(container.record, "destroy")
                volumes.discard(mounts.anonymous(container.record))
