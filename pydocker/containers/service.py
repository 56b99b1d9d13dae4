"""`Containers`: one method per request. All are synchronous, may be called from several threads, raise pydocker.errors."""

from collections.abc import Iterator, Sequence

from pydocker.config import Config as EngineConfig
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.containers.waiting import Waiter
from pydocker.images.store import ImageStore
from pydocker.layers.store import LayerStore
from pydocker.model.container import (
    Config, Container, ContainerId, ExecConfig, ExecId, ExecSession, HostConfig,
)
from pydocker.model.digest import Digest
from pydocker.monitor.attach import Attachment
from pydocker.monitor.spawner import Spawner
from pydocker.paths import Paths
from runtime.step import Step


class Containers:
    """All containers below one data root."""

    def __init__(self, paths: Paths, config: EngineConfig, images: ImageStore, layers: LayerStore, spawner: Spawner) -> None:
        raise NotImplementedError

    def recover(self) -> None:
        """At start-up: finish or roll back what a crash left half done. Call it before the first request."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether this process holds something no other could answer for: clients attached to a container not yet started,
        waits for one. A server that is busy must not leave."""
        raise NotImplementedError

    def create(self, name: str | None, config: Config, host: HostConfig, platform: str | None) -> tuple[ContainerId, list[str]]:
        """Make a container. Returns its id and Docker's warnings. NotFound: the image is not here; Conflict: the name is taken."""
        raise NotImplementedError

    def get(self, ref: str) -> Container:
        """By id, name (with or without a leading slash), or unambiguous prefix of an id. NotFound `No such container: x`."""
        raise NotImplementedError

    def list(self, *, all: bool) -> list[Container]:
        """The running ones, or all; newest first."""
        raise NotImplementedError

    def image_users(self, image: Digest) -> list[ContainerId]:
        raise NotImplementedError

    def start(self, ref: str, attached: Sequence[Attachment] = ()) -> None:
        """NotModified: it runs already. StartFailed: the program could not be started."""
        raise NotImplementedError

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Returns when it has ended. `timeout` in seconds until SIGKILL, -1: for ever, None: the container's own. NotModified."""
        raise NotImplementedError

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        raise NotImplementedError

    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        raise NotImplementedError

    def rename(self, ref: str, name: str) -> None:
        raise NotImplementedError

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        raise NotImplementedError

    def wait(self, ref: str, condition: WaitCondition = WaitCondition.NOT_RUNNING) -> Waiter:
        """Subscribed when this returns, so headers may be sent then."""
        raise NotImplementedError

    def logs(self, ref: str, options: LogOptions) -> Iterator[tuple[int, bytes]]:
        """(1 or 2, text) in order; errors (no such container, log driver `none`) are raised by the call, not by the iteration."""
        raise NotImplementedError

    def attach(self, ref: str, attachment: Attachment) -> None:
        """Hand the connection to the monitor; of a container that is not started yet, to the one that its start will make.
        The caller closes its own copy of the socket afterwards."""
        raise NotImplementedError

    def resize(self, ref: str, height: int, width: int) -> None:
        raise NotImplementedError

    def exec_create(self, ref: str, config: ExecConfig) -> ExecId:
        """Conflict: the container does not run."""
        raise NotImplementedError

    def exec_get(self, id: str) -> ExecSession:
        raise NotImplementedError

    def exec_start(self, id: str, *, detach: bool, tty: bool, attachment: Attachment | None = None) -> None:
        """Returns when the process runs. StartFailed when it cannot (the session's exit code is then 126, 127 or 128)."""
        raise NotImplementedError

    def exec_resize(self, id: str, height: int, width: int) -> None:
        raise NotImplementedError

    def plan(self, config: Config, host: HostConfig, platform: str | None) -> tuple["Step[object]", ...]:
        raise NotImplementedError
