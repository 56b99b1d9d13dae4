"""Who is there: /_ping, /version, /info."""

from typing import Protocol

from pydocker import system
from pydocker.api.exchange import Request, Response, Result, reply
from pydocker.api.router import Routes
from pydocker.wire import info as wire


class Backend(Protocol):
    """What the engine knows of itself."""

    def facts(self) -> wire.Facts: ...


# A ping must reach the server, not some proxy's memory of it (Docker sends the same two).
PING_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache, no-store, must-revalidate",
                "Pragma": "no-cache", "Builder-Version": "1", "Swarm": "inactive"}


def ping(backend: Backend, request: Request) -> Result:
    return Response(200, b"OK", PING_HEADERS)


def version(backend: Backend, request: Request) -> Result:
    return reply(wire.version(system.host(), backend.facts()))


def info(backend: Backend, request: Request) -> Result:
    return reply(wire.info(system.host(), backend.facts()))


ROUTES: Routes[Backend] = (
    ("HEAD", "/_ping", ping),
    ("GET", "/_ping", ping),
    ("GET", "/version", version),
    ("GET", "/info", info),
)
