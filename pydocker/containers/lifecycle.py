"""start, stop, kill, restart: what changes whether a container runs."""

import contextlib
import select
import signal
import socket
from collections.abc import Iterator, Sequence

from pydocker.containers import signals
from pydocker.containers.launching import Launcher
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.containers.waiting import Pending, answer
from pydocker.errors import Conflict, NotFound, NotModified, PydockerError
from pydocker.model.container import Container, ContainerId
from pydocker.monitor import remains
from pydocker.monitor.attach import Attachment
from pydocker.storage import locks

STOP_TIMEOUT = 10  # seconds, Docker's
_KILLED = 10.0  # seconds for a killed container to be gone


class Lifecycle:
    """Verbs on one container. A start holds its lock to the end; what waits for an exit holds none."""

    def __init__(self, store: Store, statuses: Statuses, launcher: Launcher, streams: Streams,
                 pending: Pending) -> None:
        self._store = store
        self._statuses = statuses
        self._launcher = launcher
        self._streams = streams
        self._pending = pending

    @contextlib.contextmanager
    def locked(self, id: ContainerId) -> Iterator[Container]:
        """The container, with its lock held: nobody else starts, renames or removes it."""
        try:
            with locks.held(self._store.paths.container(id) / "lock"):
                yield self._statuses.container(id)
        except FileNotFoundError:
            raise NotFound(f"No such container: {id}") from None

    def start(self, id: ContainerId, attached: Sequence[Attachment]) -> None:
        """Raises NotModified, StartFailed."""
        if self._statuses.container(id).state.running:  # reconciles, which the lock would prevent
            raise NotModified(f"container {id} is already started")
        with self.locked(id) as container:
            if container.state.running:
                raise NotModified(f"container {id} is already started")
            clients, waits = self._pending.take(id)
            try:
                self._launcher.launch(container.record, [*clients, *attached], waits)
            except PydockerError:
                self._not_started(container, waits)
                raise
            finally:
                for one in clients:
                    one.socket.close()
                for end, _ in waits:
                    end.close()

    def _not_started(self, container: Container, waits: Sequence[tuple[socket.socket, bool]]) -> None:
        """A start that failed is an end, too: for those who wait for one, and for --rm."""
        code = self._statuses.container(container.record.id).state.exit_code
        if container.record.host.auto_remove:
            self.take_away(container, code)
        for end, _ in waits:
            answer(end.dup(), code)

    def take_away(self, container: Container, exit_code: int) -> None:
        """Remove the files of a container that does not run, and tell whoever waits for that."""
        paths, record = self._store.paths, container.record
        remains.remove(paths.container(record.id), paths.container_run(record.id), paths.names, paths.temporary)
        self._store.forget(record.id)
        self._pending.removed(record.id, exit_code)

    def stop(self, id: ContainerId, timeout: int | None, signal_name: str | None) -> None:
        """Raises NotModified when it does not run."""
        container = self._statuses.container(id)
        if not container.state.running:
            raise NotModified(f"container {id} is already stopped")
        config = container.record.config
        signum = signals.number(signal_name or config.stop_signal or "SIGTERM")
        chosen = (given for given in (timeout, config.stop_timeout, STOP_TIMEOUT) if given is not None)
        seconds = next(chosen)
        with self._streams.ending(id) as ended:
            with contextlib.suppress(Conflict):
                signals.send(container, signum)
                if _readable(ended, None if seconds < 0 else float(seconds)):
                    return
                signals.send(container, signal.SIGKILL)
            if not _readable(ended, _KILLED):
                raise PydockerError(f"cannot stop container: {container.record.name}: it did not end within "
                                    f"{_KILLED:.0f} seconds of SIGKILL")

    def kill(self, id: ContainerId, signal_name: str) -> None:
        """Raises Conflict when it does not run. SIGKILL is waited for, as Docker does."""
        container = self._statuses.container(id)
        signum = signals.number(signal_name)
        if not container.state.running:
            raise signals.not_running(container)
        with self._streams.ending(id) as ended:
            signals.send(container, signum)
            if signum == signal.SIGKILL:
                _readable(ended, _KILLED)

    def end(self, id: ContainerId) -> None:
        """SIGKILL, and wait; one that is just ending by itself is waited for as well."""
        container = self._statuses.container(id)
        with self._streams.ending(id) as ended:
            with contextlib.suppress(Conflict):
                signals.send(container, signal.SIGKILL)
            _readable(ended, _KILLED)

    def restart(self, id: ContainerId, timeout: int | None, signal_name: str | None) -> None:
        """Stop it if it runs, start it. --rm removes what has ended, and such a container cannot be restarted."""
        container = self._statuses.container(id)
        if container.record.host.auto_remove and container.state.running:
            raise Conflict(f"container {id} is removed when it ends (--rm) and cannot be restarted")
        with contextlib.suppress(NotModified):
            self.stop(id, timeout, signal_name)
        self.start(id, ())


def _readable(fd: int, seconds: float | None) -> bool:
    """Whether it becomes readable in time; None waits for ever."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))

