"""What goes out and what comes back, and the three ways in which nothing does.

    Unreachable   nobody there, or nobody we believe: no retry helps
    NotTLS        somebody there who does not speak TLS: plain HTTP may be tried where that is allowed
    Broken        it worked and then it did not: the next try may work
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydocker.errors import Unavailable

_AUTHORITY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
PIECE = 256 * 1024  # bytes; smaller ones cost more per byte than a fast network does


class Unreachable(Unavailable):
    """The host gave no answer that could be used, and will not give another one."""


class NotTLS(Unreachable):
    """The host does not speak TLS."""


class Broken(Unavailable):
    """The connection broke, or the answer did not come in time."""


@runtime_checkable
class Body(Protocol):
    """Bytes to send, as often as they are wanted: whoever is asked for credentials first has to begin again."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, of an address that can be one: making a request for any other raises Unreachable."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: str | bytes | Body | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise Unreachable(f"{self}: unsupported address")

    @property
    def repeatable(self) -> bool:
        """Whether asking again, without looking what became of the first time, does no harm."""
        return isinstance(self.body, str | bytes | None)

    def with_header(self, name: str, value: str) -> "Request":
        return replace(self, headers={**self.headers, name: value})

    def __str__(self) -> str:
        """Go's words for it, as Docker prints them. Without the query: signed URLs carry secrets there."""
        return f'{self.method.capitalize()} "{self.url.partition("?")[0]}"'


def _is_address(url: str) -> bool:
    """http or https, a host, perhaps a port; no user, and nothing that one library reads differently from another."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(_AUTHORITY.fullmatch(parts.netloc)) and parts.port != 0
    except ValueError:  # an impossible port, half of a bracket
        return False


class Answer(Protocol):
    """What came back: the head at once, the body as it is read. Header names are case-insensitive."""

    @property
    def request(self) -> Request: ...

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def pieces(self) -> Iterator[bytes]:
        """The body, undecoded, in pieces of at most 256 KiB. Raises Broken, after the last byte that did arrive."""

    def close(self) -> None:
        """Give the connection back (or up, if the body was not read to its end)."""


def read(answer: Answer, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises Unavailable for more, Broken for fewer than were declared."""
    parts, total = [], 0
    try:
        _check_declared(answer, limit)
        for piece in answer.pieces():
            total += len(piece)
            if total > limit:
                raise _too_long(answer, limit)
            parts.append(piece)
    finally:
        answer.close()
    return b"".join(parts)


def _check_declared(answer: Answer, limit: int) -> None:
    """Four gigabytes of JSON are refused before the first of them."""
    declared = answer.headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_long(answer, limit)


def _too_long(answer: Answer, limit: int) -> Unavailable:
    return Unavailable(f"{answer.request}: the answer is longer than {limit} bytes")
