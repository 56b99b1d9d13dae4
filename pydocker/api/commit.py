"""`commit`: a container becomes an image."""

from typing import Protocol

import msgspec

from pydocker.api.exchange import Request, Result, reply
from pydocker.api.router import Routes
from pydocker.containers.options import CommitOptions
from pydocker.errors import InvalidParameter
from pydocker.model import reference
from pydocker.model.image import Image, ImageDefaults
from pydocker.model.reference import Reference


class Containers(Protocol):
    def commit(self, ref: str, reference: Reference | None, options: CommitOptions) -> Image: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...


def commit(backend: Backend, request: Request) -> Result:
    """`changes` may come several times, and each with several lines, as docker-py sends them."""
    image = backend.containers.commit(request.text("container"), _named(request), CommitOptions(
        author=request.text("author"), comment=request.text("comment"), changes=tuple(request.query.get("changes", ())),
        pause=request.flag("pause", default=True), config=_config(request.document())))
    return reply({"Id": image.id}, 201)


def _named(request: Request) -> Reference | None:
    if not request.text("repo"):
        return None
    parsed = reference.parse(request.text("repo"))
    return parsed.with_tag(request.text("tag")) if request.text("tag") else parsed.with_default_tag()


def _config(document: dict[str, object]) -> ImageDefaults | None:
    """A container's settings: those of them that an image presets."""
    if not document:
        return None
    try:
        return msgspec.convert({key: value for key, value in document.items() if value is not None}, ImageDefaults)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid request body: {str(error)[0].lower()}{str(error)[1:]}") from error


ROUTES: Routes[Backend] = (("POST", "/commit", commit),)
