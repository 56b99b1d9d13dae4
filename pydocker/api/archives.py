"""Images as files: save and load whole ones, and import the root file system of one."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol, TypeVar

from pydocker.api import platforms
from pydocker.api.background import Tell
from pydocker.api.background import stream as told
from pydocker.api.exchange import Request, Response, Result, Stream
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model import reference
from pydocker.model.image import Image
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference
from pydocker.wire import images as wire

Piece = TypeVar("Piece")


class Step(Protocol):
    """How far a load is: `id` names a layer, `current` of its `total` bytes are there."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def current(self) -> int: ...
    @property
    def total(self) -> int: ...


class Archives(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def save(self, names: Sequence[str], platforms: Sequence[Platform]) -> Iterator[bytes]: ...
    def load(self, archive: Iterable[bytes], platforms: Sequence[Platform]) -> Iterator[Step | str]: ...
    def import_(self, content: Iterable[bytes], reference: Reference | None, changes: Sequence[str],
                message: str, platform: Platform | None) -> Image: ...
    def import_from(self, url: str, reference: Reference | None, changes: Sequence[str], message: str,
                    platform: Platform | None, tell: Tell) -> None: ...


class Backend(Protocol):
    @property
    def images(self) -> Archives: ...


def save(backend: Backend, request: Request) -> Result:
    """`/images/get?names=…` and `/images/{name}/get`."""
    name = request.parameters.get("name")
    names = [name] if name else [text for text in request.query.get("names", ()) if text]
    return Stream(_begun(backend.images.save(names, _platforms(request))), "application/x-tar")


def load(backend: Backend, request: Request) -> Result:
    """The whole body is read before the answer begins: what is wrong with it has an HTTP status."""
    steps = _begun(backend.images.load(request.body, _platforms(request)))
    return Stream(_lines(steps, quiet=request.flag("quiet")))


def import_(backend: Backend, request: Request) -> Result:
    """`docker import`: from the request's body (`fromSrc=-`), or from a URL that is fetched here."""
    source = request.text("fromSrc")
    name = _named(request.text("repo"), request.text("tag")) if request.text("repo") else None
    changes = request.query.get("changes", [])
    message, platform = request.text("message"), next(iter(_platforms(request)), None)
    if source != "-":
        url = source if "://" in source else f"http://{source}"
        return told(lambda tell: backend.images.import_from(url, name, changes, message, platform, tell))
    image = backend.images.import_(request.body, name, changes, message, platform)
    return Response(200, wire.progress(image.id), {"Content-Type": "application/json"})


def _begun(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same pieces; but an error that comes before the first of them is raised here."""
    first = list(islice(pieces, 1))
    return chain(first, pieces)


def _lines(steps: Iterator[Step | str], *, quiet: bool) -> Iterator[bytes]:
    try:
        for step in steps:
            if isinstance(step, str):
                yield wire.said(step)
            elif not quiet:
                yield wire.progress(step.status, step.id, step.current, step.total)
    except PydockerError as error:
        yield wire.failed(str(error))


def _platforms(request: Request) -> list[Platform]:
    """Any number of them (API 1.48 has one)."""
    return [found for text in request.query.get("platform", ()) if (found := platforms.read(text))]


def _named(repository: str, tag: str) -> Reference:
    parsed = reference.parse(repository)
    if parsed.digest:
        raise InvalidParameter("cannot import digest reference")
    return parsed.with_tag(tag) if tag else parsed.with_default_tag()


ROUTES: Routes[Backend] = (
    ("GET", "/images/get", save),
    ("GET", "/images/{name:*}/get", save),
    ("POST", "/images/load", load),
)
