"""One connection, served by one thread: read a request, ask the router, write what comes back, again."""

import contextlib
import logging
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pydocker
from pydocker.api.exchange import Request, Response, Result, Stream, Upgrade, failure
from pydocker.api.hangup import Watch
from pydocker.api.router import parse_target
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.wire import http
from pydocker.wire.info import API

Handle = Callable[[Request], Result]

# Of a body that nobody reads to its end, this much is read before the answer is sent …
DRAIN_LIMIT = 1024 * 1024
# … and behind it whatever comes in these many seconds: a client that still sends takes a closed connection for the
# answer (Go's does), and one that has seen the answer stops.
LINGER = 60.0
PAUSE = 5.0  # seconds without a byte: nothing more will come
HEADERS = {
    "Api-Version": API, "Ostype": "linux", "Docker-Experimental": "false",
    "Server": f"pydocker/{pydocker.__version__} ({platform.system().lower()})",
}
_log = logging.getLogger(__name__)


class Connection:
    """One accepted connection. `serve` is its thread's whole work."""

    def __init__(self, accepted: socket.socket, handle: Handle, watch: Watch) -> None:
        self.socket = accepted
        self._handle = handle
        self._watch = watch
        self._lock = threading.Lock()
        self._answering = False
        self._finishing = False

    def serve(self) -> None:
        """Answer requests until one side closes, or the connection is upgraded and goes its own way."""
        server = http.Server(self.socket)
        with contextlib.closing(server), contextlib.suppress(http.PeerGone):
            try:
                while (head := server.receive()) is not None and self._begin():
                    _answer(server, head, self._handle, self._watch)
                    if not (server.reusable and self._end()):
                        return
            except http.ProtocolError as error:
                if not (server.started or isinstance(error, http.PeerGone)):
                    _respond(server, failure(error), "GET")

    def refuse(self, error: PydockerError) -> None:
        """Answer so whatever is asked, without a look at it."""
        server = http.Server(self.socket)
        with contextlib.closing(server), contextlib.suppress(http.PeerGone):
            _respond(server, failure(error), "GET")

    def finish(self) -> None:
        """Take no further request: a connection that waits for one ends now, one that answers ends with its answer."""
        with self._lock, contextlib.suppress(OSError):
            self._finishing = True
            if not self._answering:
                self.socket.shutdown(socket.SHUT_RD)

    def _begin(self) -> bool:
        with self._lock:
            self._answering = True
        return True

    def _end(self) -> bool:
        with self._lock:
            self._answering = False
            return not self._finishing


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
            _linger(server, body)
        case Stream():
            _stream(server, result, watch)
        case Upgrade():
            content_type = result.content_type
            result.take(lambda: server.upgrade(content_type))


def _drain(body: Iterator[bytes]) -> None:
    left = DRAIN_LIMIT
    for piece in body:
        left -= len(piece)
        if left < 0:
            return


def _linger(server: http.Server, body: Iterator[bytes]) -> None:
    if server.reusable:  # all was read
        return
    deadline = time.monotonic() + LINGER
    server.socket.settimeout(PAUSE)
    with contextlib.suppress(OSError, http.ProtocolError):
        for _ in body:
            if time.monotonic() > deadline:
                return
    server.socket.settimeout(None)


def _respond(server: http.Server, response: Response, method: str) -> None:
    server.respond(response.status, {**HEADERS, **response.headers}, response.content, head=method == "HEAD")


def _stream(server: http.Server, stream: Stream, watch: Watch) -> None:
    """Headers at once: `docker run` starts the container only when its wait request has been answered that far.

    When the pieces fail, the status is gone already: the chunked body is left without its end, which a client
    reports as an unexpected EOF. Whoever makes the pieces puts errors into them where the format has a place for one.
    """
    try:
        with watch.on_hangup(server.socket, stream.cancel):
            server.begin(200, {**HEADERS, "Content-Type": stream.content_type, **stream.headers})
            for piece in stream.pieces:
                server.write(piece)
            server.end()
    except http.PeerGone:
        raise
    except PydockerError as error:
        _log.warning("stream broken off: %s", error)
    finally:
        stream.cancel()
