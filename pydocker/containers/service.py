"""`Containers`:

one method per request. All are synchronous, may be called from several threads, raise pydocker.errors.
"""

import contextlib
from collections.abc import Iterator, Sequence

import msgspec

from pydocker.config import Config as EngineConfig
from pydocker.containers import create, names, rehearsal, removal
from pydocker.containers.exec import Execs
from pydocker.containers.headstart import HeadStart
from pydocker.containers.launching import Launcher
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.logs import Logs, Selectable
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.containers.waiting import Pending, Waiter
from pydocker.errors import NotFound
from pydocker.images.store import ImageStore
from pydocker.layers.store import LayerStore
from pydocker.model.container import Config, Container, ContainerId, ExecConfig, ExecId, ExecSession, HostConfig
from pydocker.model.digest import Digest
from pydocker.monitor.attach import Attachment
from pydocker.monitor.spawner import Spawner
from pydocker.paths import Paths


class Containers:
    """All containers below one data root."""

    def __init__(self, paths: Paths, config: EngineConfig, images: ImageStore, layers: LayerStore,
                 spawner: Spawner) -> None:
        self._config = config
        self._images = images
        self._layers = layers
        self._store = Store(paths)
        self._head_start = HeadStart()
        self._pending = Pending()
        self._statuses = Statuses(self._store, spawner)
        self._launcher = Launcher(paths, config, layers, spawner)
        self._streams = Streams(self._store, self._statuses, self._pending)
        self._lifecycle = Lifecycle(self._store, self._statuses, self._launcher, self._streams, self._pending)
        self._logs = Logs(self._store, self._statuses, self._streams)
        self._execs = Execs(self._store, self._statuses, self._streams)

    def recover(self) -> None:
        """At start-up: finish or roll back what a crash left half done. Call it before the first request."""
        removal.recover(self._store, self._statuses)

    def busy(self) -> bool:
        """Whether this process holds something no other could answer for: clients attached to a container not yet
        started, waits for one. A server that is busy must not leave."""
        return self._pending.any()

    def create(self, name: str | None, config: Config, host: HostConfig,
               platform: str | None) -> tuple[ContainerId, list[str]]:
        """Make a container.

        Returns its id and Docker's warnings. NotFound: the image is not here; Conflict: the name is taken.
        """
        self._head_start.give()
        id = create.create(self._store, self._images, self._layers, self._config, name, config, host, platform)
        return id, []

    def get(self, ref: str) -> Container:
        """By id, name (with or without a leading slash), or unambiguous prefix of an id.

        NotFound `No such container: x`.
        """
        return self._container(ref)

    def _container(self, ref: str) -> Container:
        try:
            return self._statuses.container(self._store.resolve(ref))
        except FileNotFoundError:  # removed between the two
            raise NotFound(f"No such container: {ref}") from None

    def _id(self, ref: str) -> ContainerId:
        return self._store.resolve(ref)

    def list(self, *, all: bool) -> list[Container]:
        """The running ones, or all; newest first."""
        found = []
        for id in self._store.ids():
            with contextlib.suppress(FileNotFoundError):
                found.append(self._statuses.container(id))
        shown = [one for one in found if all or one.state.running]
        return sorted(shown, key=lambda one: one.record.created, reverse=True)

    def image_users(self, image: Digest) -> Sequence[ContainerId]:
        """The containers that were made from this image."""
        users = []
        for id in self._store.ids():
            with contextlib.suppress(FileNotFoundError):
                if self._store.record(id).image == image:
                    users.append(id)
        return users

    def start(self, ref: str, attached: Sequence[Attachment] = ()) -> None:
        """NotModified: it runs already. StartFailed: the program could not be started."""
        self._head_start.give()
        with vanishing(ref):
            self._lifecycle.start(self._id(ref), attached)

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Returns when it has ended.

        `timeout` in seconds until SIGKILL, -1: for ever, None: the container's own. NotModified.
        """
        with vanishing(ref):
            self._lifecycle.stop(self._id(ref), timeout, signal)

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Conflict: it does not run."""
        with vanishing(ref):
            self._lifecycle.kill(self._id(ref), signal)

    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop and start; one that does not run is started."""
        with vanishing(ref):
            self._lifecycle.restart(self._id(ref), timeout, signal)

    def rename(self, ref: str, name: str) -> None:
        """Conflict:

        the name is taken. Its monitor keeps the old name in mind, and releases whichever it has at the end.
        """
        checked = names.check(name)
        with vanishing(ref), self._lifecycle.locked(self._id(ref)) as container:
            self._store.rename(msgspec.structs.replace(container.record, name=checked))

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Conflict: it runs, and `force` is not asked for. `volumes`: its anonymous volumes too (it has none yet)."""
        with vanishing(ref):
            removal.remove(self._lifecycle, self._statuses, self._id(ref), force=force)

    def wait(self, ref: str, condition: WaitCondition = WaitCondition.NOT_RUNNING) -> Waiter:
        """Subscribed when this returns, so headers may be sent then."""
        with vanishing(ref):
            return self._streams.wait(self._id(ref), condition)

    def logs(self, ref: str, options: LogOptions, gone: Selectable | None = None) -> Iterator[tuple[int, bytes]]:
        """(1 or 2, text) in order; errors (no such container, log driver `none`) are raised by the call, not by the
        iteration. With `follow`, it ends with the container, or when `gone` becomes readable."""
        with vanishing(ref):
            return self._logs.read(self._id(ref), options, gone)

    def attach(self, ref: str, attachment: Attachment) -> None:
        """Hand the connection to the monitor; of a container that is not started yet, to the one that its start will
        make. The caller closes its own copy of the socket afterwards."""
        with vanishing(ref):
            self._streams.attach(self._id(ref), attachment)

    def resize(self, ref: str, height: int, width: int) -> None:
        """The terminal's size, in characters. Conflict: it does not run."""
        with vanishing(ref):
            self._streams.resize(self._id(ref), height, width)

    def exec_create(self, ref: str, config: ExecConfig) -> ExecId:
        """Conflict: the container does not run."""
        self._head_start.give()
        with vanishing(ref):
            return self._execs.create(self._id(ref), config)

    def exec_get(self, id: str) -> ExecSession:
        """NotFound: no such session."""
        return self._execs.get(id)

    def exec_start(self, id: str, *, detach: bool, tty: bool, attachment: Attachment | None = None) -> None:
        """Returns when the process runs. StartFailed when it cannot (the session's exit code is then 126 or 127).
        Whether it has a terminal was decided when it was created; `tty` is Docker's second mention of it."""
        self._execs.start(id, None if detach else attachment)

    def exec_resize(self, id: str, height: int, width: int) -> None:
        """The size of the session's terminal."""
        self._streams.resize(self._execs.get(id).container, height, width, id)

    def plan(self, config: Config, host: HostConfig, platform: str | None) -> tuple[rehearsal.Told, ...]:
        """What create and start would do, step by step; nothing is done."""
        return rehearsal.plan(self._images, self._launcher, self._store.paths, self._config, config, host, platform)


@contextlib.contextmanager
def vanishing(ref: str) -> Iterator[None]:
    """A container that vanished under our hands was not there."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"No such container: {ref}") from error
