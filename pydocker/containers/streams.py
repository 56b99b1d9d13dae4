"""Attach, wait, resize: requests that belong to the container's monitor, or to the one that its start will make."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence

from pydocker.containers import halted
from pydocker.containers.options import WaitCondition
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.waiting import Pending, Waiter, answer
from pydocker.errors import Conflict, Unavailable
from pydocker.model.container import Container, ContainerId
from pydocker.monitor import control, detachkeys
from pydocker.monitor.attach import Attachment
from pydocker.network import publishing
from pydocker.network.ports import Held

_RESTARTED = 0.02  # seconds between two looks at one that has been stopped to be started
_HALTED = 1.0  # seconds without an answer until it is looked again whether the monitor is stopped
DYING = 1.0  # seconds; one that runs after that was started anew


class Streams:
    """Asks monitors."""

    def __init__(self, store: Store, statuses: Statuses, pending: Pending) -> None:
        self._store = store
        self._statuses = statuses
        self._pending = pending

    def connect(self, id: ContainerId) -> socket.socket:
        """A fresh connection to the container's monitor. Unavailable: there is none."""
        return control.connect(self._store.paths.container_run(id))

    def ask(self, id: ContainerId, request: control.Request, doing: str, fds: Sequence[int] = ()) -> None:
        """Have the container's monitor do this. Raises what it says; Unavailable: there is none, or it is stopped."""
        with self._asked(id, request, doing, fds) as connection:
            control.expect_done(connection, doing)

    def ask_for(self, id: ContainerId, request: control.Request, doing: str) -> int:
        """The same, for a descriptor."""
        with self._asked(id, request, doing) as connection:
            return control.expect_descriptor(connection, doing)

    @contextlib.contextmanager
    def _asked(self, id: ContainerId, request: control.Request, doing: str,
               fds: Sequence[int] = ()) -> Iterator[socket.socket]:
        """A connection with its answer."""
        run = self._store.paths.container_run(id)
        halted.refuse(run, doing)
        with self.connect(id) as connection:
            control.ask(connection, request, doing, fds)
            while not control.answered(connection, _HALTED):
                halted.refuse(run, doing)
            yield connection

    def refuse(self, id: ContainerId, doing: str) -> None:
        """Unavailable: its monitor is stopped, and would not answer."""
        halted.refuse(self._store.paths.container_run(id), f"{doing} container {id[:12]}")

    def attach(self, id: ContainerId, attachment: Attachment) -> None:
        """To the monitor, or into the queue for the next start. Conflict: it has ended, and is not to be started."""
        detachkeys.parse(attachment.detach_keys)
        state = self._statuses.container(id).state
        if state.paused:
            raise Conflict(f"container {id} is paused, unpause the container before attach")
        if state.running:
            self.ask(id, attachment.request(), f"attach to container {id[:12]}", [attachment.socket.fileno()])
        else:
            self._pending.attach(id, attachment)

    def resize(self, id: ContainerId, height: int, width: int, exec_id: str = "") -> None:
        """Conflict: it does not run."""
        if not self._statuses.container(id).state.running:
            raise Conflict(f"cannot resize a stopped container: container {id} is not running")
        self.ask(id, control.Resize(height, width, exec_id), f"resize container {id[:12]}")

    def wait(self, id: ContainerId, condition: WaitCondition) -> Waiter:
        """Subscribed when it returns. What has ended already counts for `not-running` only."""
        container = self._statuses.container(id)
        if container.state.running:
            return self._wait_running(container, condition)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if condition is WaitCondition.NOT_RUNNING:
            answer(theirs, container.state.exit_code)
        elif condition is WaitCondition.NEXT_EXIT or container.record.host.auto_remove:
            self._pending.for_start(id, theirs, removed=condition is WaitCondition.REMOVED)
        else:
            self._pending.for_removal(id, theirs)
        return Waiter(ours, lambda: self._truth(id, condition))

    def _wait_running(self, container: Container, condition: WaitCondition) -> Waiter:
        id = container.record.id
        if condition is WaitCondition.REMOVED and not container.record.host.auto_remove:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._pending.for_removal(id, theirs)
            return Waiter(ours, lambda: self._exit_code(id))
        try:
            connection = self.connect(id)
            control.send(connection, control.Wait(condition is WaitCondition.REMOVED))
        except (Unavailable, OSError):  # it ended this very moment
            connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.close()
        return Waiter(connection, lambda: self._truth(id, condition))

    def _truth(self, id: ContainerId, condition: WaitCondition) -> int:
        """The exit code, when a monitor did not tell it. One that was to be removed, and is there, is being restarted:
        then it is the code of the run after which it will be."""
        code = self._exit_code(id)
        with contextlib.suppress(FileNotFoundError):
            while condition is WaitCondition.REMOVED:
                container = self._statuses.container(id)
                if container.state.running:
                    return self._wait_running(container, condition).result()
                time.sleep(_RESTARTED)
        return code

    def _exit_code(self, id: ContainerId) -> int:
        """The truth, when a monitor was killed before it could tell.

        A dying process closes its descriptors one by one: it may hold its lock a moment longer than this connection.
        """
        patience = time.monotonic() + DYING
        try:
            while (state := self._statuses.container(id).state).running and time.monotonic() < patience:
                time.sleep(0.002)
        except FileNotFoundError:  # --rm: it is gone, and took its exit code along
            return 137
        return 137 if state.running else state.exit_code

    def namespace(self, id: ContainerId) -> int:
        """A descriptor of the network namespace. Conflict: it has ended."""
        return self.ask_for(id, control.Namespace(), f"network of container {id[:12]}")

    def listen(self, id: ContainerId, sockets: Sequence[int]) -> None:
        """Have names answered on these. Conflict: it has ended."""
        self.ask(id, control.Listen(), f"names for container {id[:12]}", sockets)

    def arrange(self, id: ContainerId, held: Held) -> None:
        """Its endpoints on disk have changed; these sockets hold ports that are new."""
        packed = publishing.packed(held)
        try:
            self.ask(id, control.Arrange(), f"ports of container {id[:12]}", (packed,))
        finally:
            os.close(packed)

    def spare(self, id: ContainerId) -> None:
        """Leave the container at its end, in spite of --rm."""
        self.ask(id, control.Spare(), f"restart container {id[:12]}")

    @contextlib.contextmanager
    def ending(self, id: ContainerId) -> Iterator[int]:
        """A descriptor that becomes readable when the container's end is recorded (and, with --rm, it is removed)."""
        container = self._statuses.container(id)
        condition = WaitCondition.REMOVED if container.record.host.auto_remove else WaitCondition.NOT_RUNNING
        waiter = self.wait(id, condition) if container.state.running else self.wait(id, WaitCondition.NOT_RUNNING)
        try:
            yield waiter.fileno()
        finally:
            waiter.close()
