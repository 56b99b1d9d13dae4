"""`GET /containers/{id}/reachability`: ours. Each published port, every hop on the way to it, and who can use it."""

from collections.abc import Sequence
from typing import Protocol

from pydocker.api.exchange import Request, Result, reply
from pydocker.api.router import Routes
from pydocker.model.container import Container
from pydocker.model.network import Endpoint


class Hop(Protocol):
    """One thing that has to be so, and whether it is."""

    @property
    def what(self) -> str: ...
    @property
    def good(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class Finding(Protocol):
    """One published port."""

    @property
    def port(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def hops(self) -> Sequence[Hop]: ...
    @property
    def reachable_from(self) -> Sequence[str]: ...


class Containers(Protocol):
    """What is asked of the containers."""

    def get(self, ref: str) -> Container: ...


class Networks(Protocol):
    """What is asked of the networks."""

    def examine(self, endpoints: Sequence[Endpoint], pid: int) -> Sequence[Finding]: ...


class Backend(Protocol):
    """What is asked of the engine."""

    @property
    def containers(self) -> Containers: ...
    @property
    def networks(self) -> Networks: ...


def reachability(backend: Backend, request: Request) -> Result:
    container = backend.containers.get(request.parameters["id"])
    return reply({"Ports": [
        {"Port": one.port, "Network": one.network, "ReachableFrom": [*one.reachable_from],
         "Hops": [{"What": hop.what, "Good": hop.good, "Detail": hop.detail} for hop in one.hops]}
        for one in backend.networks.examine(container.endpoints, container.state.pid)]})


ROUTES: Routes[Backend] = (("GET", "/containers/{id}/reachability", reachability),)
