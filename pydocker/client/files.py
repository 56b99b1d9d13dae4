"""Routes about a container's files (Engine API, "Container")."""

from collections.abc import Iterable

from pydocker.client import answers
from pydocker.client.api import ApiError, Client, Query, Response, decoded, required, segment
from pydocker.wire.pathstat import HEADER, PathStat, decode


def changes(client: Client, container: str) -> tuple[answers.FileChange, ...]:
    """What it has changed of its image's files. (Docker's server says null where that is nothing.)"""
    content = client.send("GET", f"/containers/{segment(container)}/changes").read()
    return () if content.strip() == b"null" else decoded(content, tuple[answers.FileChange, ...])


def export(client: Client, container: str) -> Response:
    """Begin to export: the answer's body is the archive."""
    return client.send("GET", f"/containers/{required('container', container)}/export")


def _archive(container: str) -> str:
    return f"/containers/{segment(container)}/archive"


def stat(client: Client, container: str, path: str) -> PathStat | None:
    """What a path in a container is; None: it is not there (or the container is not: whoever copies is told then).

    An older server's refusal has no body here that would name its version, so that is settled before.
    """
    client.negotiate()
    try:
        with client.send("HEAD", _archive(container), {"path": path}) as response:
            return decode(response.headers.get(HEADER.lower(), ""))
    except ApiError:
        return None


def archive(client: Client, container: str, path: str) -> tuple[PathStat, Response]:
    """Begin to copy: what the path is, and its archive as the answer's body."""
    response = client.send("GET", _archive(container), {"path": path})
    return decode(response.headers.get(HEADER.lower(), "")), response


def extract(client: Client, container: str, path: str, content: Iterable[bytes], *, to_user: bool) -> None:
    """Unpack an archive into a directory; no directory of it becomes a file, and no file a directory."""
    query = {"path": path, "noOverwriteDirNonDir": "true", "copyUIDGID": "true" if to_user else None}
    client.upload(_archive(container), query, content, "PUT").read()


def commit(client: Client, query: Query) -> str:
    """Make an image of a container: its id."""
    required("container", str(query["container"]))
    return decoded(client.post("/commit", query), answers.Created).id
