"""The Engine API as a client meets it: versioned paths, JSON bodies, errors as `{"message": ...}`.

Docker's client asks `/_ping` for the server's version before every command. This one asks for what it wants under the
newest version it knows; an older server refuses that, names its own newest version, and is asked again. So the usual
case saves a round trip, and a refused request has had no effect, so that repeating it is safe. Only a request whose
body can be sent once (an upload) has to ask beforehand: `negotiate`.

Every request has a connection of its own: on a unix socket that costs 0.1 ms, and no request can be lost on a
connection that the server is just about to close for idleness.
"""

import re
import socket
from collections.abc import Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec

from pydocker.errors import InvalidParameter, PydockerError, Unavailable
from pydocker.wire import http

NEWEST = "1.47"
T = TypeVar("T")
Value = str | int | bool | tuple[str, ...] | None  # None: left out; several texts: the name repeated
Query = Mapping[str, Value]

_SAFE = ("GET", "HEAD")
_ATTEMPTS = 3  # at a dying server, in the queue before its door, and at the next server
_TOO_NEW = re.compile(r"client version \S+ is too new\. Maximum supported API version is (\d+\.\d+)")


class ApiError(PydockerError):
    """The server answered, and its answer is no: `status` is the HTTP status, the text is the server's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Message(msgspec.Struct):
    message: str


class Stream(NamedTuple):
    """A connection that has become a raw stream. `leftover`: what was already received of it."""

    socket: socket.socket
    leftover: bytes


class Response:
    """An answer whose body has not been read yet. A context manager: leaving it closes the connection."""

    def __init__(self, connection: http.Client, answer: http.Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._connection = connection
        self._answer = answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def fileno(self) -> int:
        """The connection's descriptor, to be polled."""
        return self._connection.socket.fileno()

    def lost(self) -> bool:
        """Of a readable connection: whether it has ended, instead of bringing more of the body."""
        try:
            return not self._connection.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True

    def pieces(self) -> Generator[bytes]:
        """The body as it arrives. Raises Unavailable if the connection breaks before its end."""
        with _broken():
            yield from self._answer.pieces()

    def read(self) -> bytes:
        """The whole body; the connection is closed then."""
        with self:
            return b"".join(self.pieces())

    def hijack(self) -> Stream:
        """The connection as a raw stream; it belongs to the caller now."""
        return Stream(*self._answer.hijack())


class Client:
    """A server at the other end of `connect`. `version` pins the API's version (`DOCKER_API_VERSION`)."""

    def __init__(self, connect: Callable[[], socket.socket], version: str | None = None) -> None:
        self._connect = connect
        self._settled = version is not None
        self.version = version or NEWEST

    def negotiate(self) -> None:
        """Settle on a version that both sides know, by the header of `/_ping`."""
        if self._settled:
            return
        with self._exchange("HEAD", "/_ping", {}, b"") as response:
            theirs = response.headers.get("api-version", self.version)
        self.version, self._settled = min(self.version, theirs, key=_numbers), True

    def send(
        self, method: str, path: str, query: Query | None = None, body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request with a JSON body (or none). Raises ApiError for a status of 400 and above, InvalidParameter."""
        content = b"" if body is None else encoded(body)
        fields = {"Content-Type": "application/json"} if content else {}
        response = self._exchange(method, self._target(path, query), {**fields, **(headers or {})}, content)
        if response.status < 400:
            return response
        error = _error(response)
        older = _TOO_NEW.search(str(error))
        if self._settled or older is None:
            raise error
        self.version, self._settled = older[1], True
        return self.send(method, path, query, body, headers)

    def upload(self, path: str, query: Query, body: Iterable[bytes], method: str = "POST") -> Response:
        """POST (or PUT) a stream of bytes of unknown length (a tar archive)."""
        self.negotiate()
        response = self._exchange(method, self._target(path, query), {"Content-Type": "application/x-tar"}, body)
        if response.status < 400:
            return response
        raise _error(response)

    def upgrade(self, path: str, query: Query | None = None, body: object = None) -> Stream:
        """POST, and take the connection over as a raw stream (Engine API, "Hijacking")."""
        return self.send("POST", path, query, body, http.UPGRADE_HEADERS).hijack()

    def get(self, path: str, type: type[T], query: Query | None = None) -> T:
        """GET a JSON document of `type`."""
        return decoded(self.send("GET", path, query).read(), type)

    def post(self, path: str, query: Query | None = None, body: object = None) -> bytes:
        """POST, and the answer's whole body."""
        return self.send("POST", path, query, body).read()

    def _target(self, path: str, query: Query | None) -> str:
        present = [(name, value) for name, value in (query or {}).items() if value is not None]
        encoded = "&".join(f"{name}={quoted(text)}" for name, value in present for text in _texts(value))
        return f"/v{self.version}{path}" + (f"?{encoded}" if encoded else "")

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]
    ) -> Response:
        """Ask; and once more where a server that was killed cannot have done anything: it was only asked to tell
        something (RFC 9110, 9.2.2), or had not read the request.
        """
        fields = {"Host": "pydocker", "User-Agent": "pydocker", **headers}
        with _broken():
            for _ in range(_ATTEMPTS - 1):
                try:
                    return self._asked(method, target, fields, body)
                except http.Unanswered as error:
                    if not isinstance(body, bytes) or not (method in _SAFE or error.unread):
                        raise
            return self._asked(method, target, fields, body)

    def _asked(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes | Iterable[bytes]
    ) -> Response:
        connection = http.Client(self._connect())
        try:
            return Response(connection, connection.request(method, target, fields, body))
        except BaseException:
            connection.close()
            raise


class _broken:
    """A peer that speaks no HTTP, or that went away: Unavailable, in a person's words."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, http.Unanswered):
            raise Unavailable(str(error)) from error
        if isinstance(error, http.ProtocolError):
            raise Unavailable(f"the server's answer is broken: {error}") from error
        if isinstance(error, ConnectionError):
            raise Unavailable(f"the server closed the connection: {(error.strerror or str(error)).lower()}") from error


_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:@")


def quoted(text: str, also: bytes = b"") -> str:
    """`text` percent-encoded (RFC 3986), except for unreserved characters, `:`, `@` and `also`.

    A few lines of our own: importing urllib.parse would cost every command 2 ms.
    """
    kept = _UNRESERVED.union(also)
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def required(kind: str, name: str) -> str:
    """`name` as a segment. InvalidParameter where it is empty: the path would be another route's."""
    if not name.strip():
        raise InvalidParameter(f"invalid {kind} name or ID: value is empty")
    return segment(name)


def segment(text: str) -> str:
    """`text` as one segment of a path: a `?` or a `/../` in a container's name must not become another route."""
    return quoted(text)


def encoded(value: object) -> bytes:
    """`value` as JSON, which holds nothing but Unicode. InvalidParameter: argv, or a file, had other bytes.

    They are not shown: they may be a password's.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidParameter("a value is not valid UTF-8, and cannot be sent to the server") from error


def decoded(content: bytes, type: type[T]) -> T:
    """The JSON document in `content`. Raises Unavailable if the server answered something else."""
    try:
        return msgspec.json.decode(content, type=type)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unavailable(f"the server's answer is broken: {error}") from error


def _error(response: Response) -> ApiError:
    content = response.read()
    try:
        return ApiError(response.status, msgspec.json.decode(content, type=_Message).message.strip())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = content[:500].decode("utf-8", "replace").strip()
        return ApiError(response.status, text or f"status {response.status} without an explanation")


def _texts(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return (("0", "1")[value] if isinstance(value, bool) else str(value),)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
