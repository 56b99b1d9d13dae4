"""`Containers`: one method per request; synchronous, from any thread, with the errors of pydocker.errors."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import msgspec

from pydocker.config import Config as EngineConfig
from pydocker.containers import (
    again,
    archive,
    booting,
    create,
    discarding,
    mounts,
    names,
    networking,
    pausing,
    rehearsal,
    removal,
    stats,
    top,
    updating,
)
from pydocker.containers.commit import Commits
from pydocker.containers.connecting import Connections
from pydocker.containers.exec import Execs
from pydocker.containers.files import Files
from pydocker.containers.headstart import HeadStart
from pydocker.containers.launching import Launcher, holder
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.logs import Logs, Selectable
from pydocker.containers.options import CommitOptions, LogOptions, WaitCondition
from pydocker.containers.reviving import Reviver, Watch
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.containers.vanishing import vanishing
from pydocker.containers.waiting import Pending, Waiter
from pydocker.errors import NotFound, PydockerError
from pydocker.images.store import ImageStore
from pydocker.layers.changes import Change
from pydocker.layers.store import LayerStore
from pydocker.model.container import Config, Container, ContainerId, ExecConfig, ExecId, ExecSession, HostConfig
from pydocker.model.digest import Digest
from pydocker.model.image import Image
from pydocker.model.limits import Update
from pydocker.model.network import EndpointConfig
from pydocker.model.reference import Reference
from pydocker.monitor import inmemory
from pydocker.monitor.attach import Attachment
from pydocker.monitor.spawner import Spawner
from pydocker.network.service import Networks
from pydocker.paths import Paths
from pydocker.volumes.service import Volumes
from pydocker.wire.pathstat import PathStat

_log = logging.getLogger(__name__)


class Containers:
    """All containers below one data root."""

    def __init__(self, paths: Paths, config: EngineConfig, images: ImageStore, layers: LayerStore,
                 spawner: Spawner, networks: Networks) -> None:
        self._config = config
        self._images = images
        self._layers = layers
        self._store = Store(paths)
        self._head_start = HeadStart()
        self._pending = Pending()
        self._reviver = Reviver(lambda id: self._lifecycle.revive(id))
        self._statuses = Statuses(self._store, spawner, self._reviver.ask)
        self._watch = Watch(paths, self._statuses)
        self.volumes = Volumes(paths, holder(paths.data), lambda name: inmemory.mounted(paths, name))
        self._launcher = Launcher(paths, config, layers, self.volumes, networks, spawner, self._store)
        self._streams = Streams(self._store, self._statuses, self._pending)
        self._lifecycle = Lifecycle(self._store, self._statuses, self._launcher, self._streams, self._pending,
                                    self.volumes)
        self._networks = networks
        self.connections = Connections(self._store, self._lifecycle, self._streams, networks)
        self._logs = Logs(self._store, self._statuses, self._streams)
        self._execs = Execs(self._store, self._statuses, self._streams, self._lifecycle.settled)
        self._return = booting.Return(self._store, self._statuses, self.start)
        self._files = files = Files(self._store, self._statuses, self._streams, layers, holder(paths.run))
        self._archives = archive.Archives(paths, self._statuses, self._lifecycle, files, self._launcher.seen)
        self._commits = Commits(images, files, self._statuses, self._streams)

    def recover(self) -> None:
        """At start-up: finish or roll back what a crash left half done. Call it before the first request."""
        removal.recover(self._store, self._statuses, self.volumes)
        self.connections.publisher.changes.recover()
        self.volumes.recover()
        self._return.begin()

    def watch(self) -> None:
        """From now on, notice killed monitors without being asked anything."""
        self._watch.start()

    def close(self) -> None:
        """The opposite."""
        self._watch.stop()

    def busy(self) -> bool:
        """Whether this process holds something no other could answer for: clients attached to a container not yet
        started, waits for one; or still starts what has to run again. A server that is busy must not leave."""
        return self._pending.any() or self._reviver.busy() or self._return.busy()

    def create(self, name: str | None, config: Config, host: HostConfig, platform: str | None,
               networks: Mapping[str, EndpointConfig]) -> tuple[ContainerId, list[str]]:
        """Its id, and Docker's warnings. NotFound: the image is not here; Conflict: the name is taken."""
        host, warnings = discarding.possible(host)
        made = create.create(self._store, self._images, self._layers, self.volumes, self._networks, self._config, name,
                             config, host, platform, networks)
        self._store.journal.container(made, "create")  # which somebody may have removed by now
        return made.id, warnings

    def get(self, ref: str) -> Container:
        """By id, name (with or without a leading slash), or unambiguous prefix of an id. NotFound."""
        try:
            return self.connections.placed(self._statuses.container(self._store.resolve(ref)))
        except FileNotFoundError:  # removed between the two
            raise NotFound(f"No such container: {ref}") from None

    def _id(self, ref: str) -> ContainerId:
        return self._store.resolve(ref)

    def list(self, *, all: bool) -> list[Container]:
        """The running ones, or all; newest first."""
        found = []
        for id in self._readable():
            with contextlib.suppress(FileNotFoundError):
                found.append(self._statuses.container(id))
        shown = [self.connections.placed(one) for one in found if all or one.state.running]
        return sorted(shown, key=lambda one: one.record.created, reverse=True)

    def _readable(self) -> Iterator[ContainerId]:
        """Those whose record is whole: a damaged one is `system check`'s affair, and hides no other container."""
        for id in self._store.ids():
            try:
                self._store.record(id)
            except FileNotFoundError:
                continue
            except PydockerError as error:
                _log.warning("container %s: %s", id, error)
                continue
            yield id

    def resting(self, layer: Digest) -> AbstractContextManager[None]:
        """No container that stands on this layer runs, or starts, for the length of this block; else Conflict."""
        users = []
        for id in self._readable():
            with contextlib.suppress(FileNotFoundError):
                if layer in mounts.layers_of(self._store.record(id)):
                    users.append(id)
        return self._lifecycle.resting(users)

    def image_users(self, image: Digest) -> Sequence[ContainerId]:
        """The containers that were made from this image, or mount it."""
        users = []
        for id in self._readable():
            with contextlib.suppress(FileNotFoundError):
                if image in mounts.images_of(self._store.record(id)):
                    users.append(id)
        return users

    def start(self, ref: str, attached: Sequence[Attachment] = ()) -> None:
        """NotModified: it runs already. StartFailed: the program could not be started."""
        with vanishing(ref):
            self._lifecycle.start(self._id(ref), attached)

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Returns when it has ended. `timeout` in seconds until SIGKILL, -1: for ever, None: the container's own.
        NotModified: it does not run.
        """
        with vanishing(ref):
            self._lifecycle.stop(self._id(ref), timeout, signal)

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Conflict: it does not run."""
        with vanishing(ref):
            self._lifecycle.kill(self._id(ref), signal)

    def pause(self, ref: str) -> None:
        """Stop its processes where they are. Conflict: it does not run, or is paused already."""
        with vanishing(ref):
            pausing.pause(self._streams, self._lifecycle.settled(self._id(ref)))

    def unpause(self, ref: str) -> None:
        """Let them go on. PydockerError: it is not paused."""
        with vanishing(ref):
            pausing.unpause(self._streams, self._lifecycle.settled(self._id(ref)))

    def top(self, ref: str, options: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """What ps says about its processes: titles, and a row for each. Conflict: it does not run."""
        container = self._lifecycle.settled(self.get(ref).record.id)
        found = top.top(container, options)
        self._store.journal.container(container.record, "top")
        return found

    def sample(self, container: Container) -> stats.Sample | None:
        """What it uses at this moment; None when it does not run."""
        return stats.sample(container.record, container.state.pid) if container.state.running else None

    def update(self, ref: str, change: Update) -> Sequence[str]:
        """Other limits; Docker's warnings. InvalidParameter, Conflict: it cannot have them."""
        with vanishing(ref):
            id = self._id(ref)
            kept, warnings = updating.possible(left := self.connections.publisher.change(id, change))
            if left == change or left != Update():
                updating.update(self._lifecycle, self._store, self._streams, id, kept)
        return warnings

    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop and start; one that does not run is started."""
        with vanishing(ref):
            self._lifecycle.restart(self._id(ref), timeout, signal)

    def rename(self, ref: str, name: str) -> None:
        """Conflict: the name is taken. Its monitor keeps the old one in mind, and releases whichever it has at the end.
        """
        with vanishing(ref), self._lifecycle.locked(self._id(ref)) as container:
            renamed = msgspec.structs.replace(container.record, name=names.check(name))
            self._store.rename(renamed)
            self.connections.renamed(renamed)
            self._store.journal.container(renamed, "rename", oldName=f"/{container.record.name}")

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Conflict: it runs, and `force` is not asked for. `volumes`: its anonymous volumes go, too."""
        with vanishing(ref):
            id = self._id(ref)
            used = mounts.images_of(self._store.record(id))
            removal.remove(self._lifecycle, id, force=force, volumes=volumes)
        for image in used:
            self._images.release(image)

    def wait(self, ref: str, condition: WaitCondition = WaitCondition.NOT_RUNNING) -> Waiter:
        """Subscribed when this returns, so headers may be sent then."""
        with vanishing(ref):
            return self._streams.wait(self._id(ref), condition)

    def logs(self, ref: str, options: LogOptions, gone: Selectable | None = None) -> Iterator[tuple[int, bytes]]:
        """(1 or 2, text) in order; errors (no such container, log driver `none`) are raised by the call, not by the
        iteration. With `follow`, it ends with the container, or when `gone` becomes readable."""
        with vanishing(ref):
            return self._logs.read(self._id(ref), options, gone)

    def attachable(self, ref: str, doing: str) -> None:
        """Unavailable: its monitor is stopped, and would take nobody. `doing` says for what: "attach to"."""
        with vanishing(ref):
            self._streams.refuse(self._id(ref), doing)

    def attach(self, ref: str, attachment: Attachment) -> None:
        """Hand the connection to the monitor; of a container that is not started yet, to the one that its start will
        make. The caller closes its own copy of the socket afterwards."""
        with vanishing(ref):
            self._streams.attach(self._id(ref), attachment)

    def resize(self, ref: str, height: int, width: int) -> None:
        """The terminal's size, in characters. Conflict: it does not run."""
        with vanishing(ref):
            container = self.get(ref)
            self._streams.resize(container.record.id, height, width)
            self._store.journal.container(container.record, "resize", height=str(height), width=str(width))

    def exec_create(self, ref: str, config: ExecConfig) -> ExecId:
        """Conflict: the container does not run."""
        self._head_start.give()
        with vanishing(ref):
            return self._execs.create(self._id(ref), config)

    def exec_get(self, id: str) -> ExecSession:
        """NotFound: no such session."""
        return self._execs.get(id)

    def unfinished_execs(self, container: ContainerId) -> tuple[ExecId, ...]:
        """Those that run, or wait to be started."""
        return self._execs.unfinished(container)

    def exec_start(self, id: str, *, detach: bool, tty: bool, attachment: Attachment | None = None) -> None:
        """Returns when the process runs; StartFailed when it cannot. `tty` is the second mention of it, and ignored."""
        self._execs.start(id, None if detach else attachment)

    def exec_resize(self, id: str, height: int, width: int) -> None:
        """The size of the session's terminal."""
        self._streams.resize(self._execs.get(id).container, height, width, id)

    def path_stat(self, ref: str, path: str) -> PathStat:
        """What a path in it is. NotFound."""
        with vanishing(ref):
            return self._archives.stat(self._id(ref), path)

    def archive(self, ref: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """The same, and what is there as an archive, which has begun when this returns."""
        with vanishing(ref):
            found = self._archives.get(self._id(ref), path)
            self._happened(ref, "archive-path")
        return found

    def extract(self, ref: str, path: str, content: Iterable[bytes], *, replace_directories: bool,
                to_user: bool) -> None:
        """Unpack an archive into a directory of it; `to_user`: everything becomes the container's user's.

        NotFound, Forbidden (it is read-only), InvalidParameter.
        """
        with vanishing(ref):
            self._archives.put(self._id(ref), path, content, archive.Options(replace_directories, to_user))
            self._happened(ref, "extract-to-dir")

    def _happened(self, ref: str, action: str, **more: str) -> None:
        self._store.journal.container(self._store.record(self._id(ref)), action, **more)

    def changes(self, ref: str) -> Sequence[Change]:
        """What it has changed of its image's files, each directory before what is in it."""
        with vanishing(ref):
            return self._files.changes(self._id(ref))

    def commit(self, ref: str, reference: Reference | None, options: CommitOptions) -> Image:
        """Make an image of it. NotFound: its own image is gone; InvalidParameter: a wrong change."""
        with vanishing(ref):
            image = self._commits.commit(self._id(ref), reference, options)
            named = reference.with_default_tag().familiar() if reference else ""
            if named:
                self._store.journal.image("tag", image.id, named, image.config.config.labels)
            self._happened(ref, "commit", comment=options.comment, imageID=image.id, imageRef=named)
        return image

    def export(self, ref: str) -> Iterator[bytes]:
        """Its files as an archive, which has begun when this returns."""
        with vanishing(ref):
            pieces = self._files.export(self._id(ref))
            self._happened(ref, "export")
        return pieces

    def asked(self, ref: str) -> tuple[str, Config, HostConfig, Mapping[str, EndpointConfig]]:
        """Its name, and the least that has to be asked for to get it again."""
        return again.request(self._store, self._images, self._config, ref)

    def oci_config(self, ref: str) -> bytes:
        """Its bundle's config.json."""
        return again.oci_config(self._launcher, self._store, self._id(ref))

    def plan(self, config: Config, host: HostConfig, platform: str | None,
             networks: Mapping[str, EndpointConfig]) -> tuple[rehearsal.Told, ...]:
        """What create and start would do, step by step; nothing is done."""
        return rehearsal.plan(self._images, self._launcher, self.volumes, self._store.paths, self._config, config, host,
                              platform, networking.decide(self._networks, host, networks),
                              create.volumes_of_others(self._store, host))
