"""The engine: one object that knows where everything is. What the API's handlers call, put together in one place."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydocker import __version__, system
from pydocker.config import Config
from pydocker.containers import Containers
from pydocker.errors import NotFound
from pydocker.images.importing import import_
from pydocker.images.store import ImageStore
from pydocker.model import platform as platforms
from pydocker.model.image import Image
from pydocker.model.reference import Reference
from pydocker.monitor.spawner import Spawner
from pydocker.runtimes import OURS
from pydocker.wire.info import Facts


class Tell(Protocol):
    """Says one line of progress: `current` of `total` bytes of the thing called `id`."""

    def __call__(self, status: str, id: str = "", current: int = 0, total: int = 0) -> None: ...


class Engine:
    """All stores and services over one pair of roots. To be made before there are threads."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = config.paths
        self.paths.make()
        self._store = ImageStore(self.paths)
        self._spawner = Spawner(self.paths.run / "monitors.log")
        self._spawner.begin()
        self.containers = Containers(self.paths, config, self._store, self._store.layers, self._spawner)
        self.images = Images(config, self._store, self.containers)

    def recover(self) -> None:
        """Finish, or roll back, what a crash left half done. Before the first request."""
        self.containers.recover()
        self._store.sweep()

    def resolve_image(self, name: str) -> Image:
        return self._store.resolve(name)

    def facts(self) -> Facts:
        """What `version` and `info` tell about this engine."""
        running = sum(container.state.running for container in self.containers.list(all=False))
        return Facts(
            id=system.machine_id(), version=__version__, python=system.python(), root=str(self.paths.data),
            running=running, stopped=len(self.containers.list(all=True)) - running, images=len(self._store.list()),
            default_runtime=self.config.default_runtime,
            runtimes={OURS: OURS} | {name: entry.path for name, entry in self.config.runtimes.items()},
            insecure_registries=self.config.insecure_registries,
        )

    def close(self) -> None:
        """Let go of what the engine holds; what runs goes on running."""
        self._spawner.close()


class Images:
    """The image store with what it must not know itself: registries, and the containers that use an image."""

    def __init__(self, config: Config, store: ImageStore, containers: Containers) -> None:
        self._config = config
        self._store = store
        self._containers = containers

    def resolve(self, name: str) -> Image:
        return self._store.resolve(name)

    def tag(self, name: str, reference: Reference) -> None:
        self._store.tag(self._store.resolve(name), reference)

    def remove(self, name: str, *, force: bool) -> Sequence[tuple[str, str]]:
        return self._store.remove(name, force=force, users=self._containers.image_users, running=self._is_running)

    def _is_running(self, container: str) -> bool:
        try:
            return self._containers.get(container).state.running
        except NotFound:  # removed meanwhile
            return False

    def pull(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None:
        """Pull `reference`; `auth` is the X-Registry-Auth header."""
        # requests costs 100 ms to import: more than a short `run` takes in all, and no part of one.
        from pydocker.images.pull import pull
        from pydocker.registry.credentials import decode
        from pydocker.registry.repository import Repository

        wanted = platforms.parse(platform) if platform else None
        insecure = self._config.insecure_registries
        with Repository(reference, insecure=insecure, credentials=decode(auth)) as repository:
            pull(self._store, self._store.layers, repository, reference, wanted,
                 lambda it: tell(it.status, it.id, it.current, it.total))

    def import_(self, content: Iterable[bytes], reference: Reference | None, changes: Sequence[str],
                message: str) -> Image:
        return import_(self._store, content, reference, changes, message or "Imported from -")

    def list(self) -> list[Image]:
        return self._store.list()
