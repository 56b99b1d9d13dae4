"""`pydocker events`: what happens, a line each, until it is interrupted (or until `--until`)."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from pydocker.cli import template, timestamps
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import FILTER, value, values
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.cli.visible import visible
from pydocker.client import system
from pydocker.client.answers import Event
from pydocker.client.api import Client, Response, decoded
from pydocker.errors import Unavailable

_AGAIN = 0.1  # seconds before a connection that broke is made again

# What only events about containers and images have.
_EMPTY = {"status": "", "id": "", "from": ""}


def events(
    session: Session, arguments: tuple[str, ...], *, filter: tuple[tuple[str, str], ...], format: str | None,
    since: str | None, until: str | None,
) -> int:
    """Print them as they come."""
    shown = _printer(format)
    first = timestamps.seconds(since) if since else None
    last = timestamps.seconds(until) if until else None
    for line in _followed(session.client(), first, last, filters(filter)):
        session.say(shown(line))
    return 0


def _followed(client: Client, since: str | None, until: str | None, chosen: str | None) -> Iterator[bytes]:
    """Lines, also beyond the end of the server that began them: the next one knows what happened meanwhile.

    The first connection has to succeed, and so has each later one, for which a server is started if there is none.
    """
    seen, begun = 0, time.time_ns()
    while True:
        for line in _received(system.events(client, {"since": since, "until": until, "filters": chosen})):
            if line is None:
                break
            yield line
            seen = decoded(line, Event).time_nano
        else:
            return
        after = seen + 1 if seen else begun
        since = since if since and not seen else f"{after // 10**9}.{after % 10**9:09d}"
        time.sleep(_AGAIN)


def _received(response: Response) -> Iterator[bytes | None]:
    """Lines; None where the connection breaks before their end."""
    try:
        with response, contextlib.closing(response.pieces()) as pieces:
            yield from _lines(pieces)
    except Unavailable:
        yield None


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)


def _printer(format: str | None) -> Callable[[bytes], str]:
    if not format:
        return lambda line: described(decoded(line, Event))
    if format in ("json", "{{json .}}"):
        return lambda line: line.decode()
    try:
        filled = template.compile(format)
    except template.TemplateError as error:
        raise CommandError(f"Error parsing format: {error}", 64) from error
    return lambda line: _through(filled, line)


def _through(filled: template.Template, line: bytes) -> str:
    try:
        return filled(template.typed({**_EMPTY, **decoded(line, dict[str, object])}, "*events.Message"))
    except template.TemplateError as error:
        raise CommandError(f"Error parsing format: {error}", 64) from error


def described(event: Event) -> str:
    """Docker's line: the moment in local time, what, to whom, and the attributes in order."""
    whole, nanoseconds = divmod(event.time_nano or event.time * 10**9, 10**9)
    local = datetime.fromtimestamp(whole).astimezone()
    zone = local.strftime("%z")
    zone = f"{zone[:3]}:{zone[3:]}" if zone.strip("+-0") else "Z"
    attributes = event.actor.attributes or {}
    pairs = ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    return visible(f"{local:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}{zone} {event.type} {event.action} {event.actor.id}"
                   + (f" ({pairs})" if pairs else ""))


EVENTS = Command(
    "events", events, synopsis="", arity=NONE, help="Get real time events from the server",
    aliases=("system events", "events"),
    flags=(
        values("-f", "--filter", kind=FILTER, help="Filter output based on conditions provided"),
        value("--format", help="Format output: 'json', or a Go TEMPLATE"),
        value("--since", help="Show all events created since timestamp"),
        value("--until", help="Stream events until this timestamp"),
    ))
