"""A file from anywhere, for `import URL`: no registry, no credentials, no second try.

The administrator named the address, so plain HTTP is as good as the address says; but a redirect never leads from
https to http.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydocker.errors import InvalidParameter, Unavailable
from pydocker.registry import trust
from pydocker.registry.exchange import redirected
from pydocker.registry.hosts import LOOPBACK
from pydocker.registry.message import Answer, Request, Unreachable
from pydocker.registry.patience import Patience
from pydocker.registry.plain import plain
from pydocker.registry.transport import Transport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_HOPS = 10


class Download(NamedTuple):
    """`size` in bytes, 0 if the server does not say."""

    pieces: Iterator[bytes]
    size: int


@contextlib.contextmanager
def download(url: str, certificates: Sequence[Path] = trust.CERTIFICATES) -> Iterator[Download]:
    """Fetch `url`. Raises InvalidParameter for what is none, Unavailable if nobody answers, or with an error."""
    transport = Transport(lambda authority: LOOPBACK, Patience(), certificates)
    with contextlib.closing(transport), contextlib.closing(_asked(transport, _request(url))) as answer:
        if answer.status >= 400:
            raise Unavailable(f"{answer.request}: {answer.status} {plain(answer.reason)}")
        length = answer.headers.get("Content-Length", "")
        yield Download(answer.pieces(), int(length) if length.isascii() and length.isdigit() else 0)


def _request(url: str) -> Request:
    try:
        return Request(url)
    except Unreachable as error:
        raise InvalidParameter(f"{plain(url)}: not an http or https address") from error


def _asked(transport: Transport, request: Request) -> Answer:
    for _ in range(_MOST_HOPS):
        answer = transport.send(request)
        location = answer.headers.get("Location")
        if answer.status not in _REDIRECTS or location is None:
            return answer
        answer.close()
        request = redirected(request, location)
    raise Unavailable(f"{request}: stopped after {_MOST_HOPS} redirects")
