"""Every route of the API, with the part of the engine that it needs."""

from collections.abc import Iterable
from itertools import chain
from typing import Protocol

from pydocker.api import containers, execs, images, streams, system
from pydocker.api.attaching import Attaching
from pydocker.api.router import Handler, bind
from pydocker.model.image import Image
from pydocker.paths import Paths
from pydocker.wire.info import Facts


class Containers(containers.Containers, streams.Containers, execs.Containers, Protocol):
    """Everything that is asked of containers."""


class Engine(Protocol):
    """Everything that is asked of an engine."""

    @property
    def paths(self) -> Paths: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def images(self) -> images.Images: ...
    def facts(self) -> Facts: ...
    def resolve_image(self, name: str) -> Image: ...


class _Served:
    """An engine, and what only its being served over connections needs."""

    def __init__(self, engine: Engine) -> None:
        self.paths = engine.paths
        self.containers = engine.containers
        self.resolve_image = engine.resolve_image
        self.attaching = Attaching()


def routes(engine: Engine) -> Iterable[tuple[str, str, Handler]]:
    """The tables of all nouns."""
    served = _Served(engine)
    return chain(
        bind(system.ROUTES, engine),
        bind(containers.ROUTES, served),
        bind(streams.ROUTES, served),
        bind(execs.ROUTES, served),
        bind(images.ROUTES, engine),
    )
