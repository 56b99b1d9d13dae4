"""The engine: one object that knows where everything is. What the API's handlers call, put together in one place."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from pydocker import __version__, system
from pydocker.config import Config, RegistryEntry
from pydocker.containers import Containers, apparmor
from pydocker.errors import NotFound
from pydocker.events.journal import Journal
from pydocker.events.reader import Selectable, follow
from pydocker.images import usage
from pydocker.images.importing import import_
from pydocker.images.progress import Progress
from pydocker.images.store import ImageStore
from pydocker.layers.listing import listing
from pydocker.model import platform as platforms
from pydocker.model.container import Container
from pydocker.model.event import Event, Kind
from pydocker.model.image import Image
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference
from pydocker.model.stack import Share, shares
from pydocker.model.usage import ContainerUsage, ImageUsage, Usage
from pydocker.monitor.spawner import Spawner
from pydocker.network import netlink
from pydocker.network.service import Networks
from pydocker.runtimes import OURS
from pydocker.upkeep import disk
from pydocker.upkeep.happenings import ImageHappenings
from pydocker.wire.info import Facts

if TYPE_CHECKING:
    from pydocker.images.remote import Remote
    from pydocker.upkeep.findings import Summary, Verdict


class Tell(Protocol):
    """Says one line of progress: `current` of `total` bytes of the thing called `id`."""

    def __call__(self, status: str, id: str = "", current: int = 0, total: int = 0,
                 aux: Mapping[str, object] | None = None) -> None: ...


class Engine:
    """All stores and services over one pair of roots. To be made before there are threads."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = config.paths
        self.paths.make()
        self._store = ImageStore(self.paths, config.max_layer_size)
        self._spawner = Spawner(self.paths.run / "monitors.log")
        self._spawner.begin()
        self._journal = Journal(self.paths.events)
        self.networks = Networks(self.paths, config)
        self.containers = Containers(self.paths, config, self._store, self._store.layers, self._spawner, self.networks)
        self.volumes, self.connections = self.containers.volumes, self.containers.connections
        self.images = Images(config, self._store, self.containers, ImageHappenings(self._journal, self._store))

    def recover(self) -> None:
        """Finish, or roll back, what a crash left half done. Before the first request."""
        netlink.preload()
        self.networks.recover()
        self.containers.recover()
        self._store.sweep()
        self.containers.watch()

    def resolve_image(self, name: str) -> Image:
        return self._store.resolve(name)

    def facts(self) -> Facts:
        """What `version` and `info` tell about this engine."""
        states = [container.state for container in self.containers.list(all=True)]
        alive, paused = sum(state.running for state in states), sum(state.paused for state in states)
        return Facts(
            id=system.machine_id(), version=__version__, python=system.python(), root=str(self.paths.data),
            running=alive - paused, paused=paused, stopped=len(states) - alive, images=len(self._store.list()),
            default_runtime=self.config.default_runtime,
            runtimes={OURS: OURS} | {name: entry.path for name, entry in self.config.runtimes.items()},
            insecure_registries=self.config.insecure_registries,
            security=(*(["name=apparmor"] if apparmor.supported() else []), "name=seccomp,profile=builtin",
                      "name=cgroupns"),
            hub_mirrors=self.config.by_prefix.get("docker.io", RegistryEntry()).mirrors,
        )

    def usage(self, kinds: Collection[str]) -> Usage:
        """How much of the disk is whose, of these kinds ("image", "container", "volume")."""
        return disk.used(self._store, self.containers, kinds)

    def written(self, container: Container) -> ContainerUsage:
        """How much a container has written, and how large its image is."""
        return disk.written(self._store, container)

    def prune_containers(self, wanted: Callable[[Container], bool]) -> tuple[list[str], int]:
        """Remove the stopped containers that are `wanted` away: their ids, and the bytes freed."""
        removed, freed = disk.prune_containers(self._store, self.containers, wanted)
        self._journal.pruned(Kind.CONTAINER, freed)
        return removed, freed

    def events(self, since: int | None, until: int | None, gone: Selectable | None) -> Iterator[Event]:
        """What happened from `since` (nanoseconds since the epoch; None: from now) to `until` (None: for ever)."""
        return follow(self.paths.events, since, until, gone)

    def check(self, told: "Callable[[Verdict], None]", tell: Callable[[str, int, int], None], *,
              repair: bool) -> "Summary":
        """Everything on disk against what it should be. Conflict: another check is running."""
        from pydocker.upkeep.check import check

        return check(self._store, self.containers, told, tell, repair=repair)

    def close(self) -> None:
        """Let go of what the engine holds; what runs goes on running."""
        self.containers.close()
        self._spawner.close()
        self.networks.close()


