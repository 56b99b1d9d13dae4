"""`GET /containers/{id}/stats`: a sample every second, or one.

A sample's processor time says nothing without an earlier one. So with `stream=0` the answer takes a second, too, unless
`one-shot` waives that. A container that does not run has zeros; a stream ends when the container is removed.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from pydocker.api.cancel import Cancel
from pydocker.api.exchange import Request, Result, Stream, reply
from pydocker.api.router import Routes
from pydocker.errors import NotFound
from pydocker.model.container import Container
from pydocker.wire import stats as wire

INTERVAL = 1.0  # seconds


class Containers(Protocol):
    def get(self, ref: str) -> Container: ...
    def sample(self, container: Container) -> wire.Sample | None: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...


def stats(backend: Backend, request: Request) -> Result:
    container, gone = backend.containers.get(request.parameters["id"]), Cancel()
    if request.flag("stream", default=True):
        return Stream(_samples(backend.containers, container, gone), cancel=gone.set)
    if request.flag("one-shot"):
        return reply(_shape(container, backend.containers.sample(container), None))
    return Stream(_one(backend.containers, container, gone), cancel=gone.set)


def _samples(containers: Containers, container: Container, gone: Cancel) -> Iterator[bytes]:
    id, before = container.record.id, None
    try:
        while True:
            container = containers.get(id)
            now = containers.sample(container)
            yield _line(container, now, before)
            before = now
            if gone.within(INTERVAL):
                return
    except NotFound:
        return


def _one(containers: Containers, container: Container, gone: Cancel) -> Iterator[bytes]:
    before = containers.sample(container)
    if before is None or not gone.within(INTERVAL):
        yield _line(container, before and containers.sample(container), before)


def _line(container: Container, now: wire.Sample | None, before: wire.Sample | None) -> bytes:
    return msgspec.json.encode(_shape(container, now, before)) + b"\n"


def _shape(container: Container, now: wire.Sample | None, before: wire.Sample | None) -> wire.Shape:
    return wire.stats(container.record.id, container.record.name, now, before)


ROUTES: Routes[Backend] = (
    ("GET", "/containers/{id}/stats", stats),
)
