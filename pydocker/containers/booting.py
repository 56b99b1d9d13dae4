"""What comes back after the machine was started anew: containers whose restart policy says so.

A server comes and goes; a boot is told apart by the kernel's boot id, which is kept in the run root (that is, where
the run root is a tmpfs, as it should be, by its absence).
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.errors import PydockerError
from pydocker.model.container import ContainerId
from pydocker.monitor import restart
from pydocker.storage import documents

_FILE = "boot-id"
_log = logging.getLogger(__name__)


def is_first_start(run: Path) -> bool:
    """Whether no engine has done this since the machine was started."""
    with contextlib.suppress(FileNotFoundError):
        return (run / _FILE).read_bytes() != _boot_id()
    return True


def done(run: Path) -> None:
    """Everything that was to come back has been started. A server that is killed before leaves it to the next one."""
    documents.replace(run / _FILE, _boot_id(), durable=False, mode=0o600)


def _boot_id() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes()


def to_start(store: Store, statuses: Statuses) -> list[ContainerId]:
    """Those that are to run, and do not. The oldest first, as they may need each other in this order."""
    found = []
    for id in store.ids():
        try:
            container = statuses.container(id)
        except (FileNotFoundError, PydockerError) as error:
            _log.warning("container %s: %s", id, error)
            continue
        state = container.state
        policy = container.record.host.restart_policy
        if not (state.running or state.dead) and restart.after_boot(
                policy, count=state.restarts, started=state.started, stopped=state.stopped, code=state.exit_code):
            found.append(container)
    return [one.record.id for one in sorted(found, key=lambda one: one.record.created)]


class Return:
    """After a boot, beside the first requests: start what its restart policy wants to run."""

    def __init__(self, store: Store, statuses: Statuses, start: Callable[[ContainerId], None]) -> None:
        self._store = store
        self._statuses = statuses
        self._start = start
        self._thread = threading.Thread(target=self._run, name="bring back")

    def begin(self) -> None:
        """If no engine has done it since the machine was started."""
        if is_first_start(self._store.paths.run):
            self._thread.start()

    def busy(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def _run(self) -> None:
        for id in to_start(self._store, self._statuses):
            try:
                self._start(id)
            except (PydockerError, OSError) as error:  # it was started by hand, or removed; or it cannot be
                _log.warning("container %s: restart policy: %s", id, error)
        done(self._store.paths.run)