class Images:
    """The image store with what it must not know itself: registries, and the containers that use an image."""

    def __init__(self, config: Config, store: ImageStore, containers: Containers, tell: ImageHappenings) -> None:
        self._config = config
        self._store = store
        self._containers = containers
        self._tell = tell

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        return self._store.resolve(name, platform)

    def layer_sizes(self, image: Image) -> tuple[int, ...]:
        """In bytes, lowest first."""
        return tuple(map(self._store.reader.layer_size, image.layers))

    def document(self, image: Image) -> Mapping[str, object]:
        """The image's config as it came, with what this engine does not understand."""
        return self._store.read(image.id, dict[str, object])

    def tag(self, name: str, reference: Reference) -> None:
        image = self._store.resolve(name)
        self._store.tag(image, reference)
        self._tell.one("tag", image, reference.familiar())

    def remove(self, name: str, *, force: bool, platforms: Sequence[Platform] = ()) -> Sequence[tuple[str, str]]:
        image = self._store.resolve(name)
        removed = self._store.remove(name, force=force, users=self._containers.image_users, running=self._is_running,
                                     platforms=platforms)
        self._tell.removed([image], removed)
        return removed

    def prune(self, wanted: Callable[[Image], bool]) -> tuple[Sequence[tuple[str, str]], int]:
        """Remove the unused images that are `wanted` away: what became of which name, and the bytes freed."""
        images = self._store.list()
        pruned = self._store.prune(wanted, self._containers.image_users)
        self._tell.pruned(images, pruned.removed, pruned.freed)
        return pruned.removed, pruned.freed

    def shares(self, image: Image) -> Sequence[Share]:
        """What each layer adds, and what the others make of it; lowest first."""
        with self._store.using():
            return shares([listing(self._store.layers.diff(chain)) for chain in image.layers])

    def usage(self) -> Sequence[ImageUsage]:
        return usage.images(self._store, self._containers.image_users)

    def _is_running(self, container: str) -> bool:
        try:
            return self._containers.get(container).state.running
        except NotFound:  # removed meanwhile
            return False

    def pull(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None:
        """Pull `reference`, every tag of the repository if it has none; `auth` is the X-Registry-Auth header."""
        remote = self._remote()
        pull = remote.pull if reference.tag or reference.digest else remote.pull_all
        pull(reference, platforms.parse(platform) if platform else None, auth,
             lambda it: tell(it.status, it.id, it.current, it.total))
        self._tell.moved("pull", reference)

    def push(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None:
        """Push `reference`, every tag of it that is here if it names none."""
        self._remote().push(
            reference, platforms.parse(platform) if platform else None, auth,
            lambda it: tell(it.status, it.id, it.current, it.total),
            lambda pushed: tell("", aux=msgspec.to_builtins(pushed)))
        self._tell.moved("push", reference)

    def login(self, server: str, username: str, password: str, identity_token: str) -> str:
        """Verify credentials with a registry; returns a refresh token to keep instead, or ""."""
        from pydocker.registry.credentials import Credentials

        return self._remote().login(server, Credentials(username, password, identity_token))

    def search(self, term: str, limit: int | None, auth: str) -> Sequence[Mapping[str, object]]:
        """What a registry (Docker Hub, unless the term names another) has under such a name."""
        from pydocker.registry.search import DEFAULT_LIMIT

        found = self._remote().search(term, DEFAULT_LIMIT if limit is None else limit, auth)
        return [msgspec.to_builtins(one) for one in found]

    def _remote(self) -> "Remote":
        # requests costs 100 ms to import: more than a short `run` takes in all, and no part of one.
        from pydocker.images.remote import Remote

        return Remote(self._config, self._store)

    def save(self, names: Sequence[str], platforms: Sequence[Platform]) -> Iterator[bytes]:
        from pydocker.images.archive_save import save

        return self._tell.saving(names, save(self._store, names, platforms))

    def load(self, archive: Iterable[bytes], platforms: Sequence[Platform]) -> Iterator[Progress | str]:
        from pydocker.images.archive_load import load

        return self._tell.loading(load(self._store, archive, platforms))

    def import_(self, content: Iterable[bytes], reference: Reference | None, changes: Sequence[str],
                message: str, platform: Platform | None) -> Image:
        image = import_(self._store, content, reference, changes, message or "Imported from -", platform)
        self._tell.imported(image, reference)
        return image

    def import_from(self, url: str, reference: Reference | None, changes: Sequence[str], message: str,
                    platform: Platform | None, tell: Tell) -> None:
        """Import the archive at `url`, and tell how far it is."""
        from pydocker.registry.download import download

        with download(url, self._config.certificates) as found:
            tell(f"Downloading from {url}")
            content = _counted(found.pieces, lambda done: tell("Importing", "", done, found.size))
            image = import_(self._store, content, reference, changes, message or f"Imported from {url}", platform)
        self._tell.imported(image, reference)
        tell(image.id)

    def list(self) -> list[Image]:
        return self._store.list()


def _counted(pieces: Iterable[bytes], tell: Callable[[int], None]) -> Iterator[bytes]:
    """The same pieces; `tell` gets the bytes so far, ten times a second."""
    done, last = 0, time.monotonic()
    for piece in pieces:
        done += len(piece)
        if time.monotonic() - last >= 0.1:
            last = time.monotonic()
            tell(done)
        yield piece
