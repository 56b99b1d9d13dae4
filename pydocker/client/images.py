"""Routes under `/images` (Engine API, "Image")."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from pydocker.client import answers
from pydocker.client.api import Client, Query, Response, decoded, quoted
from pydocker.errors import NotFound

if TYPE_CHECKING:
    from pydocker.model.platform import Platform


def _path(image: str, verb: str = "") -> str:
    # An image's name has slashes, and the route takes them: `/images/library/alpine/json`.
    return f"/images/{quoted(image, b'/')}" + (f"/{verb}" if verb else "")


def listed(client: Client, query: Query) -> tuple[answers.ImageSummary, ...]:
    return client.get("/images/json", tuple[answers.ImageSummary, ...], query)


def inspect(client: Client, image: str, platform: str | None = None) -> bytes:
    """The document as the server wrote it."""
    if not image.strip():
        raise NotFound(f"Error: No such image: {image}")
    return client.send("GET", _path(image, "json"), {"platform": platform or None}).read()


def layers(client: Client, image: str, platform: str | None = None) -> tuple[answers.LayerShare, ...]:
    """A route of our own: Docker's API has nothing like it."""
    return client.get(f"/pydocker{_path(image, 'layers')}", tuple[answers.LayerShare, ...],
                      {"platform": platform or None})


def history(client: Client, image: str, platform: str | None = None) -> tuple[answers.Change, ...]:
    return client.get(_path(image, "history"), tuple[answers.Change, ...], {"platform": platform or None})


def remove(client: Client, image: str, *, force: bool, prune: bool,
           platforms: tuple[str, ...] = ()) -> tuple[answers.Removed, ...]:
    query = {"force": force or None, "noprune": None if prune else True, "platforms": platforms or None}
    return decoded(client.send("DELETE", _path(image), query).read(), tuple[answers.Removed, ...])


def tag(client: Client, image: str, repository: str, tag: str) -> None:
    client.post(_path(image, "tag"), {"repo": repository, "tag": tag})


def pull(client: Client, repository: str, tag: str, platform: str | None, authorization: str | None) -> Response:
    """Begin a pull; `told` reads how it goes. `tag` may be a digest."""
    query = {"fromImage": repository, "tag": tag, "platform": platform or None}
    return client.send("POST", "/images/create", query, None,
                       {"X-Registry-Auth": authorization} if authorization else {})


def pull_all(client: Client, repository: str, platform: str | None, authorization: str | None) -> Response:
    """Begin a pull of every tag of a repository."""
    return client.send("POST", "/images/create", {"fromImage": repository, "platform": platform or None}, None,
                       {"X-Registry-Auth": authorization} if authorization else {})


def push(client: Client, repository: str, tag: str | None, platform: "Platform | None", authorization: str | None
         ) -> Response:
    """Begin a push; without a tag, of every tag. `told` reads how it goes."""
    query = {"tag": tag or None, "platform": None if platform is None else _platform(platform)}
    # Docker's server wants the header even where there is nothing to say
    return client.send("POST", _path(repository, "push"), query, None, {"X-Registry-Auth": authorization or "e30="})


def _platform(platform: "Platform") -> str:
    fields = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return msgspec.json.encode({name: text for name, text in fields.items() if text}).decode()


def import_(client: Client, query: Query, archive: Iterable[bytes]) -> Response:
    """Make an image of one layer from a tar archive; `told` reads the outcome."""
    return client.upload("/images/create", query, archive)


def saved(client: Client, names: Sequence[str], platforms: Sequence[str]) -> Response:
    """Begin to save: the answer's body is the archive. `platforms` as JSON."""
    if len(names) == 1 and names[0]:
        return client.send("GET", _path(names[0], "get"), {"platform": tuple(platforms) or None})
    return client.send("GET", "/images/get", {"names": tuple(names), "platform": tuple(platforms) or None})


def load(client: Client, archive: Iterable[bytes], platforms: Sequence[str], *, quiet: bool) -> Response:
    """Make images of an archive; `told` reads how it goes."""
    return client.upload("/images/load", {"quiet": quiet, "platform": tuple(platforms) or None}, archive)


def told(response: Response) -> Iterator[answers.Told]:
    """The lines of a progress stream as they come. JSON objects, one after the other, with or without line ends."""
    rest = b""
    with response:
        for piece in response.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (decoded(line, answers.Told) for line in lines if line.strip())
    if rest.strip():
        yield decoded(rest, answers.Told)
