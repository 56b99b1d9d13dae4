"""`docker search`: the first version of Docker Hub's API, which no other registry needs to have.

    GET https://index.docker.io/v1/search?q=alpine&n=25      -> {"results": [{"name": …, "star_count": …}]}
    GET https://registry.lan/v1/search?q=app                 -> 404
    GET https://registry.lan/v2/_catalog?n=1000              -> {"repositories": […]}, in pages

A registry without search may still show its catalog: what is called like the term is found there. `registry.lan/`
alone is everything. Names of other registries than Docker Hub are complete, so that they can be pulled as printed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from pydocker.config import RegistryEntry
from pydocker.errors import InvalidParameter, NotFound, NotSupported, Unavailable
from pydocker.model.reference import DEFAULT_DOMAIN, split
from pydocker.registry import hosts, listing, trust
from pydocker.registry.auth import Key
from pydocker.registry.credentials import Credentials
from pydocker.registry.endpoint import Endpoint
from pydocker.registry.manifest import LONGEST
from pydocker.registry.message import read
from pydocker.registry.patience import Patience
from pydocker.registry.plain import plain
from pydocker.registry.refusal import refused
from pydocker.registry.transport import Transport

_INDEXES = {DEFAULT_DOMAIN: "index.docker.io"}
_CATALOG = ("registry:catalog:*",)
DEFAULT_LIMIT, MOST = 25, 100


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One repository. Descriptions are strangers' texts; `is_automated` is a thing of the past."""

    name: str
    description: str | None = None
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Answer(msgspec.Struct):
    results: tuple[Found, ...] | None = None


def search(
    term: str, *, limit: int = DEFAULT_LIMIT, credentials: Credentials | None = None, insecure: Sequence[str] = (),
    registries: Mapping[str, RegistryEntry] | None = None, certificates: Sequence[Path] = trust.CERTIFICATES,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> tuple[Found, ...]:
    """What the registry that `term` names (`registry.lan/app`; otherwise Docker Hub) has under such a name.

    Raises InvalidParameter for a limit or a term that is none, NotSupported for a registry that shows nothing, and
    the registry's errors.
    """
    if not 1 <= limit <= MOST:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, {MOST}]")
    domain, words = split(term.removeprefix("http://").removeprefix("https://"))
    if not words and domain == DEFAULT_DOMAIN:
        raise InvalidParameter("invalid search term: nothing to look for")
    allowed = [*insecure, *(prefix for prefix, entry in (registries or {}).items() if entry.insecure)]
    with closing(Transport(lambda authority: hosts.access(authority, allowed), patience, certificates)) as transport:
        endpoint = Endpoint(_INDEXES.get(domain, domain), transport, Key(credentials, _CATALOG, domain), patience)
        asked = _asked(endpoint, words, limit)
        names = asked if asked is not None else tuple(islice(_listed(endpoint, words, domain), limit))
    return names if domain == DEFAULT_DOMAIN else tuple(_complete(found, domain) for found in names)


def _asked(endpoint: Endpoint, words: str, limit: int) -> tuple[Found, ...] | None:
    """What the search finds; None where there is no search."""
    with closing(endpoint.ask("GET", f"/v1/search?{urlencode({'q': words, 'n': limit})}")) as answer:
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise refused(answer, endpoint.authority, endpoint.authority)
        try:
            results = msgspec.json.decode(read(answer, LONGEST), type=_Answer).results or ()
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unavailable(f"{answer.request}: not a search result: {plain(error)}") from error
    return results[:limit]


def _listed(endpoint: Endpoint, words: str, domain: str) -> Iterator[Found]:
    try:
        names = listing.catalog(endpoint, lambda answer: refused(answer, endpoint.authority, endpoint.authority))
        yield from (Found(name=name) for name in names if words in name)
    except NotFound as error:
        raise NotSupported(f"{domain}: the registry has neither a search nor a catalog: {error}") from error


def _complete(found: Found, domain: str) -> Found:
    return msgspec.structs.replace(found, name=f"{domain}/{found.name}")
