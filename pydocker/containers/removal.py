"""`rm`, and what a crash left to be removed."""

import contextlib
import os

from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.errors import Conflict, NotFound
from pydocker.model.container import ContainerId, Status
from pydocker.monitor import remains


def remove(lifecycle: Lifecycle, statuses: Statuses, id: ContainerId, *, force: bool) -> None:
    """Conflict: it runs, and `force` is not asked for."""
    if statuses.container(id).state.running:
        if not force:
            raise Conflict(f"You cannot remove a running container {id}. Stop the container before attempting removal "
                           "or force remove")
        lifecycle.end(id)
    with contextlib.suppress(NotFound), lifecycle.locked(id) as container:  # --rm may have been faster
        if container.state.running:
            raise Conflict(f"You cannot remove a running container {id}. Stop the container before attempting removal "
                           "or force remove")
        lifecycle.take_away(container, container.state.exit_code)


def recover(store: Store, statuses: Statuses) -> None:
    """At start-up, with nobody else at work:

    finish removals, drop half-made containers, tell the truth about the others.
    """
    for entry in os.scandir(store.paths.temporary):
        if entry.name.startswith(("container-", "removed-")):
            remains.delete_tree(store.paths.temporary / entry.name)
    known = set(store.ids())
    runs = store.paths.run / "containers"
    for name in os.listdir(runs):
        if name not in known:
            remains.delete_tree(runs / name)
    for id in known:
        with contextlib.suppress(FileNotFoundError):
            container = statuses.container(id)
            if container.record.host.auto_remove and container.state.status is Status.EXITED:
                remains.remove(store.paths.container(id), store.paths.container_run(id), store.paths.names,
                               store.paths.temporary)
