"""Containers: create, list, inspect, start, stop and what else changes or shows one. Streams are in `streams`."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from pydocker.api import filters
from pydocker.api.attaching import Attaching
from pydocker.api.exchange import Request, Response, Result, no_content, reply
from pydocker.api.router import Routes
from pydocker.containers import apparmor
from pydocker.errors import InvalidParameter, NotFound, NotSupported, PydockerError
from pydocker.model.container import Config, Container, ContainerId, ExecId, HostConfig
from pydocker.model.image import Image
from pydocker.model.network import EndpointConfig
from pydocker.model.usage import ContainerUsage
from pydocker.paths import Paths
from pydocker.wire import containers as wire
from pydocker.wire import requests, usage


class Told(Protocol):
    """A step, as far as it can be told."""

    @property
    def why(self) -> str: ...
    @property
    def manual(self) -> str: ...
    def describe(self) -> str: ...
    def shell(self) -> str: ...


class Containers(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def create(self, name: str | None, config: Config, host: HostConfig, platform: str | None,
               networks: Mapping[str, EndpointConfig]) -> tuple[ContainerId, list[str]]: ...
    def get(self, ref: str) -> Container: ...
    def start(self, ref: str) -> None: ...
    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None: ...
    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None: ...
    def kill(self, ref: str, signal: str = "SIGKILL") -> None: ...
    def rename(self, ref: str, name: str) -> None: ...
    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None: ...
    def resize(self, ref: str, height: int, width: int) -> None: ...
    def plan(self, config: Config, host: HostConfig, platform: str | None,
             networks: Mapping[str, EndpointConfig]) -> tuple[Told, ...]: ...
    def unfinished_execs(self, container: ContainerId) -> tuple[ExecId, ...]: ...
    def list(self, *, all: bool) -> list[Container]: ...


class Connections(Protocol):
    """What is asked of a container's ties to others."""

    def unlink(self, ref: str) -> None: ...


class Backend(Protocol):
    """What this noun needs of the engine."""

    @property
    def paths(self) -> Paths: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def attaching(self) -> Attaching: ...
    def resolve_image(self, name: str) -> Image: ...
    def written(self, container: Container) -> ContainerUsage: ...


def create(backend: Backend, request: Request) -> Result:
    body = requests.create(request.document())
    try:
        id, warnings = _created(backend, request, body)
    except NotFound as error:
        if request.text("platform") or _image_id(backend, body.config.image) is None:
            raise
        # Clients take a 404 of this request for a missing image, which they go and pull: it is something else's.
        raise InvalidParameter(str(error)) from error
    return reply({"Id": id, "Warnings": warnings}, 201)


def _created(backend: Backend, request: Request, body: requests.CreateBody) -> tuple[str, list[str]]:
    return backend.containers.create(request.text("name") or None, body.config, body.host,
                                     request.text("platform") or None, body.networks)


def plan(backend: Backend, request: Request) -> Result:
    """Ours, for `run --dry-run`: what a start of such a container would do, and nothing of it done."""
    body = requests.create(request.document())
    steps = backend.containers.plan(body.config, body.host, request.text("platform") or None, body.networks)
    return reply([{"why": step.why, "manual": step.manual, "describe": step.describe(), "shell": step.shell()}
                  for step in steps])


def list_all(backend: Backend, request: Request) -> Result:
    chosen = filters.parse(request.text("filters"))
    tests = filters.container_tests(chosen, lambda name: _image_id(backend, name), backend.containers.get)
    limit = request.number("limit") or 0
    everything = request.flag("all") or limit > 0 or "status" in chosen
    found = [container for container in backend.containers.list(all=everything) if filters.passes(tests, container)]
    now = time.time()
    shown = found[:limit if limit > 0 else None]
    current = {name: _image_id(backend, name) for name in {container.record.image_name for container in shown}}
    return reply([
        {**wire.summary(container, now, renamed=current[container.record.image_name] != container.record.image),
         **_sizes(backend, request, container)} for container in shown])


