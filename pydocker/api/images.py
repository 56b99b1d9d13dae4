"""Images: list, inspect, tag, remove; pull and import, which tell their progress as they go."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydocker.api import filters
from pydocker.api.background import Tell, stream
from pydocker.api.exchange import Request, Response, Result, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter, NotSupported
from pydocker.model import digest, reference
from pydocker.model.image import Image
from pydocker.model.reference import Reference
from pydocker.paths import Paths
from pydocker.wire import images as wire


class Images(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def resolve(self, name: str) -> Image: ...
    def tag(self, name: str, reference: Reference) -> None: ...
    def remove(self, name: str, *, force: bool) -> Sequence[tuple[str, str]]: ...
    def pull(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None: ...
    def import_(self, content: Iterable[bytes], reference: Reference | None, changes: Sequence[str],
                message: str) -> Image: ...
    def list(self) -> list[Image]: ...


class Backend(Protocol):
    @property
    def paths(self) -> Paths: ...
    @property
    def images(self) -> Images: ...


def list_all(backend: Backend, request: Request) -> Result:
    chosen = filters.parse(request.text("filters"))
    tests = filters.image_tests(chosen, backend.images.resolve)
    found = [filters.as_called(image, chosen) for image in backend.images.list() if filters.passes(tests, image)]
    old = request.version < (1, 43)
    return reply([wire.summary(image, placeholders=old) for image in found])


def inspect(backend: Backend, request: Request) -> Result:
    return reply(wire.inspect(backend.images.resolve(request.parameters["name"]), backend.paths))


def tag(backend: Backend, request: Request) -> Result:
    if not request.text("repo"):
        raise InvalidParameter("invalid reference format: repo is empty")
    backend.images.tag(request.parameters["name"], _named(request.text("repo"), request.text("tag")))
    return Response(201)


def remove(backend: Backend, request: Request) -> Result:
    return reply(wire.deleted(backend.images.remove(request.parameters["name"], force=request.flag("force"))))


def create(backend: Backend, request: Request) -> Result:
    """`docker pull` and `docker import` are one route: an image comes to be here."""
    if request.text("fromImage"):
        return _pull(backend, request)
    if request.text("fromSrc") == "-":
        return _import(backend, request)
    if request.text("fromSrc"):
        raise NotSupported("importing from a URL is not supported yet")
    raise InvalidParameter("fromImage or fromSrc is needed")


def _pull(backend: Backend, request: Request) -> Result:
    wanted = pulled(request.text("fromImage"), request.text("tag"))
    platform, auth = request.text("platform") or None, request.headers.get("x-registry-auth", "")
    return stream(lambda tell: backend.images.pull(wanted, platform, auth, tell))


def pulled(image: str, tag: str) -> Reference:
    """What `fromImage` and `tag` name together; `tag` may be a digest. Raises InvalidParameter, NotSupported."""
    parsed = reference.parse(image)
    if tag.startswith("sha256:"):
        return parsed.with_digest(digest.parse(tag))
    if tag:
        return parsed.with_tag(tag)
    if parsed.tag or parsed.digest:
        return parsed
    raise NotSupported(f"pulling all tags of {parsed.familiar_name} is not supported yet")


def _import(backend: Backend, request: Request) -> Result:
    if request.text("platform"):
        raise NotSupported("importing for another platform is not supported yet")
    name = _named(request.text("repo"), request.text("tag")) if request.text("repo") else None
    changes = [change for change in request.query.get("changes", []) if change]
    image = backend.images.import_(request.body, name, changes, request.text("message"))
    return Response(200, wire.progress(image.id), {"Content-Type": "application/json"})


def _named(repository: str, tag: str) -> Reference:
    parsed = reference.parse(repository)
    if parsed.digest:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    return parsed.with_tag(tag) if tag else parsed.with_default_tag()


ROUTES: Routes[Backend] = (
    ("GET", "/images/json", list_all),
    ("POST", "/images/create", create),
    ("GET", "/images/{name:*}/json", inspect),
    ("POST", "/images/{name:*}/tag", tag),
    ("DELETE", "/images/{name:*}", remove),
)
