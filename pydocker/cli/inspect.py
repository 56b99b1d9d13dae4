"""`pydocker inspect`: the server's documents, indented, or through a format. Names are looked up one after the other;
what was not found is told at the end, what was found is printed all the same."""

import functools
from collections.abc import Callable, Sequence

import msgspec

from pydocker.cli import template
from pydocker.cli.command import SOME, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import absent, switch, value
from pydocker.cli.session import Session
from pydocker.client import containers, images
from pydocker.client.api import ApiError, decoded
from pydocker.errors import PydockerError

_Fetch = Callable[[str], bytes]


def inspect(
    session: Session, arguments: tuple[str, ...], *, format: str | None, size: bool, type: str | None
) -> int:
    """Containers or images, whichever has the name: containers first, as Docker."""
    kinds: dict[str, _Fetch] = {
        "container": lambda name: containers.inspect(session.client(), name, size),
        "image": lambda name: images.inspect(session.client(), name),
    }
    if type and type not in kinds:
        raise CommandError(f'"{type}" is not a valid value for --type: container and image are supported yet')
    return _print(session, arguments, functools.partial(_any, [kinds[type]] if type else list(kinds.values())), format)


def inspect_containers(session: Session, arguments: tuple[str, ...], *, format: str | None, size: bool) -> int:
    return _print(session, arguments, lambda name: containers.inspect(session.client(), name, size), format)


def inspect_images(session: Session, arguments: tuple[str, ...], *, format: str | None) -> int:
    return _print(session, arguments, lambda name: images.inspect(session.client(), name), format)


def _any(fetches: Sequence[_Fetch], name: str) -> bytes:
    for fetch in fetches:
        try:
            return fetch(name)
        except ApiError as error:
            if error.status != 404:
                raise
    raise CommandError(f"Error: No such object: {name}")


def _print(session: Session, names: Sequence[str], fetch: _Fetch, format: str | None) -> int:
    print_one = None if format in (None, "json") else template.compile(str(format))
    found, complaints = [], []
    for name in names:
        try:
            found.append(fetch(name))
        except PydockerError as error:
            complaints.append(told(error))
    if print_one is None:
        session.say(_array(found, indented=format is None))
    else:
        session.write("".join(_formatted(print_one, content) for content in found))
    if complaints:
        raise CommandError("\n".join(complaints))
    return 0


def _array(documents: Sequence[bytes], *, indented: bool) -> str:
    text = b"[" + b",".join(document.strip() for document in documents) + b"]"
    return (msgspec.json.format(text, indent=4) if indented else text).decode()


def _formatted(print_one: template.Printer, content: bytes) -> str:
    try:
        return print_one(decoded(content, object)) + "\n"
    except template.TemplateError as error:
        raise CommandError(f"template parsing error: {error}") from error


_FORMAT = value("-f", "--format", help="Format output: 'json', or a Go TEMPLATE")
_SIZE = switch("-s", "--size", help="Display total file sizes if the type is container")

INSPECT = Command(
    "inspect", inspect, synopsis="NAME|ID [NAME|ID...]", arity=SOME,
    help="Return low-level information on Docker objects",
    flags=(_FORMAT, _SIZE, value("--type", help="Only inspect objects of the given type")))
CONTAINER = Command(
    "inspect", inspect_containers, synopsis="CONTAINER [CONTAINER...]", arity=SOME, flags=(_FORMAT, _SIZE),
    help="Display detailed information on one or more containers")
IMAGE = Command(
    "inspect", inspect_images, synopsis="IMAGE [IMAGE...]", arity=SOME, flags=(_FORMAT, absent("--platform")),
    help="Display detailed information on one or more images")
