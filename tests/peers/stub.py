"""An HTTP server that says exactly what it is told to, wrong things included: cut bodies, lies about lengths, garbage.

    with Stub() as stub:
        stub.on("/v2/", Reply())
        stub.on("/v2/a/b/blobs/…", Reply(status=500), Reply(body=content, cut=1000), Reply(body=content, ranges=True))

The n-th request of a path gets its n-th reply, later ones the last. Unknown paths get 404. `seen` are all requests.
"""

import re
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType

from tests.peers.certificates import Certificates

TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello (RFC 8446, section 5.1)


@dataclass(frozen=True)
class Reply:
    """`cut`: end the connection after so many bytes of the body, by a reset if `reset`. `length`: what Content-Length
    says (None: the truth; -1: nothing, the end of the connection is the end). `raw`: instead of everything else.
    `silent`: after `cut` bytes, or `raw`, say nothing more, but stay, until the stub is `over`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    reset: bool = False
    silent: bool = False
    length: int | None = None
    ranges: bool = False
    raw: bytes | None = None


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes = b""


class Stub:
    """Serves on loopback while entered; with certificates, TLS; with `mutual`, clients have to show one, too."""

    def __init__(self, certificates: Certificates | None = None, *, mutual: bool = False) -> None:
        self.seen: list[Seen] = []
        self.sent = 0  # bytes of bodies
        self._replies: dict[str, list[Reply]] = {}
        self.over = threading.Event()
        self._settings = None
        if certificates is not None:
            self._settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._settings.load_cert_chain(certificates.certificate, certificates.key)
            if mutual:
                self._settings.load_verify_locations(certificates.authority)
                self._settings.verify_mode = ssl.CERT_REQUIRED
        self._server = _Server(self)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self._settings else 'http'}://{self.address}"

    def on(self, path: str, *replies: Reply) -> None:
        """Say what a path answers; a query string does not count."""
        self._replies[path] = list(replies)

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def __enter__(self) -> "Stub":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.over.set()
        """No thread and no descriptor of it is left for others to find."""
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()

    def take(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        replies = self._replies.get(seen.path.partition("?")[0])
        if not replies:
            return Reply(404)
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def wrap(self, connection: socket.socket) -> socket.socket | None:
        """TLS if it is ours; None for a connection to be dropped (a handshake that nobody here understands)."""
        if self._settings is None:
            return None if connection.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE else connection
        try:
            return self._settings.wrap_socket(connection, server_side=True)
        except OSError:
            return None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        self._over = False
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        wrapped = self.stub.wrap(request)
        if wrapped is None:
            return
        with wrapped:
            _Handler(wrapped, client_address, self)

    def process_request_thread(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with request.dup() as same:  # TLS takes the first one for itself
            with self._lock:
                self._open.add(same)
            if self._over:
                self.hang_up()
            super().process_request_thread(request, client_address)
            with self._lock:
                self._open.discard(same)

    def hang_up(self) -> None:
        """Whoever waits for a client's next request waits no more."""
        self._over = True
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = dict(self.headers) | {"body": body.decode(errors="replace")}
        reply = self.server.stub.take(Seen(self.command, self.path, said, body))
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            if reply.silent:
                self.server.stub.over.wait()
            self.close_connection = True
        else:
            self._answer(reply)

    do_POST = do_HEAD = do_PUT = do_PATCH = do_GET

    def _answer(self, reply: Reply) -> None:
        status, headers, body = self._part(reply)
        self.send_response(status)
        if reply.length != -1:
            headers["Content-Length"] = str(len(body) if reply.length is None else reply.length)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = body if reply.cut is None else body[:reply.cut]
        self.server.stub.sent += len(body)  # before, as the client may look right after
        self.wfile.write(body)
        if reply.silent:
            self.server.stub.over.wait()
        if reply.cut is not None or reply.length is not None:
            self._leave(reply)

    def _part(self, reply: Reply) -> tuple[int, dict[str, str], bytes]:
        """The part that a Range header asks for, if the reply is for whom asks."""
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        if not (reply.ranges and asked):
            return reply.status, dict(reply.headers), reply.body
        start, size = int(asked[1]), len(reply.body)
        return 206, {"Content-Range": f"bytes {start}-{size - 1}/{size}", **reply.headers}, reply.body[start:]

    def _leave(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.reset:  # SO_LINGER of zero seconds: close(2) sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: `seen` has it."""
