"""start, stop, kill, restart: what changes whether a container runs."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pydocker.containers import halted, mounts, pausing, signals, staying
from pydocker.containers.launching import Launcher
from pydocker.containers.status import Statuses
from pydocker.containers.store import READING, Store
from pydocker.containers.streams import DYING, Streams
from pydocker.containers.waiting import Pending, answer
from pydocker.errors import Conflict, NotFound, NotModified, PydockerError
from pydocker.model.container import Container, ContainerId, Status
from pydocker.monitor import remains, restart
from pydocker.monitor.attach import Attachment
from pydocker.storage import locks
from pydocker.volumes.service import Volumes

STOP_TIMEOUT = 10  # seconds, Docker's
_KILLED = 10.0  # seconds for a killed container to be gone
_LONGEST = (2**31 - 1) / 1000  # seconds, 24 days
_GLANCE = 0.002  # seconds between two looks


class Lifecycle:
    """Verbs on one container. A start holds its lock to the end; what waits for an exit holds none."""

    def __init__(self, store: Store, statuses: Statuses, launcher: Launcher, streams: Streams,
                 pending: Pending, volumes: Volumes) -> None:
        self._store = store
        self._statuses = statuses
        self._launcher = launcher
        self._streams = streams
        self._pending = pending
        self._volumes = volumes

    @contextlib.contextmanager
    def locked(self, id: ContainerId) -> Iterator[Container]:
        """The container, with its lock held: nobody else starts, renames or removes it. Unavailable: somebody has it
        who waits for a monitor that is stopped.
        """
        try:
            run = self._store.paths.container_run(id)
            with locks.held(self._store.paths.container(id) / "lock",
                            busy=lambda: halted.refuse(run, f"container {id[:12]}")):
                self._statuses.decided(id)
                yield self._statuses.container(id, locked=True)
        except FileNotFoundError:
            raise NotFound(f"No such container: {id}") from None

    def settled(self, id: ContainerId, *, end: bool = False) -> Container:
        """The container, when nobody is at work to start it: who asks for its `end`, or for something of its processes,
        means that start as well. So it is with Docker, where a start keeps all from its container's state. NotFound:
        somebody was at work to remove it.
        """
        container = self._statuses.container(id)
        if container.state.running:
            return container
        if end:
            halted.go_on(self._store.paths.container_run(id))
        with self.locked(id) as container:
            return container

    @contextlib.contextmanager
    def resting(self, ids: Iterable[ContainerId]) -> Iterator[None]:
        """None of these runs, or is started, for the length of this block. Raises Conflict, at once, if one does."""
        with contextlib.ExitStack() as held:
            for id in ids:
                with contextlib.suppress(FileNotFoundError):  # it was removed just now
                    self._statuses.container(id)  # reconciles, which the lock would prevent
                    for name, doing in (("lock", "changed"), (READING, "read")):
                        lock = locks.acquire(self._store.paths.container(id) / name, blocking=False)
                        if lock is None:
                            raise Conflict(f"the container {id[:12]} stands on it, and is being {doing}: repair again")
                        held.callback(os.close, lock)
                    if self._statuses.container(id).state.running:
                        raise Conflict(f"the running container {id[:12]} stands on it: stop that, and repair again")
            yield

    def start(self, id: ContainerId, attached: Sequence[Attachment]) -> None:
        """Raises NotModified, StartFailed."""
        state = self._statuses.container(id).state  # reconciles, which the lock would prevent
        if state.paused:
            raise Conflict("cannot start a paused container, try unpause instead")
        if state.running:
            raise NotModified(f"container {id} is already started")
        with self.locked(id) as container:
            if container.state.running:
                raise NotModified(f"container {id} is already started")
            if container.state.dead:
                raise Conflict("container is marked for removal and cannot be started")
            self._launch(container, attached)

    def _launch(self, container: Container, attached: Sequence[Attachment] = (), restarts: int = 0) -> None:
        clients, waits = self._pending.take(container.record.id)
        try:
            self._launcher.launch(container.record, [*clients, *attached], waits, restarts)
        except PydockerError:
            self._not_started(container, waits)
            raise
        finally:
            for one in clients:
                one.socket.close()
            for end, _ in waits:
                end.close()

    def revive(self, id: ContainerId) -> None:
        """Start what was to run again when its monitor was killed, if it still is. Raises PydockerError."""
        with self.locked(id) as container:
            state, policy = container.state, container.record.host.restart_policy
            if not state.restarting or self._statuses.monitored(id):
                return
            rests = msgspec.structs.replace(state, status=Status.EXITED)
            if not restart.wanted(policy, state.restarts - 1, state.exit_code):  # `update` has changed it meanwhile
                self._statuses.record(id, rests)
                return
            try:
                self._launch(container, restarts=state.restarts)
            except PydockerError as error:
                if self._statuses.container(id).state.restarting:  # not even its monitor could be started
                    self._statuses.record(id, msgspec.structs.replace(rests, error=str(error)))
                raise

    def _not_started(self, container: Container, waits: Sequence[tuple[socket.socket, bool]]) -> None:
        """A start that failed is an end, too: for those who wait for one, and for --rm."""
        code = self._statuses.container(container.record.id).state.exit_code
        if container.record.host.auto_remove:
            with contextlib.suppress(PydockerError):  # it is dead, which matters less than why it was not started
                self.take_away(container, code, volumes=True)
        for end, _ in waits:
            answer(end.dup(), code)

    def take_away(self, container: Container, exit_code: int, *, volumes: bool) -> None:
        """Remove the files of a container that does not run, and tell whoever waits for that.

        `volumes`: its anonymous volumes go, too, unless another container has them. Raises PydockerError.
        """
        paths, record = self._store.paths, container.record
        if remains.remove(paths.container(record.id), paths.container_run(record.id), paths.names, paths.temporary):
            self._store.journal.container(record, "destroy")
            if volumes:
                self._volumes.discard(mounts.anonymous(record))
        self._store.forget(record.id)
        self._pending.removed(record.id, exit_code)

    def stop(self, id: ContainerId, timeout: int | None, signal_name: str | None) -> None:
        """Raises NotModified when it does not run."""
        container = self.settled(id, end=True)
        if not container.state.running:
            raise NotModified(f"container {id} is already stopped")
        if not self._waits_in_vain(container):
            self._stop(container, timeout, signal_name)
        self._store.journal.container(container.record, "stop")

    def _stop(self, container: Container, timeout: int | None, signal_name: str | None) -> None:
        config = container.record.config
        signum = signals.number(signal_name or config.stop_signal or "SIGTERM")
        chosen = (given for given in (timeout, config.stop_timeout, STOP_TIMEOUT) if given is not None)
        seconds = next(chosen)
        with self._streams.ending(container.record.id) as ended:
            container = self._held_down(container)
            with contextlib.suppress(Conflict):
                self._send(container, signum)
                pausing.wake(self._streams, container)
                if self._over(container, ended, None if seconds < 0 else float(seconds)):
                    return
                self._send(container, signal.SIGKILL)
            if not self._over(container, ended, _KILLED):
                raise PydockerError(f"cannot stop container: {container.record.name}: it did not end within "
                                    f"{_KILLED:.0f} seconds of SIGKILL")

    def kill(self, id: ContainerId, signal_name: str) -> None:
        """Raises Conflict when it does not run. SIGKILL is waited for, as Docker does."""
        container = self.settled(id, end=True)
        signum = signals.number(signal_name)
        if not container.state.running:
            raise signals.not_running(container)
        if pausing.wakes(container, signum) and self._waits_in_vain(container):
            return
        with self._streams.ending(id) if signum == signal.SIGKILL else contextlib.nullcontext(-1) as ended:
            if pausing.wakes(container, signum):
                container = self._held_down(container)
            if not container.state.running:  # it was about to be started again, and has no process
                return
            self._send(container, signum)
            if pausing.wakes(container, signum):
                pausing.wake(self._streams, container)
            if signum == signal.SIGKILL:
                self._over(container, ended, _KILLED)

    def _waits_in_vain(self, container: Container) -> bool:
        """Whether it was to be started again, and without a monitor; now it is not."""
        return container.state.restarting and self._statuses.stay_down(container.record.id)

    def _held_down(self, container: Container) -> Container:
        """The container, which its restart policy will not start again; it may have been started again just before."""
        halted.go_on(self._store.paths.container_run(container.record.id))
        told = staying.stay_down(self._streams, container)
        return self._statuses.container(container.record.id) if told else container

    def _send(self, container: Container, signum: int) -> None:
        signals.send(container, signum, lambda: self._store.journal.container(
            container.record, "kill", signal=str(int(signum))))

    def end(self, id: ContainerId) -> None:
        """SIGKILL, and wait; one that is just ending by itself is waited for as well."""
        container = self._statuses.container(id)
        if self._waits_in_vain(container):
            return
        with self._streams.ending(id) as ended:
            container = self._held_down(container)
            with contextlib.suppress(Conflict):
                self._send(container, signal.SIGKILL)
                pausing.wake(self._streams, container)
            self._over(container, ended, _KILLED)

    def _over(self, container: Container, ended: int, seconds: float | None) -> bool:
        """Whether it ends in time, and whoever looks sees that.

        A monitor that was killed just now says nothing, and may hold its lock, which is the proof that it lives, a
        moment longer. Nor did it hear that its container is to stay down.
        """
        over, patience = _readable(ended, seconds), time.monotonic() + DYING
        with contextlib.suppress(FileNotFoundError):  # --rm: it is gone
            while over and time.monotonic() < patience:
                found = self._statuses.container(container.record.id)
                if not found.state.running or self._waits_in_vain(found):
                    break
                time.sleep(_GLANCE)
        return over

    def restart(self, id: ContainerId, timeout: int | None, signal_name: str | None) -> None:
        """Stop it if it runs, start it. This end is not the one that --rm means."""
        container = self.settled(id, end=True)
        if container.record.host.auto_remove and container.state.running:
            halted.go_on(self._store.paths.container_run(id))
            self._streams.spare(id)
        with contextlib.suppress(NotModified):
            self.stop(id, timeout, signal_name)
        self.start(id, ())
        self._store.journal.container(container.record, "restart")


def _readable(fd: int, seconds: float | None) -> bool:
    """Whether it becomes readable in time; None waits for ever, as do more milliseconds than poll(2) can take."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if seconds is None or seconds > _LONGEST else seconds * 1000))

