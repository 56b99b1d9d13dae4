"""HTTP/1.1 over a connected socket, both sides of it. h11 knows the protocol; here it gets a socket and Docker's needs.

h11 is a pair of state machines (one a side) that turn bytes into events and back. What is added:

    Server.receive() ──> Head ──> Server.body() ──┬──> respond()                one answer with its length
                                                  ├──> begin() write()… end()   chunked, as it comes
                                                  └──> upgrade()                no longer HTTP: the bare socket

Upgrading ("hijacking") is how Docker attaches: after `101 UPGRADED` both directions are raw bytes. The socket then
leaves this module together with whatever was already read beyond the request's end, and may go to another process.
Limits on what a peer may send are here, because they must hold before anything is parsed.
"""

import contextlib
import select
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import h11

from pydocker.errors import PydockerError

PIECE = 64 * 1024  # bytes for one recv(2)
ROOM = 4 * 1024 * 1024  # bytes that a unix socket may hold while a body of unknown length goes through it
# The same within a body: a turn of h11 costs 25 µs, and what is larger leaves the cache between two copies of it.
BODY_PIECE = 256 * 1024
# Bytes of request line and headers (X-Registry-Auth with a token may have some KiB). h11 counts what is not complete
# yet, so one PIECE more may pass.
HEAD_LIMIT = 64 * 1024
UPGRADE_HEADERS = {"Connection": "Upgrade", "Upgrade": "tcp"}
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"


class ProtocolError(PydockerError):
    """The peer did not speak HTTP/1.1, or went away in the middle; `status` is what a server answers to that."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class PeerGone(ProtocolError):
    """The peer takes no more bytes."""


class Unanswered(ProtocolError):
    """The server went away before it said anything. `unread`: and before it had read the whole request.

    Of a unix socket the kernel tells the latter by ECONNRESET (net/unix/af_unix.c, unix_release_sock: its peer was
    closed with something in its queue, or was never accepted); TCP resets connections for more reasons.
    """

    def __init__(self, *, unread: bool) -> None:
        super().__init__("the server closed the connection without an answer")
        self.unread = unread


class Head(NamedTuple):
    """A request's first line and headers (names in lower case)."""

    method: str
    target: str
    headers: Mapping[str, str]


class Hijacked(NamedTuple):
    """A connection that is HTTP no more; `leftover` are bytes of the peer that were already read."""

    socket: socket.socket
    leftover: bytes


