"""`pydocker inspect`: the server's documents, indented, or through a format. Names are looked up one after the other;
what was not found is told at the end, what was found is printed all the same."""

import functools
from collections.abc import Callable, Sequence

import msgspec

from pydocker.cli import template
from pydocker.cli.command import SOME, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import STRING, switch, value
from pydocker.cli.session import Session
from pydocker.client import containers, images, networks, volumes
from pydocker.client.api import ApiError, decoded
from pydocker.errors import PydockerError

_Fetch = Callable[[str], bytes]
_ELSEWHERE = frozenset(("config", "node", "plugin", "secret", "service", "task"))  # types that only Docker has


def inspect(
    session: Session, arguments: tuple[str, ...], *, format: str | None, size: bool, type: str | None, as_: str | None
) -> int:
    """Whatever has the name: containers first, then images, networks and volumes, as Docker."""
    if as_ is not None:
        return _again(session, arguments, as_, format)
    kinds: dict[str, _Fetch] = {
        "container": lambda name: containers.inspect(session.client(), name, size),
        "image": lambda name: images.inspect(session.client(), name),
        "network": lambda name: networks.inspect(session.client(), name),
        "volume": lambda name: volumes.inspect(session.client(), name),
    }
    if type in _ELSEWHERE:
        raise CommandError(f"--type {type}: pydocker has none of these, neither swarms nor plugins")
    if type and type not in kinds:
        known = ", ".join(f'"{name}"' for name in sorted({*_ELSEWHERE, *kinds}))
        raise CommandError(f'unknown type: "{type}": must be one of {known}')
    fetch = kinds[type] if type else functools.partial(_any, list(kinds.values()))
    return print_all(session, arguments, fetch, format)


def inspect_containers(
    session: Session, arguments: tuple[str, ...], *, format: str | None, size: bool, as_: str | None
) -> int:
    if as_ is not None:
        return _again(session, arguments, as_, format)
    return print_all(session, arguments, lambda name: containers.inspect(session.client(), name, size), format)


def inspect_images(session: Session, arguments: tuple[str, ...], *, format: str | None, platform: str | None) -> int:
    return print_all(session, arguments, lambda name: images.inspect(session.client(), name, platform), format)


def inspect_networks(session: Session, arguments: tuple[str, ...], *, format: str | None, verbose: bool) -> int:
    return print_all(session, arguments, lambda name: networks.inspect(session.client(), name, verbose=bool(verbose)),
                     format)


def _again(session: Session, names: Sequence[str], as_: str, format: str | None) -> int:
    """What makes it again: a command line for each container, or its bundle's config.json."""
    if as_ not in ("run", "oci"):
        raise CommandError(f'"{as_}" is not a valid value for --as: must be one of "run" or "oci"')
    if format:
        raise CommandError("conflicting options: cannot specify both --as and --format")
    for name in names:
        if as_ == "oci":
            session.say(msgspec.json.format(containers.oci(session.client(), name), indent=4).decode().strip())
            continue
        from pydocker.cli import again

        asked = containers.asked(session.client(), name)
        told_ = again.told(asked.name, asked.request)
        session.say(told_.line())
        for field in told_.left:
            session.warn(f"WARNING: {asked.name}: no flag of run says what {field} is")
    return 0


def _any(fetches: Sequence[_Fetch], name: str) -> bytes:
    for fetch in fetches:
        try:
            return fetch(name)
        except ApiError as error:
            if error.status != 404:
                raise
    raise CommandError(f"Error: No such object: {name}")


def print_all(session: Session, names: Sequence[str], fetch: _Fetch, format: str | None) -> int:
    """Fetch and print them."""
    print_one = None if format in (None, "", "json") else parsed(str(format))
    found, complaints = [], []
    for name in names:
        try:
            found.append(fetch(name))
        except PydockerError as error:
            complaints.append(told(error))
    if print_one is None:
        session.say(_array(found, indented=not format))
    else:
        session.write("".join(_formatted(session, print_one, content) for content in found) or "\n")
    if complaints:
        raise CommandError("\n".join(complaints))
    return 0


def _array(documents: Sequence[bytes], *, indented: bool) -> str:
    text = b"[" + b",".join(document.strip() for document in documents) + b"]"
    return (msgspec.json.format(text, indent=4) if indented else text).decode()


def parsed(format: str, name: str = "") -> template.Template:
    """Raises CommandError, with a status of its own, as Docker."""
    try:
        return template.compile(format, name)
    except template.TemplateError as error:
        raise CommandError(f"template parsing error: {error}", 64) from error


def _formatted(session: Session, print_one: template.Template, content: bytes) -> str:
    """By types first; where they do not have what is asked for, by the bare document (docker/cli, cli/command/inspect).

    The second way is for what older clients called otherwise than the document, such as `.Id`.
    """
    document = decoded(content, object)
    try:
        return print_one(template.typed(document)) + "\n"
    except template.TemplateError:
        pass
    try:
        return print_one(document, strict=True) + "\n"
    except template.TemplateError as error:
        session.say("")
        raise CommandError(f"template parsing error: {error}") from error


_FORMAT = value("-f", "--format", help="Format output: 'json', or a Go TEMPLATE")
_AS = value("as_", "--as", kind=STRING, help="Print what makes the container again: 'run', a command line, or 'oci', a "
            "bundle's config.json")
_SIZE = switch("-s", "--size", help="Display total file sizes if the type is container")

INSPECT = Command(
    "inspect", inspect, synopsis="NAME|ID [NAME|ID...]", arity=SOME,
    help="Return low-level information on Docker objects",
    flags=(_AS, _FORMAT, _SIZE, value("--type", help="Only inspect objects of the given type")))
CONTAINER = Command(
    "inspect", inspect_containers, synopsis="CONTAINER [CONTAINER...]", arity=SOME, flags=(_AS, _FORMAT, _SIZE),
    help="Display detailed information on one or more containers")
IMAGE = Command(
    "inspect", inspect_images, synopsis="IMAGE [IMAGE...]", arity=SOME, flags=(
        _FORMAT, value("--platform", help="Inspect a specific platform of the image ('os[/arch[/variant]]')")),
    help="Display detailed information on one or more images")
NETWORK = Command(
    "inspect", inspect_networks, synopsis="NETWORK [NETWORK...]", arity=SOME, flags=(
        _FORMAT, switch("-v", "--verbose", help="Verbose output for diagnostics")),
    help="Display detailed information on one or more networks")
