"""Networks: create, list, inspect, connect, disconnect, remove, prune."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pydocker.api import filters
from pydocker.api.exchange import Request, Response, Result, no_content, reply
from pydocker.api.router import Routes
from pydocker.errors import InvalidParameter
from pydocker.model.container import Container
from pydocker.model.network import HOST, NONE, Asked, Endpoint, EndpointConfig, Network
from pydocker.wire import networks as wire
from pydocker.wire import requests


class Networks(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def list(self) -> Sequence[Network]: ...
    def find(self, ref: str) -> Network: ...
    def members(self, network: Network) -> Sequence[Endpoint]: ...
    def create(self, asked: Asked) -> Network: ...
    def remove(self, ref: str) -> Network: ...
    def prune(self, wanted: Callable[[Network], bool]) -> Sequence[str]: ...


class Connections(Protocol):
    """What puts containers into them."""

    def connect(self, ref: str, container: str, config: EndpointConfig) -> None: ...
    def disconnect(self, ref: str, container: str, *, force: bool) -> None: ...
    def unlink(self, ref: str) -> None: ...


class Containers(Protocol):
    """What knows the containers."""

    def list(self, *, all: bool) -> Sequence[Container]: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...
    @property
    def networks(self) -> Networks: ...
    @property
    def connections(self) -> Connections: ...


def create(backend: Backend, request: Request) -> Result:
    made = backend.networks.create(requests.network(request.document()))
    return reply({"Id": made.id, "Warning": ""}, 201)


def list_all(backend: Backend, request: Request) -> Result:
    tests = filters.network_tests(filters.parse(request.text("filters")), backend.networks.members)
    return reply([wire.network(one) for one in backend.networks.list() if filters.passes(tests, one)])


def inspect(backend: Backend, request: Request) -> Result:
    scope = request.text("scope")
    if scope not in ("", "local", "swarm", "global"):
        raise InvalidParameter(f"invalid scope {scope[:100]!r}")
    found = backend.networks.find(request.parameters["id"])
    return reply(wire.network(found, _members(backend, found)))


def _members(backend: Backend, network: Network) -> Sequence[Endpoint]:
    """Who is in it; in the host's network and in none, without any address."""
    if network.name not in (HOST, NONE):
        return backend.networks.members(network)
    return [Endpoint(id="", network=network.id, container=one.record.id, name=one.record.name)
            for one in backend.containers.list(all=False) if network.name in wire.places(one)]


def remove(backend: Backend, request: Request) -> Result:
    backend.networks.remove(request.parameters["id"])
    return no_content()


def connect(backend: Backend, request: Request) -> Result:
    body = request.document()
    settings = body.get("EndpointConfig")
    config = requests.endpoint({} if settings is None else settings)
    backend.connections.connect(request.parameters["id"], _container(body), config)
    return Response()


def disconnect(backend: Backend, request: Request) -> Result:
    body = request.document()
    backend.connections.disconnect(request.parameters["id"], _container(body), force=body.get("Force") is True)
    return Response()


def _container(body: dict[str, object]) -> str:
    name = body.get("Container")
    if not isinstance(name, str) or not name:
        raise InvalidParameter("invalid request body: expected the name of a container - at `$.Container`")
    return name


def prune(backend: Backend, request: Request) -> Result:
    tests = filters.network_prune_tests(filters.parse(request.text("filters")))
    removed = backend.networks.prune(lambda network: filters.passes(tests, network))
    return reply({"NetworksDeleted": [*removed] or None})


ROUTES: Routes[Backend] = (
    ("GET", "/networks", list_all),
    ("POST", "/networks/create", create),
    ("POST", "/networks/prune", prune),
    ("GET", "/networks/{id}", inspect),
    ("DELETE", "/networks/{id}", remove),
    ("POST", "/networks/{id}/connect", connect),
    ("POST", "/networks/{id}/disconnect", disconnect),
)
