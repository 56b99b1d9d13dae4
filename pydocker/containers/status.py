"""What a container's state truly is: what its monitor wrote, as long as that monitor lives.

A state that says "running" while nobody holds monitor.lock is a lie that a killed monitor (or a power cut) left. It is
put right by whoever notices: a fork of the spawner takes the container down and records the end.
"""

import os
import time

import msgspec

from pydocker.containers.store import Store
from pydocker.errors import PydockerError
from pydocker.model.container import Container, ContainerId, Record, State, Status
from pydocker.monitor.launch import FILE, LOCK
from pydocker.monitor.monitor import STATE
from pydocker.monitor.reaper import after
from pydocker.monitor.spawner import Spawner
from pydocker.storage import documents, locks

REBOOTED = 255  # Docker's exit code for a container that a reboot ended


class Statuses:
    """Reads states, and reconciles those that are not true."""

    def __init__(self, store: Store, spawner: Spawner) -> None:
        self._store = store
        self._spawner = spawner

    def container(self, id: ContainerId) -> Container:
        """Both halves, true now. FileNotFoundError: it is gone."""
        record = self._store.record(id)
        state = self._read(id)
        if self._unfinished(id, state):
            state = self._reconcile(record)
        return Container(record, state)

    def _read(self, id: str) -> State:
        try:
            return documents.read(self._store.paths.container(id) / STATE, State)
        except FileNotFoundError:
            return State()

    def _unfinished(self, id: str, state: State) -> bool:
        """Whether a monitor has died on the way. Only what runs, or has a launch document, can be so."""
        run = self._store.paths.container_run(id)
        return (state.running or os.path.exists(run / FILE)) and not locks.is_held(run / LOCK)

    def _reconcile(self, record: Record) -> State:
        """Take down what is left, under the container's lock; if somebody holds that, only say what it will be.

        FileNotFoundError: it was to be removed at its end, and is.
        """
        path = self._store.paths.container(record.id)
        lock = locks.acquire(path / "lock", blocking=False)
        state = self._read(record.id)
        if lock is None:
            return after(state) if state.running else state
        try:
            if self._unfinished(record.id, state):
                self._take_down(record, state)
            os.stat(path)  # with --rm it is gone now
            return self._read(record.id)
        finally:
            os.close(lock)

    def _take_down(self, record: Record, state: State) -> None:
        run = self._store.paths.container_run(record.id)
        if not os.path.exists(run / FILE):  # the run root is empty after a reboot: nothing runs, nothing is left
            ended = msgspec.structs.replace(state, status=Status.EXITED, pid=0, start_time=0, exit_code=REBOOTED,
                                            finished=time.time())
            documents.write(self._store.paths.container(record.id) / STATE, ended, durable=False)
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
