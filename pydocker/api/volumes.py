"""Volumes: create, list, inspect, remove, prune; and ours: rename, clone, export, import."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from pydocker.api import filters
from pydocker.api.exchange import Request, Response, Result, Stream, no_content, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter, NotSupported, Unavailable
from pydocker.model.volume import Volume
from pydocker.paths import Paths
from pydocker.wire import requests
from pydocker.wire import volumes as wire

Named = tuple[str, Volume]


class Volumes(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def get(self, name: str) -> Volume: ...
    def users(self) -> Mapping[str, Sequence[str]]: ...
    def create(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Named: ...
    def remove(self, name: str, *, force: bool = False) -> None: ...
    def prune(self, wanted: Callable[[str, Volume], bool]) -> tuple[Sequence[str], int]: ...
    def rename(self, old: str, new: str) -> None: ...
    def clone(self, source: str, name: str) -> None: ...
    def export(self, name: str) -> Iterator[bytes]: ...
    def import_(self, name: str, content: Iterable[bytes], labels: Mapping[str, str]) -> None: ...
    def list(self) -> Sequence[Named]: ...


class Backend(Protocol):
    @property
    def paths(self) -> Paths: ...
    @property
    def volumes(self) -> Volumes: ...


def create(backend: Backend, request: Request) -> Result:
    body = requests.convert(request.document(), wire.CreateBody)
    if body.cluster_volume_spec:
        raise NotSupported(f"create {body.name}: cluster volumes are Swarm's, which this engine does not have")
    name, volume = backend.volumes.create(body.name, body.driver, body.driver_opts, body.labels)
    return reply(wire.shape(name, volume, backend.paths), 201)


def list_all(backend: Backend, request: Request) -> Result:
    tests = filters.volume_tests(filters.parse(request.text("filters")), backend.volumes.users)
    return reply({"Volumes": [wire.shape(name, volume, backend.paths) for name, volume in backend.volumes.list()
                              if all(test(name, volume) for test in tests)], "Warnings": None})


def inspect(backend: Backend, request: Request) -> Result:
    name = request.parameters["name"]
    return reply(wire.shape(name, backend.volumes.get(name), backend.paths))


def update(backend: Backend, request: Request) -> Result:
    """Only a cluster's volumes can be updated, in Docker as well."""
    backend.volumes.get(request.parameters["name"])
    raise Unavailable(f"update {request.parameters['name']}: it is no cluster volume, and only these can be updated")


def remove(backend: Backend, request: Request) -> Result:
    backend.volumes.remove(request.parameters["name"], force=request.flag("force"))
    return no_content()


def prune(backend: Backend, request: Request) -> Result:
    """Up to API 1.41 every unused volume, since then the anonymous ones, unless all are asked for."""
    tests = filters.volume_prune_tests(filters.parse(request.text("filters")), all=request.version < (1, 42))
    removed, freed = backend.volumes.prune(lambda name, volume: all(test(name, volume) for test in tests))
    return reply({"VolumesDeleted": removed or None, "SpaceReclaimed": freed})


def rename(backend: Backend, request: Request) -> Result:
    backend.volumes.rename(request.parameters["name"], _new(request))
    return no_content()


def clone(backend: Backend, request: Request) -> Result:
    backend.volumes.clone(request.parameters["name"], _new(request))
    return Response(201)


def _new(request: Request) -> str:
    if not request.text("name"):
        raise InvalidParameter("bad parameter: name cannot be empty")
    return request.text("name")


def export(backend: Backend, request: Request) -> Result:
    return Stream(backend.volumes.export(request.parameters["name"]), "application/x-tar")


def import_(backend: Backend, request: Request) -> Result:
    """`labels` is a JSON object, as in a create request."""
    try:
        labels = msgspec.json.decode(request.text("labels") or "{}", type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidParameter(f"invalid labels: {error}") from error
    backend.volumes.import_(request.parameters["name"], request.body, labels)
    return Response(201)


ROUTES: Routes[Backend] = (
    ("GET", "/volumes", list_all),
    ("POST", "/volumes/create", create),
    ("POST", "/volumes/prune", prune),
    ("GET", "/volumes/{name:*}", inspect),
    ("PUT", "/volumes/{name:*}", update),
    ("DELETE", "/volumes/{name:*}", remove),
    ("POST", "/pydocker/volumes/{name}/rename", rename),
    ("POST", "/pydocker/volumes/{name}/clone", clone),
    ("GET", "/pydocker/volumes/{name}/export", export),
    ("POST", "/pydocker/volumes/{name}/import", import_),
)
