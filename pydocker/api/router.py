"""From a method and a path to the handler, and from whatever the handler raises to an answer.

A noun's module holds its table: `("GET", "/containers/{id}/json", inspect)`. `{id}` stands for one component of the
path, `{name:*}` for one or more (image names have slashes). Before the path may stand a version, `/v1.24` to `/v1.47`;
the clients negotiate it by the `Api-Version` header of `/_ping`, and what they cannot have is told in Docker's words.
"""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import parse_qs, unquote

from pydocker.api.exchange import NEWEST, OLDEST, Request, Result, Version, failure, unforeseen
from pydocker.errors import InvalidParameter, NotFound, PydockerError

Backend = TypeVar("Backend")
Handler = Callable[[Request], Result]
Routes = Sequence[tuple[str, str, Callable[[Backend, Request], Result]]]

_VERSION = re.compile(r"/v(\d{1,4})\.(\d{1,4})(?=/)", re.ASCII)
_log = logging.getLogger(__name__)


class Router:
    """Finds the handler for a request and calls it; never raises."""

    def __init__(self, *routes: tuple[str, str, Handler]) -> None:
        self._routes = [(method, _pattern(path), handler) for method, path, handler in routes]

    def handle(self, request: Request) -> Result:
        """The answer to `request`, errors included."""
        try:
            return self._find(request)
        except PydockerError as error:
            return failure(error)
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            return failure(unforeseen(error))

    def _find(self, request: Request) -> Result:
        request = replace(request, **_version(request.path))  # type: ignore[arg-type]
        for method, pattern, handler in self._routes:
            if method == request.method and (match := pattern.fullmatch(request.path)):
                return handler(replace(request, parameters=match.groupdict()))
        raise NotFound("page not found")


def bind(routes: Routes[Backend], backend: Backend) -> Iterable[tuple[str, str, Handler]]:
    """A noun's table with its backend put in."""
    return [(method, path, _bound(handler, backend)) for method, path, handler in routes]


def _bound(handler: Callable[[Backend, Request], Result], backend: Backend) -> Handler:
    return lambda request: handler(backend, request)


def parse_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """A request target's path and query, both percent-decoded. Raises InvalidParameter for bytes that are no text."""
    path, _, query = target.partition("?")
    try:
        decoded = unquote(path, errors="strict")
        values = parse_qs(query, keep_blank_values=True, errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidParameter(f"invalid request target: {error}") from error
    if "\0" in decoded or any("\0" in value for several in values.values() for value in several):
        raise InvalidParameter("invalid request target: NUL byte")
    return decoded, values


def _version(path: str) -> dict[str, Version | str]:
    match = _VERSION.match(path)
    if match is None:
        return {}
    version = int(match[1]), int(match[2])
    if version > NEWEST:
        raise InvalidParameter(f"client version {_dotted(version)} is too new. "
                               f"Maximum supported API version is {_dotted(NEWEST)}")
    if version < OLDEST:
        raise InvalidParameter(f"client version {_dotted(version)} is too old. Minimum supported API version is "
                               f"{_dotted(OLDEST)}, please upgrade your client to a newer version")
    return {"version": version, "path": path[match.end():]}


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _pattern(path: str) -> re.Pattern[str]:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return re.compile(re.sub(r"\\\{(\w+):\\\*\\\}", r"(?P<\1>.+)", pattern))
