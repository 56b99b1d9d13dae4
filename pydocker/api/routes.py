"""Every route of the API, with the part of the engine that it needs."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Protocol

from pydocker.api import (
    again,
    archives,
    checking,
    commit,
    containers,
    events,
    execs,
    files,
    images,
    networks,
    reachability,
    registries,
    running,
    stats,
    streams,
    system,
    upkeep,
    volumes,
)
from pydocker.api.attaching import Attaching
from pydocker.api.router import Handler, bind
from pydocker.model.container import Container
from pydocker.model.image import Image
from pydocker.model.usage import ContainerUsage, Usage
from pydocker.paths import Paths
from pydocker.wire.info import Facts


class Containers(containers.Containers, running.Containers, stats.Containers, streams.Containers, execs.Containers,
                 files.Containers, commit.Containers, again.Containers, Protocol):
    """Everything that is asked of containers."""


class Images(images.Images, registries.Registries, upkeep.Images, Protocol):
    """Everything that is asked of images."""


class Networks(networks.Networks, reachability.Networks, Protocol):
    """Everything that is asked of networks."""


class Connections(networks.Connections, Protocol):
    """Everything that is asked of containers in networks."""


class Engine(events.Backend, Protocol):
    """Everything that is asked of an engine."""

    @property
    def paths(self) -> Paths: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def images(self) -> Images: ...
    @property
    def volumes(self) -> volumes.Volumes: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def connections(self) -> Connections: ...
    def facts(self) -> Facts: ...
    def written(self, container: Container) -> ContainerUsage: ...
    def usage(self, kinds: Collection[str]) -> Usage: ...
    def check(self, told: Callable[[checking.Verdict], None], tell: Callable[[str, int, int], None], *,
              repair: bool) -> checking.Summary: ...
    def prune_containers(self, wanted: Callable[[Container], bool]) -> tuple[Sequence[str], int]: ...
    def resolve_image(self, name: str) -> Image: ...


class _Served:
    """An engine, and what only its being served over connections needs."""

    def __init__(self, engine: Engine) -> None:
        self.paths = engine.paths
        self.containers = engine.containers
        self.connections = engine.connections
        self.resolve_image = engine.resolve_image
        self.written = engine.written
        self.attaching = Attaching()


def routes(engine: Engine) -> Iterable[tuple[str, str, Handler]]:
    """The tables of all nouns."""
    served = _Served(engine)
    return chain(
        bind(system.ROUTES, engine),
        bind(containers.ROUTES, served),
        bind(again.ROUTES, engine),
        bind(events.ROUTES, engine),
        bind(running.ROUTES, engine),
        bind(reachability.ROUTES, engine),
        bind(stats.ROUTES, engine),
        bind(streams.ROUTES, served),
        bind(execs.ROUTES, served),
        bind(files.ROUTES, engine),
        bind(commit.ROUTES, engine),
        bind(networks.ROUTES, engine),
        bind(registries.ROUTES, engine),
        bind(upkeep.ROUTES, engine),
        bind(volumes.ROUTES, engine),
        bind(archives.ROUTES, engine),
        bind(checking.ROUTES, engine),
        bind(images.ROUTES, engine),
    )
