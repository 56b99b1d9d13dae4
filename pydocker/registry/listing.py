"""Lists that come in pages: a repository's tags, a registry's repositories (distribution spec, "Listing Tags").

    GET /v2/a/b/tags/list?n=1000     -> {"tags": […]}    Link: </v2/a/b/tags/list?n=1000&last=x>; rel="next"

The next page is asked for where the registry says it is, but only from the registry itself, and never twice.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import msgspec

from pydocker.errors import PydockerError, Unavailable
from pydocker.registry.endpoint import Endpoint
from pydocker.registry.exchange import located
from pydocker.registry.hosts import origin
from pydocker.registry.manifest import LONGEST
from pydocker.registry.message import Answer, Request, read
from pydocker.registry.plain import plain

PAGE = 1000  # names that are asked for at once
_MOST = 1_000_000  # names; nobody has as many, and a list without end must have one
_NEXT = re.compile(r'<([^>]{1,4096})>\s*;\s*rel="?next"?', re.ASCII | re.IGNORECASE)
Refused = Callable[[Answer], PydockerError]


class _Page(msgspec.Struct):
    tags: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None


def tags(endpoint: Endpoint, repository: str, refused: Refused) -> Iterator[str]:
    """Every tag, in the registry's order. Raises what `refused` makes of an answer that is none."""
    for page in _pages(endpoint, f"/v2/{repository}/tags/list?n={PAGE}", refused):
        yield from page.tags or ()


def catalog(endpoint: Endpoint, refused: Refused) -> Iterator[str]:
    """Every repository that the registry shows."""
    for page in _pages(endpoint, f"/v2/_catalog?n={PAGE}", refused):
        yield from page.repositories or ()


def _pages(endpoint: Endpoint, path: str, refused: Refused) -> Iterator[_Page]:
    answer = endpoint.ask("GET", path)
    seen: set[str] = set()
    count = 0
    while True:
        if answer.status != 200:
            raise refused(answer)
        page = _decode(answer)
        count += len(page.tags or page.repositories or ())
        yield page
        following = _next(answer)
        if following is None:
            return
        if following.url in seen or count > _MOST:
            raise Unavailable(f"{answer.request}: a list without end")
        seen.add(following.url)
        answer = endpoint.follow(following)


def _decode(answer: Answer) -> _Page:
    try:
        return msgspec.json.decode(read(answer, LONGEST), type=_Page)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"{answer.request}: not a list of names: {plain(error)}") from error


def _next(answer: Answer) -> Request | None:
    """Where the next page is. Raises Unavailable if that is not the registry itself."""
    found = _NEXT.search(answer.headers.get("Link", ""))
    if found is None:
        return None
    url = located(answer.request, found[1])
    if urlsplit(url).scheme not in ("http", "https") or origin(url) != origin(answer.request.url):
        raise Unavailable(f"{answer.request}: the next page is elsewhere: {plain(url.partition('?')[0])}")
    return Request(url)
