"""From a record to a running container: the run directory, the launch document, a monitor.

The order matters to crashes: monitor.lock is taken before anything of the run directory is touched (the last monitor
may still be clearing it), and handed to the new monitor locked. So there is no moment in which a half-made start looks
finished.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from pydocker import runtimes
from pydocker.config import Config as EngineConfig
from pydocker.containers import apparmor, bundle, etcfiles, hostdevices, inits, links, logsettings, mounts, sharing
from pydocker.containers.store import Store
from pydocker.errors import Conflict, Forbidden, InvalidParameter, NotFound, PydockerError
from pydocker.layers.store import LayerStore
from pydocker.model.container import Record, State, Status
from pydocker.model.mount import of_record
from pydocker.model.network import BRIDGE, Endpoint
from pydocker.model.point import Point
from pydocker.model.volume import Source
from pydocker.monitor import health, remains
from pydocker.monitor.attach import Attachment
from pydocker.monitor.launch import EXECS, FILE, LOCK, MOUNTS, ROOTFS, Launch, Names, Seen
from pydocker.monitor.networking import LEGACY, NAMES
from pydocker.monitor.recorded import STATE
from pydocker.monitor.spawner import Spawner
from pydocker.network import publishing
from pydocker.network.plan import Steps
from pydocker.network.sandbox import FAILED, Sandbox, Sandboxes, real
from pydocker.network.service import Networks
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from pydocker.volumes.service import Volumes
from runtime.linux import capabilities
from runtime.linux.mountinfo import mountinfo

_KINDS = {kind.status: kind for kind in (InvalidParameter, NotFound, Conflict, Forbidden)}


class Launcher:
    """Starts containers: knows where everything lies."""

    def __init__(self, paths: Paths, config: EngineConfig, layers: LayerStore, volumes: Volumes, networks: Networks,
                 spawner: Spawner, store: Store) -> None:
        self._paths = paths
        self._store = store
        self._config = config
        self._layers = layers
        self._volumes = volumes
        self._spawner = spawner
        self._networks = networks
        self._sandboxes = Sandboxes(networks)
        self._mount_point = holder(paths.run)

    def launch(self, record: Record, attached: Sequence[Attachment],
               waits: Sequence[tuple[socket.socket, bool]], restarts: int = 0) -> None:
        """Returns when it runs. Call it with the container's lock held. Raises StartFailed, and what create raises."""
        self._volumes.check(of_record(record))
        data, run = self._paths.container(record.id), self._paths.container_run(record.id)
        linked = links.find(self._store, self._networks.endpoints, record)
        environment = tuple(links.environment(record.name, linked))
        document = replace(self.document(record, data, environment), restarts=restarts)
        apparmor.ensure(document.spec)
        lock = _lock(run)
        try:
            remains.sweep(run, keep=(LOCK,))
            for name in (ROOTFS, EXECS):
                os.mkdir(run / name, 0o700)
            with self._network(record) as (kept, endpoints):
                etcfiles.write(record, data, etcfiles.Surroundings(
                    endpoints, tuple(links.lines(linked)), self._gateways(record)))
                documents.write(run / FILE, document, durable=False)
                self._spawner.launch(run, lock, attached, waits, kept)
            links.note(self._store, record, linked)
            links.moved(self._store, self._networks.endpoints, record, endpoints)
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _network(self, record: Record) -> Iterator[tuple[Mapping[str, int], Sequence[Endpoint]]]:
        """The descriptors of a network that is the engine's to make, and the places in it; without a monitor, it is
        taken down again."""
        if not real(record):
            yield {}, ()
            return
        with self._opened(record) as sandbox:
            for endpoint in sandbox.endpoints:
                self._networks.journal.network(self._networks.find(endpoint.network), "connect", container=record.id)
            ports = publishing.packed(sandbox.ports)
            kept = {"network": sandbox.namespace, "ports": ports, LEGACY: self._networks.legacy,
                    **dict(zip(NAMES, sandbox.listening, strict=False))}
            try:
                yield {name: fd for name, fd in kept.items() if fd >= 0}, sandbox.endpoints
            finally:
                os.close(ports)
            sandbox.keep()

    def _gateways(self, record: Record) -> Sequence[str]:
        """What --add-host NAME:host-gateway stands for: as configured, or the host's addresses on the default bridge,
        which is there from now on."""
        if not any(one.endswith(f":{etcfiles.GATEWAY}") for one in record.host.extra_hosts or ()):
            return ()
        if self._config.host_gateway_ips:
            return self._config.host_gateway_ips
        network = self._networks.ready(self._networks.find(BRIDGE))
        return tuple(pool.gateway for pool in network.pools if pool.gateway)

    def rehearse(self, record: Record) -> Steps:
        """What would be done for its network."""
        return self._sandboxes.rehearse(record)

    def _opened(self, record: Record) -> Sandbox:
        try:
            return self._sandboxes.open(record)
        except PydockerError as error:
            message = f"{FAILED}: {error}"
            self._record_failure(record, message)
            raise _KINDS.get(error.status, PydockerError)(message) from error

    def _record_failure(self, record: Record, message: str) -> None:
        """As its monitor does when it comes to one. The lock that makes a monitor the writer is ours now."""
        path = self._paths.container(record.id) / STATE
        try:
            last = documents.read(path, State)
        except FileNotFoundError:
            last = State()
        status = Status.EXITED if last.restarting else last.status
        documents.write(path, replace(last, status=status, exit_code=128, error=message), durable=False)

    def document(self, record: Record, data: Path, linked: tuple[str, ...] = ()) -> Launch:
        """All that a monitor needs to know; nothing is touched. `linked` is what --link adds to the environment."""
        run = self._paths.container_run(record.id)
        init = inits.find() if record.host.init else ""
        seen = self.seen(record)
        record = replace(record, points=mounts.located(of_record(record), seen))
        return Launch(
            id=record.id, data=str(data), run=str(run), names=str(self._paths.names),
            temporary=str(self._paths.temporary), events=str(self._paths.events),
            runtime=runtimes.command(self._config, record.host.runtime),
            runtime_root=str(self._paths.runtime), mount_point=self._mount_point,
            lower=tuple(str(self._layers.diff(layer)) for layer in record.layers), user=record.config.user,
            groups=record.host.group_add or (), tty=record.config.tty, open_stdin=record.config.open_stdin,
            stdin_once=record.config.stdin_once, auto_remove=record.host.auto_remove,
            log=logsettings.settings(record, data),
            cgroup=bundle.cgroup(record),
            healthcheck=record.config.healthcheck if health.argv(record.config.healthcheck) else None,
            joins=sharing.others(record.host), networks=str(self._paths.networks), sandbox=bool(real(record)),
            dns=Names(record.host.dns or (), dots=etcfiles.resolver(record, ()).option("ndots") is not None),
            table=self._config.bridge, sources=mounts.to_make(record),
            spreading=mounts.spreading(record), seen=seen, idmaps=mounts.idmaps(record),
            spec=apparmor.with_default(bundle.spec(
                record, data, run / ROOTFS, hostdevices.find(record.host), capabilities.held(), init, linked),
                record.host))

    def seen(self, record: Record) -> tuple[Seen, ...]:
        """Its volumes and images."""
        place = self._paths.container_run(record.id) / MOUNTS
        return tuple(self._seen(point, str(place / str(number))) for number, point in enumerate(of_record(record))
                     if point.kind in ("volume", "image"))

    def _seen(self, point: Point, place: str) -> Seen:
        if point.kind == "image":
            lower = tuple(str(self._layers.diff(layer)) for layer in point.layers)
            source = Source(lower=lower, subpath=point.subpath)
        else:
            source = self._volumes.source(point)
        return Seen(kind=point.kind, name=point.name, destination=point.destination, readonly=point.readonly,
                    anonymous=point.anonymous, place="" if source.plain else place, source=source)


def _lock(run: Path) -> int:
    """monitor.lock, as soon as the last monitor has given it up. It may take the directory with it: then once more."""
    while True:
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # it was there, and is not any more
            os.makedirs(run, mode=0o700, exist_ok=True)
            fd = locks.acquire(run / LOCK)
            assert fd is not None
            return fd


def holder(path: Path) -> str:
    """The mount point of the mount that holds `path`:

    the last of the longest ones, as later mounts hide earlier ones.
    """
    real = os.path.realpath(path)
    targets = (mount.target for mount in mountinfo())
    points = [target for target in targets if real == target or real.startswith(target.rstrip("/") + "/")]
    return max(points, key=len, default="/")
