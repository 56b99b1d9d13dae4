"""Killed monitors: noticed once a second while a server runs, and by every command; what has to run again is started.

A monitor starts its container again by itself, as its restart policy says. One that was killed cannot: then the state
says `restarting` (the reaper has written it), nobody holds monitor.lock, and whoever sees that has it started here.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from pydocker.containers.status import Statuses
from pydocker.containers.store import ID
from pydocker.errors import PydockerError
from pydocker.model.container import ContainerId
from pydocker.monitor import remains
from pydocker.monitor.launch import LOCK
from pydocker.paths import Paths
from pydocker.storage import locks

_EVERY = 1.0  # seconds
_log = logging.getLogger(__name__)


class Reviver:
    """Starts containers, each once at a time, a while after it was asked to."""

    def __init__(self, start: Callable[[ContainerId], None]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._waiting: set[ContainerId] = set()

    def ask(self, id: ContainerId, delay: float) -> None:
        """Returns at once."""
        with self._lock:
            if id in self._waiting:
                return
            self._waiting.add(id)
        timer = threading.Timer(delay, self._revive, (id,))
        timer.name, timer.daemon = "revive", True
        timer.start()

    def _revive(self, id: ContainerId) -> None:
        try:
            self._start(id)
        except (PydockerError, OSError) as error:
            _log.warning("container %s: restart policy: %s", id, error)
        finally:
            with self._lock:
                self._waiting.discard(id)

    def busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)


class Watch:
    """A thread that looks at the run root: what has a launch document and no monitor has lost it."""

    def __init__(self, paths: Paths, statuses: Statuses) -> None:
        self._paths = paths
        self._statuses = statuses
        self._end = threading.Event()
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="watch monitors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when it is at rest."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_EVERY):
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(self._paths.run / "containers"):
                    if ID.fullmatch(name) and self._statuses.lost_monitor(name):
                        self._reconcile(ContainerId(name))

    def _reconcile(self, id: ContainerId) -> None:
        try:
            self._statuses.container(id)
        except FileNotFoundError:  # it was to be removed at its end, and is, in part: its monitor was killed at that
            self._remove(id)
        except PydockerError as error:
            if id not in self._told:  # once: it is tried again every second
                self._told.add(id)
                _log.warning("container %s: %s", id, error)

    def _remove(self, id: ContainerId) -> None:
        run = self._paths.container_run(id)
        with contextlib.suppress(FileNotFoundError):
            if self._statuses.lost_monitor(id) and (lock := locks.acquire(run / LOCK, blocking=False)) is not None:
                try:
                    remains.finish(self._paths.container(id), run, self._paths.names, self._paths.temporary)
                except PydockerError as error:
                    _log.warning("%s", error)
                finally:
                    os.close(lock)