class _Connection:
    """An h11 state machine that reads and writes its own socket. Not thread-safe."""

    def __init__(self, connected: socket.socket, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.socket = connected
        self._h11 = h11.Connection(role, max_incomplete_event_size=HEAD_LIMIT)
        self._given_away = False
        self._reset = False

    def close(self) -> None:
        if not self._given_away:
            self.socket.close()

    def hijack(self) -> Hijacked:
        """Give the socket away: from here on, closing this connection is the taker's business."""
        leftover, _ = self._h11.trailing_data
        self._given_away = True
        return Hijacked(self.socket, leftover)

    def _event(self, most: int = PIECE) -> h11.Event | type[h11.PAUSED]:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                self._before_waiting()
                self._h11.receive_data(self._receive(most))
        except h11.RemoteProtocolError as error:
            raise ProtocolError(str(error), error.error_status_hint) from error
        return event  # type: ignore[return-value]  # NEED_DATA has just been excluded

    def _receive(self, most: int) -> bytes:
        try:
            return self.socket.recv(most)
        except ConnectionResetError:  # an end as well: h11 knows whether it came too early
            self._reset = True
            return b""

    def _before_waiting(self) -> None:
        """Called whenever the next bytes have to come from the peer."""

    def _send(self, *events: h11.Event) -> None:
        self._send_bytes(b"".join(self._h11.send(event) or b"" for event in events))

    def _send_bytes(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise PeerGone("the peer closed the connection") from error

    def _send_piece(self, piece: bytes) -> None:
        """As `_send`, without a copy of the piece beside its frame."""
        left = [memoryview(part) for part in self._h11.send_with_data_passthrough(h11.Data(data=piece)) or ()]
        try:
            while left:
                sent = self.socket.sendmsg(left)
                while left and sent >= len(left[0]):
                    sent -= len(left.pop(0))
                if sent:
                    left[0] = left[0][sent:]
        except (BrokenPipeError, ConnectionResetError) as error:
            raise PeerGone("the peer closed the connection") from error

    def _pieces(self) -> Iterator[bytes]:
        while isinstance(event := self._event(BODY_PIECE), h11.Data):
            yield bytes(event.data)
        if isinstance(event, h11.ConnectionClosed):
            raise ProtocolError("the peer closed the connection in the middle of a message")


class Server(_Connection):
    """The server's side of one accepted connection: requests one after another, as HTTP/1.1 keeps it open."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted, h11.SERVER)
        self._upgrade_offered = False

    def receive(self) -> Head | None:
        """The next request's head; None when the peer has closed. Raises ProtocolError."""
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        event = self._event()
        if not isinstance(event, h11.Request):
            return None
        headers = _headers(event.headers)
        self._upgrade_offered = "upgrade" in headers and "upgrade" in headers.get("connection", "").lower()
        return Head(event.method.decode("ascii"), event.target.decode("ascii", "replace"), headers)

    def body(self) -> Iterator[bytes]:
        """The request's body, piece by piece. The connection lives on only if it was read to its end."""
        if self._h11.their_state is h11.SEND_BODY:
            yield from self._pieces()

    def _before_waiting(self) -> None:
        if self._h11.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def respond(self, status: int, headers: Mapping[str, str], content: bytes = b"", *, head: bool = False) -> None:
        """A complete answer. `head`: the request was a HEAD, so the content's length is told and nothing sent."""
        length = {} if status == 304 or status == 204 else {"Content-Length": str(len(content))}
        events: list[h11.Event] = [h11.Response(status_code=status, headers=_lines({**headers, **length}),
                                                reason=_reason(status))]
        if content and not head:
            events.append(h11.Data(data=content))
        self._send(*events, h11.EndOfMessage())

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer whose length is not known: chunked, or until the end for an HTTP/1.0 client."""
        make_room(self.socket)
        self._send(h11.Response(status_code=status, headers=_lines(headers), reason=_reason(status)))

    def write(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            self._send_piece(data)

    def end(self) -> None:
        self._send(h11.EndOfMessage())

    def upgrade(self, content_type: str) -> Hijacked:
        """Leave HTTP. The request's body must have been read. A client that offered no upgrade gets a plain 200."""
        headers = {"Content-Type": content_type}
        if self._upgrade_offered:
            self._send(h11.InformationalResponse(
                status_code=101, headers=_lines({**headers, **UPGRADE_HEADERS}), reason=b"UPGRADED"))
        else:
            # h11 would announce chunks, and these bytes are none: Docker's old answer to old clients, word by word.
            self._send_bytes(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n".encode())
        return self.hijack()

    @property
    def started(self) -> bool:
        """Whether an answer to the current request has begun: an error can then no longer have a status."""
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def reusable(self) -> bool:
        """Whether both sides are done with this request, and neither asked to close."""
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE


class Answer:
    """What a server answered: `status`, `headers` (lower case), and a body that is read as it comes."""

    def __init__(self, client: "Client", status: int, headers: Mapping[str, str]) -> None:
        self._client = client
        self.status = status
        self.headers = headers

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. ProtocolError: the connection broke before its end."""
        return self._client.pieces()

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def hijack(self) -> Hijacked:
        """The bare connection, after a 101."""
        return self._client.hijack()


class Client(_Connection):
    """The client's side of one connection, for one request after another."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected, h11.CLIENT)

    def request(self, method: str, target: str, headers: Mapping[str, str],
                body: bytes | Iterable[bytes] = b"") -> Answer:
        """Send one request, wait for the head of its answer (any status). An iterable body is sent in chunks.

        `headers` needs `Host`. Raises ProtocolError (not HTTP), Unanswered and OSError.
        """
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        if isinstance(body, bytes):
            headers = {**headers, "Content-Length": str(len(body))}
            body = (body,) if body else ()
        else:
            headers = {**headers, "Transfer-Encoding": "chunked"}
            make_room(self.socket)
        # A server may refuse a body half way and close: its answer says why, the broken pipe does not.
        with contextlib.suppress(PeerGone):
            self._send(h11.Request(method=method, target=target, headers=_lines(headers)))
            for number, piece in enumerate(body):
                if number and _is_readable(self.socket):  # it has answered already: this would be read by nobody
                    return self._answer()
                self._send_piece(piece)
            self._send(h11.EndOfMessage())
        return self._answer()

    def _answer(self) -> Answer:
        while True:
            try:
                event = self._event()
            except ProtocolError as error:
                if self._h11.trailing_data == (b"", True):  # an end, and nothing before it
                    unread = self._reset and self.socket.family == socket.AF_UNIX
                    raise Unanswered(unread=unread) from error
                raise
            if isinstance(event, h11.Response) or (
                    isinstance(event, h11.InformationalResponse) and event.status_code == 101):
                return Answer(self, event.status_code, _headers(event.headers))

    def pieces(self) -> Iterator[bytes]:
        return self._pieces()

    @property
    def reusable(self) -> bool:
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE


def _is_readable(connected: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


_SO_SNDBUFFORCE = 32  # asm-generic/socket.h: root need not mind net.core.wmem_max


def make_room(connected: socket.socket) -> None:
    """Let a unix socket hold more than its 200 KiB: on a busy machine each time that it is full costs a turn of the
    scheduler. TCP sees to that itself."""
    if connected.family == socket.AF_UNIX:
        for option in (_SO_SNDBUFFORCE, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):
                connected.setsockopt(socket.SOL_SOCKET, option, ROOM // 2)  # the kernel doubles it
                return


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("latin-1") for name, value in headers}


def _lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def _reason(status: int) -> bytes:
    return _REASONS.get(status, "").encode("ascii")


_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 413: "Request Entity Too Large",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable",
}
