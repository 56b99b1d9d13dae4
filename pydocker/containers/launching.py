"""From a record to a running container: the run directory, the launch document, a monitor.

The order matters to crashes: monitor.lock is taken before anything of the run directory is touched (the last monitor
may still be clearing it), and handed to the new monitor locked. So there is no moment in which a half-made start looks
finished.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from pydocker import runtimes
from pydocker.config import Config as EngineConfig
from pydocker.containers import bundle, etcfiles, hostdevices, logsettings
from pydocker.layers.store import LayerStore
from pydocker.model.container import Record
from pydocker.monitor import remains
from pydocker.monitor.attach import Attachment
from pydocker.monitor.launch import EXECS, FILE, LOCK, ROOTFS, Launch
from pydocker.monitor.spawner import Spawner
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from runtime.linux.mountinfo import mountinfo


class Launcher:
    """Starts containers: knows where everything lies."""

    def __init__(self, paths: Paths, config: EngineConfig, layers: LayerStore, spawner: Spawner) -> None:
        self._paths = paths
        self._config = config
        self._layers = layers
        self._spawner = spawner
        self._mount_point = holder(paths.run)

    def launch(self, record: Record, attached: Sequence[Attachment],
               waits: Sequence[tuple[socket.socket, bool]]) -> None:
        """Returns when it runs. Call it with the container's lock held. Raises StartFailed, and what create raises."""
        data, run = self._paths.container(record.id), self._paths.container_run(record.id)
        document = self.document(record, data)
        lock = _lock(run)
        try:
            remains.sweep(run, keep=(LOCK,))
            for name in (ROOTFS, EXECS):
                os.mkdir(run / name, 0o700)
            etcfiles.write(record, data)
            documents.write(run / FILE, document, durable=False)
            self._spawner.launch(run, lock, attached, waits)
        finally:
            os.close(lock)

    def document(self, record: Record, data: Path) -> Launch:
        """All that a monitor needs to know; nothing is touched."""
        run = self._paths.container_run(record.id)
        devices = hostdevices.nodes() if record.host.privileged else ()
        return Launch(
            id=record.id, data=str(data), run=str(run), names=str(self._paths.names),
            temporary=str(self._paths.temporary), runtime=runtimes.command(self._config, record.host.runtime),
            runtime_root=str(self._paths.runtime), mount_point=self._mount_point,
            lower=tuple(str(self._layers.diff(layer)) for layer in record.layers), user=record.config.user,
            groups=record.host.group_add or (), tty=record.config.tty, open_stdin=record.config.open_stdin,
            stdin_once=record.config.stdin_once, auto_remove=record.host.auto_remove,
            log=logsettings.settings(record.host.log_config, data, record.id),
            cgroup=bundle.cgroup(record), spec=bundle.spec(record, data, run / ROOTFS, devices))


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
