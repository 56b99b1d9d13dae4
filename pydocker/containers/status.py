"""What a container's state truly is: what its monitor wrote, as long as that monitor lives.

A state that says "running" while nobody holds monitor.lock is a lie that a killed monitor (or a power cut) left. It is
put right by whoever notices: a fork of the spawner takes the container down and records the end.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable

import msgspec

from pydocker.containers import halted
from pydocker.containers.store import Store
from pydocker.errors import PydockerError
from pydocker.model.container import Container, ContainerId, Record, State, Status
from pydocker.monitor import restart
from pydocker.monitor.launch import FILE, LOCK
from pydocker.monitor.reaper import after
from pydocker.monitor.recorded import STATE
from pydocker.monitor.spawner import Spawner
from pydocker.storage import documents, locks

_log = logging.getLogger(__name__)

_GLANCE = 0.002  # seconds between two looks
REBOOTED = 255  # Docker's exit code for a container that a reboot ended


class Statuses:
    """Reads states, and reconciles those that are not true.

    `revive` is told of containers that wait for a start which their monitors, being dead, cannot make, and how long
    they have to wait.
    """

    def __init__(self, store: Store, spawner: Spawner, revive: Callable[[ContainerId, float], None]) -> None:
        self._store = store
        self._spawner = spawner
        self._revive = revive
        self._told: set[str] = set()

    def container(self, id: ContainerId, *, locked: bool = False) -> Container:
        """Both halves, true now. `locked`: the caller holds the container's lock. FileNotFoundError: it is gone."""
        record = self._store.record(id)
        state = self._read(id)
        if self._unfinished(id, state):
            state = self._finished(record) if locked else self._reconcile(record)
        if state.restarting and not self.monitored(id):
            self._revive(id, restart.delay(state))
        return Container(record, state)

    def decided(self, id: ContainerId) -> None:
        """Wait, with the container's lock held, until its monitor has started it, or could not: a start goes on when
        the server that asked for it is killed. With --rm, its removal is waited for as well. After any other end, the
        monitor has nothing left to do but to have the disk written, which may take long. Unavailable: it is stopped.
        """
        run = self._store.paths.container_run(id)
        while os.path.exists(run / FILE) and self.monitored(id) and not self._read(id).running:
            halted.refuse(run, f"container {id[:12]}")
            time.sleep(_GLANCE)

    def _read(self, id: str) -> State:
        with contextlib.suppress(FileNotFoundError):
            kept = documents.read(self._store.paths.container_run(id) / STATE, State)
            return self._moved(id, kept)
        try:
            return documents.read(self._store.paths.container(id) / STATE, State)
        except FileNotFoundError:
            return State()

    def _moved(self, id: str, kept: State) -> State:
        """A monitor's last word, which the disk did not take then: to where it belongs, if it does now."""
        lock = locks.acquire(self._store.paths.container(id) / "lock", blocking=False)
        if lock is not None:
            with contextlib.suppress(OSError):
                if not self.monitored(id) and os.path.exists(self._store.paths.container_run(id) / STATE):
                    self.record(id, kept)
                    os.unlink(self._store.paths.container_run(id) / STATE)
            os.close(lock)
        return kept

    def record(self, id: str, state: State) -> None:
        """Write it. Only with the container's lock held, and while it has no monitor."""
        documents.write(self._store.paths.container(id) / STATE, state, durable=False)

    def monitored(self, id: str) -> bool:
        """Whether it has a monitor, or is being given one."""
        return locks.is_held(self._store.paths.container_run(id) / LOCK)

    def lost_monitor(self, id: str) -> bool:
        """Whether its monitor has died on the way: then there is a launch document, and nobody to whom it belongs."""
        return os.path.exists(self._store.paths.container_run(id) / FILE) and not self.monitored(id)

    def _unfinished(self, id: str, state: State) -> bool:
        """Whether something is to be put right. Only what runs, or has a launch document, can be so."""
        return self.lost_monitor(id) or (state.running and not state.restarting and not self.monitored(id))

    def stay_down(self, id: ContainerId) -> bool:
        """Let it wait no more for a start that its monitor cannot make; False: that is not what it waits for."""
        with locks.held(self._store.paths.container(id) / "lock"):
            state = self._read(id)
            waits = state.restarting and not self.monitored(id)
            if waits:
                self.record(id, msgspec.structs.replace(state, status=Status.EXITED, stopped=True))
            return waits

    def _reconcile(self, record: Record) -> State:
        """Take down what is left, under the container's lock; if somebody holds that, or it cannot be done now, only
        say what it will be: who lists many is kept from none by one.

        FileNotFoundError: it was to be removed at its end, and is.
        """
        path = self._store.paths.container(record.id)
        lock = locks.acquire(path / "lock", blocking=False)
        state = self._read(record.id)
        if lock is not None:
            try:
                return self._finished(record)
            except PydockerError as error:
                if record.id not in self._told:  # once: it is tried again every second
                    self._told.add(record.id)
                    _log.warning("%s", error)
            finally:
                os.close(lock)
        return after(state, record.host.restart_policy) if state.running else state

    def _finished(self, record: Record) -> State:
        """The same, with the lock held."""
        state = self._read(record.id)
        if self._unfinished(record.id, state):
            self._take_down(record, state)
        os.stat(self._store.paths.container(record.id))  # with --rm it is gone now
        return self._read(record.id)

    def _take_down(self, record: Record, state: State) -> None:
        run = self._store.paths.container_run(record.id)
        if not os.path.exists(run / FILE):  # the run root is empty after a reboot: nothing runs, nothing is left
            self.record(record.id, msgspec.structs.replace(
                state, status=Status.EXITED, pid=0, start_time=0, exit_code=REBOOTED, finished=time.time()))
            self._store.journal.container(record, "die", exitCode=str(REBOOTED))
            return
        monitor = locks.acquire(run / LOCK, blocking=False)
        if monitor is None:
            return  # a monitor lives after all
        try:
            self._spawner.clean(run, monitor)
        except PydockerError as error:
            raise PydockerError(f"container {record.id[:12]}: {error}") from error
        finally:
            os.close(monitor)
