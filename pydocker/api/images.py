"""Images: list, inspect, tag, remove; pull and import, which tell their progress as they go."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from pydocker.api import filters, platforms
from pydocker.api.archives import Archives, import_
from pydocker.api.background import Tell, stream
from pydocker.api.exchange import Request, Response, Result, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.model import digest, reference
from pydocker.model.image import Image
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference
from pydocker.model.stack import Share
from pydocker.model.usage import ImageUsage
from pydocker.paths import Paths
from pydocker.wire import images as wire


class Images(Archives, Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def resolve(self, name: str, platform: Platform | None = None) -> Image: ...
    def layer_sizes(self, image: Image) -> Sequence[int]: ...
    def document(self, image: Image) -> Mapping[str, object]: ...
    def usage(self) -> Sequence[ImageUsage]: ...
    def shares(self, image: Image) -> Sequence[Share]: ...
    def tag(self, name: str, reference: Reference) -> None: ...
    def remove(self, name: str, *, force: bool, platforms: Sequence[Platform] = ()) -> Sequence[tuple[str, str]]: ...
    def pull(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None: ...
    def list(self) -> list[Image]: ...


class Backend(Protocol):
    @property
    def paths(self) -> Paths: ...
    @property
    def images(self) -> Images: ...


def list_all(backend: Backend, request: Request) -> Result:
    chosen = filters.parse(request.text("filters"))
    tests = filters.image_tests(chosen, backend.images.resolve)
    old = request.version < (1, 43)
    shared, manifests = request.flag("shared-size"), request.flag("manifests")
    if not (shared or manifests):
        found = [filters.as_called(image, chosen) for image in backend.images.list() if filters.passes(tests, image)]
        return reply([wire.summary(image, placeholders=old) for image in found])
    counted = [msgspec.structs.replace(usage, image=filters.as_called(usage.image, chosen))
               for usage in backend.images.usage() if filters.passes(tests, usage.image)]
    return reply([wire.counted(usage, shared=shared, manifests=manifests, placeholders=old) for usage in counted])


def inspect(backend: Backend, request: Request) -> Result:
    image = backend.images.resolve(request.parameters["name"], platforms.read(request.text("platform")))
    return reply(wire.inspect(image, backend.paths, backend.images.document(image), virtual=request.version < (1, 44)))


def history(backend: Backend, request: Request) -> Result:
    image = backend.images.resolve(request.parameters["name"], platforms.read(request.text("platform")))
    return reply(wire.history(image, backend.images.layer_sizes(image)))


def layers(backend: Backend, request: Request) -> Result:
    """Ours: what each layer adds, and what later ones make of it."""
    image = backend.images.resolve(request.parameters["name"], platforms.read(request.text("platform")))
    return reply(wire.layers(image, backend.images.shares(image)))


def tag(backend: Backend, request: Request) -> Result:
    if not request.text("repo"):
        raise InvalidParameter("invalid reference format: repo is empty")
    backend.images.tag(request.parameters["name"], _named(request.text("repo"), request.text("tag")))
    return Response(201)


def remove(backend: Backend, request: Request) -> Result:
    """`noprune` spares untagged parents, which no image has here: layers are shared by content, not by descent."""
    wanted = [found for found in map(platforms.read, request.query.get("platforms", [])) if found]
    return reply(wire.deleted(backend.images.remove(
        request.parameters["name"], force=request.flag("force"), platforms=wanted)))


def create(backend: Backend, request: Request) -> Result:
    """`docker pull` and `docker import` are one route: an image comes to be here."""
    if request.text("fromImage"):
        return _pull(backend, request)
    if request.text("fromSrc"):
        return import_(backend, request)
    raise InvalidParameter("fromImage or fromSrc is needed")


def _pull(backend: Backend, request: Request) -> Result:
    wanted = pulled(request.text("fromImage"), request.text("tag"))
    platform, auth = request.text("platform") or None, request.headers.get("x-registry-auth", "")
    return stream(lambda tell: backend.images.pull(wanted, platform, auth, tell))


def pulled(image: str, tag: str) -> Reference:
    """What `fromImage` and `tag` name together; `tag` may be a digest. With neither: every tag of the repository.

    Raises InvalidParameter.
    """
    parsed = reference.parse(image)
    if tag.startswith("sha256:"):
        return parsed.with_digest(digest.parse(tag))
    return parsed.with_tag(tag) if tag else parsed


def _named(repository: str, tag: str) -> Reference:
    parsed = reference.parse(repository)
    if parsed.digest:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    return parsed.with_tag(tag) if tag else parsed.with_default_tag()


ROUTES: Routes[Backend] = (
    ("GET", "/images/json", list_all),
    ("POST", "/images/create", create),
    ("GET", "/images/{name:*}/json", inspect),
    ("GET", "/images/{name:*}/history", history),
    ("GET", "/pydocker/images/{name:*}/layers", layers),
    ("POST", "/images/{name:*}/tag", tag),
    ("DELETE", "/images/{name:*}", remove),
)
