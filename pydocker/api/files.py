"""A container's files: what it has changed of them, all of them as an archive, and archives in and out (`cp`)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pydocker.api.exchange import Request, Response, Result, Stream, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.wire.pathstat import HEADER, PathStat, encode


class Change(Protocol):
    """One path that is not what it was; `kind` is 0 (modified), 1 (added) or 2 (deleted)."""

    @property
    def path(self) -> bytes: ...
    @property
    def kind(self) -> int: ...


class Containers(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def changes(self, ref: str) -> Sequence[Change]: ...
    def export(self, ref: str) -> Iterator[bytes]: ...
    def path_stat(self, ref: str, path: str) -> PathStat: ...
    def archive(self, ref: str, path: str) -> tuple[PathStat, Iterator[bytes]]: ...
    def extract(self, ref: str, path: str, content: Iterable[bytes], *, replace_directories: bool,
                to_user: bool) -> None: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...


def changes(backend: Backend, request: Request) -> Result:
    return reply([{"Path": change.path.decode(errors="replace"), "Kind": int(change.kind)}
                  for change in backend.containers.changes(request.parameters["id"])])


def export(backend: Backend, request: Request) -> Result:
    return Stream(backend.containers.export(request.parameters["id"]), "application/octet-stream")


def path_stat(backend: Backend, request: Request) -> Result:
    return Response(200, headers={HEADER: encode(backend.containers.path_stat(request.parameters["id"],
                                                                             _path(request)))})


def archive(backend: Backend, request: Request) -> Result:
    found, pieces = backend.containers.archive(request.parameters["id"], _path(request))
    return Stream(pieces, "application/x-tar", headers={HEADER: encode(found)})


def extract(backend: Backend, request: Request) -> Result:
    """Docker's documentation has flags of "1" and "true"; its server takes any word but a false one."""
    backend.containers.extract(
        request.parameters["id"], _path(request), request.body,
        replace_directories=not request.flag("noOverwriteDirNonDir"), to_user=request.flag("copyUIDGID"))
    return Response()


def _path(request: Request) -> str:
    path = request.text("path")
    if not path:
        raise InvalidParameter("bad parameter: path cannot be empty")
    return path


ROUTES: Routes[Backend] = (
    ("GET", "/containers/{id}/changes", changes),
    ("GET", "/containers/{id}/export", export),
    ("HEAD", "/containers/{id}/archive", path_stat),
    ("GET", "/containers/{id}/archive", archive),
    ("PUT", "/containers/{id}/archive", extract),
)
