"""Why a request got no answer, in words that Docker users know and search for (Go's).

Libraries wrap exceptions several times; what really happened is the standard library's exception inside. The first
row of the table that fits any exception of the chain decides the kind (is another try worth it?) and the words.
"""

import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from pydocker.errors import Unavailable
from pydocker.registry.message import Broken, NotTLS, Request, Unreachable
from pydocker.registry.plain import plain

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_UNTRUSTED = {  # OpenSSL's X509_V_ERR_* numbers
    10: "certificate has expired or is not yet valid",
    9: "certificate has expired or is not yet valid",
    18: "certificate signed by unknown authority",
    19: "certificate signed by unknown authority",
    20: "certificate signed by unknown authority",
    21: "certificate signed by unknown authority",
    62: "certificate is not valid for this host",
    64: "certificate is not valid for this host",
}


class _Row(NamedTuple):
    cause: type[BaseException]
    kind: type[Unavailable]
    words: Callable[[Any, str], str | None]  # None: the row does not fit after all


def _said(words: str) -> Callable[[Any, str], str]:
    return lambda error, authority: words.format(authority=authority, error=plain(error))


def _untrusted(error: ssl.SSLCertVerificationError, authority: str) -> str:
    why = _UNTRUSTED.get(error.verify_code, error.verify_message)
    return f"tls: failed to verify certificate: x509: {why} (see /etc/pydocker/certs.d/{authority}/ca.crt)"


def _not_tls(error: ssl.SSLError, authority: str) -> str | None:
    return "http: server gave HTTP response to HTTPS client" if error.reason in _NOT_TLS else None


def _tls(error: ssl.SSLError, authority: str) -> str:
    return "tls: " + plain(error.reason or error).replace("_", " ").lower()


def _system(error: OSError, authority: str) -> str | None:
    """An errno, or the words of an OSError itself (a proxy refused); requests' own exceptions are OSErrors, too."""
    if error.errno:
        return f"dial tcp {authority}: connect: {os.strerror(error.errno).lower()}"
    return plain(error) if type(error) is OSError else None


_ROWS = (
    _Row(ssl.SSLCertVerificationError, Unreachable, _untrusted),
    _Row(ssl.SSLEOFError, Broken, _said("tls: connection closed by the peer")),
    _Row(ssl.SSLZeroReturnError, Broken, _said("tls: connection closed by the peer")),
    _Row(ssl.SSLError, NotTLS, _not_tls),
    _Row(ssl.SSLError, Unreachable, _tls),
    _Row(socket.gaierror, Unreachable, _said("dial tcp: lookup {authority}: no such host")),
    _Row(requests.ConnectTimeout, Unreachable, _said("dial tcp {authority}: i/o timeout")),
    _Row(http.client.IncompleteRead, Broken, _said("unexpected EOF")),
    _Row(ConnectionResetError, Broken, _said("connection reset by peer")),
    _Row(BrokenPipeError, Broken, _said("connection reset by peer")),
    _Row(http.client.BadStatusLine, Unreachable, _said('malformed HTTP response "{error}"')),
    _Row(http.client.HTTPException, Unreachable, _said("malformed HTTP response: {error}")),
    _Row(TimeoutError, Broken, _said("i/o timeout")),
    _Row(OSError, Unreachable, _system),
)


def failure(error: BaseException, request: Request) -> Unavailable:
    """What to raise for an exception that a library raised while it dealt with `request`."""
    authority = urlsplit(request.url).netloc
    chain = list(_chain(error, set()))
    for row in _ROWS:
        for cause in chain:
            if isinstance(cause, row.cause) and (words := row.words(cause, authority)):
                return row.kind(f"{request}: {words}")
    return Unreachable(f"{request}: {plain(chain[-1])}")  # the outer ones quote whole URLs, with what is secret in them


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    """The exception and all that it was made of: causes, contexts, arguments, urllib3's `reason`."""
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for other in (getattr(error, "reason", None), error.__cause__, error.__context__, *error.args):
        if isinstance(other, BaseException):
            yield from _chain(other, seen)
