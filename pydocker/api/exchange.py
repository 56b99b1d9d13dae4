"""What a handler gets and gives back. Plain values: a unix socket, TCP, or a test in the same process can carry them.

    Request ──handler──> Response   a complete answer
                         Stream     headers at once, then pieces for as long as they come
                         Upgrade    the connection itself, raw, to be given to a monitor
"""

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import msgspec

from pydocker.errors import InvalidParameter, PydockerError
from pydocker.wire.http import Hijacked
from pydocker.wire.info import API, OLDEST_API

Version = tuple[int, int]


def parse_version(text: str) -> Version:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


NEWEST, OLDEST = parse_version(API), parse_version(OLDEST_API)
JSON_LIMIT = 4 * 1024 * 1024  # bytes; a create request is some KiB
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_LONG = re.compile(rb"\d{19}")  # what may not fit into 64 bits
JSON = {"Content-Type": "application/json"}

# Docker reads a flag of a query as false for exactly these words, and as true for every other.
_FALSE = frozenset({"", "0", "no", "false", "none"})


class TooLarge(PydockerError):
    """A body beyond the limit: it is refused, not cut (CVE-2024-41110 was a body that a check never saw)."""

    status = 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of the API. `parameters` come from the path, `query` has every value of every key, decoded."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    version: Version = NEWEST
    parameters: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str, default: str = "") -> str:
        return self.query.get(key, [default])[0]

    def flag(self, key: str, default: bool = False) -> bool:
        values = self.query.get(key)
        return default if values is None else values[0].strip().lower() not in _FALSE

    def number(self, key: str) -> int | None:
        """A whole number of the query, None if it is not there. Raises InvalidParameter."""
        text = self.text(key).strip()
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise InvalidParameter(f"invalid {key} {text[:100]!r}: expected a whole number") from None

    def nanoseconds(self, key: str) -> int:
        """A time of the query, `1700000000.000000001` in seconds since the epoch, in nanoseconds; 0 if not given."""
        text = self.text(key).strip()
        try:
            value = Decimal(text or 0)
        except InvalidOperation:
            raise InvalidParameter(f"invalid {key} {text[:100]!r}: expected seconds since the epoch") from None
        if not value.is_finite() or abs(value) > 10**12:
            raise InvalidParameter(f"invalid {key} {text[:100]!r}: out of range")
        return int(value * 10**9)

    def document(self) -> dict[str, object]:
        """The body as a JSON object; an empty body, or null, is an empty one. Raises InvalidParameter, TooLarge."""
        content = bytearray()
        for piece in self.body:
            content += piece
            if len(content) > JSON_LIMIT:
                raise TooLarge(f"request body larger than {JSON_LIMIT} bytes")
        if not content or content.strip() == b"null":
            return {}
        try:
            document = msgspec.json.decode(content, type=dict[str, object])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise InvalidParameter(f"invalid JSON: {error}") from error
        if b"\\u0000" in content or _LONG.search(content):  # JSON has no other way to write a NUL
            _refuse(document)
        return document


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer."""

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on. `cancel` is called, from another thread, when the client has gone: it ends the pieces."""

    pieces: Iterable[bytes]
    content_type: str = "application/json"
    cancel: Callable[[], None] = lambda: None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The connection leaves HTTP. `take` gets the function that switches it, and owns the socket which that returns."""

    content_type: str
    take: Callable[[Callable[[], Hijacked]], None]


Result = Response | Stream | Upgrade


def _refuse(document: object) -> None:
    """No string of a request may hold a NUL: paths, arguments, names, all end up in C's hands (SECURITY R14). So do
    numbers: Docker's have 64 bits, as all that they are given to.
    """
    left: list[tuple[str, object]] = [("$", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, str) and "\0" in value:
            raise InvalidParameter(f"invalid request body: NUL byte - at `{path}`")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InvalidParameter(f"invalid request body: {value} does not fit into 64 bits - at `{path}`")
        if isinstance(value, list):
            left += [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
        elif isinstance(value, dict):
            left += [(path, key) for key in value] + [(f"{path}.{key}", inner) for key, inner in value.items()]


def reply(value: object, status: int = 200) -> Response:
    """`value` (builtins and msgspec structs) as a JSON answer."""
    return Response(status, msgspec.json.encode(value) + b"\n", JSON)


def no_content() -> Response:
    """Done, and nothing to say."""
    return Response(204)


def failure(error: PydockerError) -> Response:
    """Docker's shape for every error: `{"message": …}`; 304 has no body."""
    if error.status == 304:
        return Response(304)
    return Response(error.status, json.dumps({"message": str(error)}).encode() + b"\n", JSON)


def unforeseen(error: Exception) -> PydockerError:
    """What nobody below has put into words: a bug, unless it is a disk, which may be full at any point of any work."""
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f"{error.filename}: " if error.filename else ""
        return PydockerError(where + os.strerror(error.errno).lower())
    return PydockerError(f"internal error: {type(error).__name__}: {error}")
