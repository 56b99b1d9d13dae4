"""Our own routes: from a container back to the request that makes it again, and to its OCI bundle's config.json."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pydocker.api.exchange import JSON, Request, Response, Result, reply
from pydocker.api.router import Routes
from pydocker.model.container import Config, HostConfig
from pydocker.model.network import EndpointConfig


class Containers(Protocol):
    """What is asked of containers."""

    def asked(self, ref: str) -> tuple[str, Config, HostConfig, Mapping[str, EndpointConfig]]: ...
    def oci_config(self, ref: str) -> bytes: ...


class Backend(Protocol):
    """What is asked of the engine."""

    @property
    def containers(self) -> Containers: ...


def request(backend: Backend, request: Request) -> Result:
    """Its name, and a body for `POST /containers/create`."""
    name, config, host, networks = backend.containers.asked(request.parameters["id"])
    return reply({"Name": name, "Request": body(config, host, networks)})


def body(config: Config, host: HostConfig, networks: Mapping[str, EndpointConfig]) -> dict[str, object]:
    """The request, without what goes without saying."""
    ends = {name: said(config, EndpointConfig()) for name, config in networks.items()}
    return {**said(config, Config()), "HostConfig": said(host, HostConfig()),
            **({"NetworkingConfig": {"EndpointsConfig": ends}} if ends else {})}


def said(value: msgspec.Struct, empty: msgspec.Struct) -> dict[str, object]:
    """The fields that say something."""
    before = msgspec.to_builtins(empty)
    return {name: field for name, field in msgspec.to_builtins(value).items() if field != before[name]}


def oci(backend: Backend, request: Request) -> Result:
    return Response(200, backend.containers.oci_config(request.parameters["id"]) + b"\n", JSON)


ROUTES: Routes[Backend] = (
    ("GET", "/containers/{id}/request", request),
    ("GET", "/containers/{id}/oci", oci),
)