def _sizes(backend: Backend, request: Request, container: Container) -> wire.Shape:
    """Only where it is asked for: every file of the container is looked at."""
    return usage.sizes(backend.written(container)) if request.flag("size") else {}


def _image_id(backend: Backend, name: str) -> str | None:
    try:
        return backend.resolve_image(name).id
    except (NotFound, InvalidParameter):
        return None


def inspect(backend: Backend, request: Request) -> Result:
    container = backend.containers.get(request.parameters["id"])
    execs = backend.containers.unfinished_execs(container.record.id)
    shape = wire.inspect(container, backend.paths, execs, apparmor.profile(container.record.host))
    return reply({**shape, **_sizes(backend, request, container)})


def start(backend: Backend, request: Request) -> Result:
    if request.text("checkpoint"):
        raise NotSupported("checkpoints are not supported yet")
    container = backend.containers.get(request.parameters["id"])
    backend.attaching.settle(container.record.id)
    backend.containers.start(container.record.id)
    return no_content()


def stop(backend: Backend, request: Request) -> Result:
    backend.containers.stop(request.parameters["id"], request.number("t"), request.text("signal") or None)
    return no_content()


def restart(backend: Backend, request: Request) -> Result:
    backend.containers.restart(request.parameters["id"], request.number("t"), request.text("signal") or None)
    return no_content()


def kill(backend: Backend, request: Request) -> Result:
    ref = request.parameters["id"]
    try:
        backend.containers.kill(ref, request.text("signal") or "SIGKILL")
    except PydockerError as error:
        raise type(error)(f"cannot kill container: {ref}: {error}") from error
    return no_content()


def rename(backend: Backend, request: Request) -> Result:
    backend.containers.rename(request.parameters["id"], request.text("name"))
    return no_content()


def remove(backend: Backend, request: Request) -> Result:
    if request.flag("link"):
        backend.connections.unlink(request.parameters["id"])
        return no_content()
    backend.containers.remove(request.parameters["id"], force=request.flag("force"), volumes=request.flag("v"))
    return no_content()


def unlink(backend: Backend, request: Request) -> Result:
    """`DELETE /containers/app/db?link=1`."""
    if not request.flag("link"):
        raise NotFound(f"No such container: {request.parameters['id']}/{request.parameters['alias']}")
    backend.connections.unlink(f"{request.parameters['id']}/{request.parameters['alias']}")
    return no_content()


def resize(backend: Backend, request: Request) -> Result:
    set_size(request, lambda height, width: backend.containers.resize(request.parameters["id"], height, width))
    return Response()


def set_size(request: Request, apply: Callable[[int, int], None]) -> None:
    """Call `apply(height, width)` with a terminal's size in characters, as `h` and `w` of the query give it."""
    height, width = request.number("h"), request.number("w")
    if height is None or width is None:
        raise InvalidParameter("invalid size: h and w are needed")
    if not (0 <= height <= 0xFFFF and 0 <= width <= 0xFFFF):  # ioctl_tty(2), struct winsize: two unsigned shorts
        raise InvalidParameter(f"invalid size {height}x{width}: out of range")
    apply(height, width)


ROUTES: Routes[Backend] = (
    ("GET", "/containers/json", list_all),
    ("POST", "/containers/create", create),
    ("POST", "/containers/plan", plan),
    ("GET", "/containers/{id}/json", inspect),
    ("POST", "/containers/{id}/start", start),
    ("POST", "/containers/{id}/stop", stop),
    ("POST", "/containers/{id}/restart", restart),
    ("POST", "/containers/{id}/kill", kill),
    ("POST", "/containers/{id}/rename", rename),
    ("POST", "/containers/{id}/resize", resize),
    ("DELETE", "/containers/{id}", remove),
    ("DELETE", "/containers/{id}/{alias}", unlink),
)
