"""What is done to containers that run, and what they are seen to do: pause, unpause, top, update."""

from collections.abc import Sequence
from typing import Protocol

from pydocker.api.exchange import Request, Result, no_content, reply
from pydocker.api.router import Routes
from pydocker.model.limits import Update
from pydocker.wire import requests


class Containers(Protocol):
    """The backend: synchronous, thread-safe, raises pydocker.errors."""

    def pause(self, ref: str) -> None: ...
    def unpause(self, ref: str) -> None: ...
    def top(self, ref: str, options: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]: ...
    def update(self, ref: str, change: Update) -> Sequence[str]: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...


def pause(backend: Backend, request: Request) -> Result:
    backend.containers.pause(request.parameters["id"])
    return no_content()


def unpause(backend: Backend, request: Request) -> Result:
    backend.containers.unpause(request.parameters["id"])
    return no_content()


def top(backend: Backend, request: Request) -> Result:
    titles, processes = backend.containers.top(request.parameters["id"], request.text("ps_args"))
    return reply({"Titles": titles, "Processes": processes})


def update(backend: Backend, request: Request) -> Result:
    warnings = backend.containers.update(request.parameters["id"], requests.update(request.document()))
    return reply({"Warnings": [*warnings] or None})


ROUTES: Routes[Backend] = (
    ("POST", "/containers/{id}/pause", pause),
    ("POST", "/containers/{id}/unpause", unpause),
    ("POST", "/containers/{id}/update", update),
    ("GET", "/containers/{id}/top", top),
)
