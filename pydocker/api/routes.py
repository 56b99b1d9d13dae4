"""Every route of the API, with the part of the engine that it needs."""

from collections.abc import Iterable
from itertools import chain

from pydocker.api import system
from pydocker.api.router import Handler, bind
from pydocker.engine import Engine


def routes(engine: Engine) -> Iterable[tuple[str, str, Handler]]:
    """The tables of all nouns."""
    return chain(
        bind(system.ROUTES, engine),
    )
