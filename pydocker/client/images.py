"""Routes under `/images` (Engine API, "Image")."""

from collections.abc import Iterable, Iterator

from pydocker.client import answers
from pydocker.client.api import Client, Query, Response, decoded, quoted


def _path(image: str, verb: str = "") -> str:
    # An image's name has slashes, and the route takes them: `/images/library/alpine/json`.
    return f"/images/{quoted(image, b'/')}" + (f"/{verb}" if verb else "")


def listed(client: Client, query: Query) -> tuple[answers.ImageSummary, ...]:
    return client.get("/images/json", tuple[answers.ImageSummary, ...], query)


def inspect(client: Client, image: str) -> bytes:
    """The document as the server wrote it."""
    return client.send("GET", _path(image, "json")).read()


def remove(client: Client, image: str, *, force: bool, prune: bool) -> tuple[answers.Removed, ...]:
    query = {"force": force or None, "noprune": None if prune else True}
    return decoded(client.send("DELETE", _path(image), query).read(), tuple[answers.Removed, ...])


def tag(client: Client, image: str, repository: str, tag: str) -> None:
    client.post(_path(image, "tag"), {"repo": repository, "tag": tag})


def pull(client: Client, repository: str, tag: str, platform: str | None, authorization: str | None) -> Response:
    """Begin a pull; `told` reads how it goes. `tag` may be a digest."""
    query = {"fromImage": repository, "tag": tag, "platform": platform or None}
    return client.send("POST", "/images/create", query, None,
                       {"X-Registry-Auth": authorization} if authorization else {})


def import_(client: Client, query: Query, archive: Iterable[bytes]) -> Response:
    """Make an image of one layer from a tar archive; `told` reads the outcome."""
    return client.upload("/images/create", query, archive)


def told(response: Response) -> Iterator[answers.Told]:
    """The lines of a progress stream as they come. JSON objects, one after the other, with or without line ends."""
    rest = b""
    with response:
        for piece in response.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (decoded(line, answers.Told) for line in lines if line.strip())
    if rest.strip():
        yield decoded(rest, answers.Told)
