"""One connection, served by one thread: read a request, ask the router, write what comes back, again."""

import contextlib
import logging
import platform
import socket
from collections.abc import Callable, Iterator

import pydocker
from pydocker.api.exchange import NEWEST, Request, Response, Result, Stream, Upgrade, failure
from pydocker.api.hangup import Watch
from pydocker.api.router import parse_target
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.wire import http

Handle = Callable[[Request], Result]

# A client that is told "no" before it has sent its whole body gets this much of it read, so that the answer reaches
# it; then the connection is closed.
DRAIN_LIMIT = 1024 * 1024
HEADERS = {
    "Api-Version": f"{NEWEST[0]}.{NEWEST[1]}", "Ostype": "linux", "Docker-Experimental": "false",
    "Server": f"pydocker/{pydocker.__version__} ({platform.system().lower()})",
}
_log = logging.getLogger(__name__)


class BadRequest(PydockerError):
    """What h11 found wrong with a request, before it became one."""

    def __init__(self, error: http.ProtocolError) -> None:
        super().__init__(f"malformed request: {error}")
        self.status = error.status


def serve(accepted: socket.socket, handle: Handle, watch: Watch) -> None:
    """Answer requests on `accepted` until one side closes, or the connection is upgraded and goes its own way."""
    server = http.Server(accepted)
    with contextlib.closing(server), contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            while (head := server.receive()) is not None:
                _answer(server, head, handle, watch)
                if not server.reusable:
                    return
        except http.ProtocolError as error:
            if not server.started:
                _respond(server, failure(BadRequest(error)), "GET")


def _answer(server: http.Server, head: http.Head, handle: Handle, watch: Watch) -> None:
    body = server.body()
    try:
        path, query = parse_target(head.target)
    except InvalidParameter as error:
        result: Result = failure(error)
    else:
        result = handle(Request(method=head.method, path=path, query=query, headers=head.headers, body=body))
    _drain(body)
    match result:
        case Response():
            _respond(server, result, head.method)
        case Stream():
            _stream(server, result, watch)
        case Upgrade():
            hijacked = server.upgrade(result.content_type)
            result.take(hijacked)


def _drain(body: Iterator[bytes]) -> None:
    left = DRAIN_LIMIT
    for piece in body:
        left -= len(piece)
        if left < 0:
            return


def _respond(server: http.Server, response: Response, method: str) -> None:
    server.respond(response.status, {**HEADERS, **response.headers}, response.content, head=method == "HEAD")


def _stream(server: http.Server, stream: Stream, watch: Watch) -> None:
    """Headers at once: `docker run` starts the container only when its wait request has been answered that far.

    When the pieces fail, the status is gone already: the chunked body is left without its end, which a client
    reports as an unexpected EOF. Whoever makes the pieces puts errors into them where the format has a place for one.
    """
    try:
        with watch.on_hangup(server.socket, stream.cancel):
            server.begin(200, {**HEADERS, "Content-Type": stream.content_type})
            for piece in stream.pieces:
                server.write(piece)
            server.end()
    except PydockerError as error:
        _log.warning("stream broken off: %s", error)
    finally:
        stream.cancel()
