"""How much of the disk is whose, and the removal of what is not used: /system/df and all the /…/prune."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from pydocker.api import filters
from pydocker.api.exchange import Request, Result, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.model.container import Container
from pydocker.model.image import Image
from pydocker.model.usage import Usage
from pydocker.paths import Paths
from pydocker.wire import images as images_wire
from pydocker.wire import usage as wire

_KINDS = ("container", "image", "volume", "build-cache")


class Images(Protocol):
    """What is asked of the images."""

    def prune(self, wanted: Callable[[Image], bool]) -> tuple[Sequence[tuple[str, str]], int]: ...


class Backend(Protocol):
    """What is asked of the engine."""

    @property
    def paths(self) -> Paths: ...
    @property
    def images(self) -> Images: ...
    def usage(self, kinds: Collection[str]) -> Usage: ...
    def prune_containers(self, wanted: Callable[[Container], bool]) -> tuple[Sequence[str], int]: ...


def usage(backend: Backend, request: Request) -> Result:
    kinds = request.query.get("type", [*_KINDS])
    if wrong := set(kinds).difference(_KINDS):
        raise InvalidParameter(f"unknown object type: {min(wrong)[:100]}")
    return reply(wire.usage(backend.usage(kinds), backend.paths))


def prune_images(backend: Backend, request: Request) -> Result:
    tests = filters.image_prune_tests(filters.parse(request.text("filters")))
    return reply(images_wire.pruned(*backend.images.prune(lambda image: filters.passes(tests, image))))


def prune_containers(backend: Backend, request: Request) -> Result:
    tests = filters.container_prune_tests(filters.parse(request.text("filters")))
    removed, freed = backend.prune_containers(lambda container: filters.passes(tests, container))
    return reply({"ContainersDeleted": removed or None, "SpaceReclaimed": freed})




def prune_builds(backend: Backend, request: Request) -> Result:
    """The engine builds nothing yet, so there is no cache."""
    return reply({"CachesDeleted": None, "SpaceReclaimed": 0})


ROUTES: Routes[Backend] = (
    ("GET", "/system/df", usage),
    ("POST", "/images/prune", prune_images),
    ("POST", "/containers/prune", prune_containers),
    ("POST", "/build/prune", prune_builds),
)
