"""`pydocker version`: client and server."""

import platform

from pydocker import __version__
from pydocker.cli import template
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value
from pydocker.cli.inspect import parsed
from pydocker.cli.session import Session
from pydocker.client import system
from pydocker.client.answers import Json
from pydocker.client.api import NEWEST
from pydocker.errors import PydockerError
from pydocker.wire.info import ARCHITECTURES

_CLIENT_LINES = (("Version", "Version"), ("API version", "ApiVersion"), ("Python version", "PythonVersion"))
_ENGINE_LINES = (
    ("Version", "Version"), ("Go version", "GoVersion"), ("Git commit", "GitCommit"), ("Built", "BuildTime"),
    ("Kernel", "KernelVersion"),
)


def version(session: Session, arguments: tuple[str, ...], *, format: str | None) -> int:
    """Print both; a server that does not answer is an error, after the client's half."""
    print_ = parsed("{{json .}}" if format == "json" else format, "version") if format else None
    try:
        server, failure = system.version(session.client()), None
    except PydockerError as error:
        server, failure = None, error
    document: dict[str, Json] = {"Client": _client(session), "Server": server}
    session.write(_through(session, print_, document) if print_ else _told(document))
    if failure is not None:
        raise failure
    return 0


def _through(session: Session, print_: template.Template, document: dict[str, Json]) -> str:
    """A server that is not there is a nil pointer."""
    client = template.typed(document["Client"], "system.clientVersion")
    server = template.typed(document["Server"], "*types.Version") or template.NO_POINTER
    try:
        return print_(template.Struct({"Client": client, "Server": server}, "system.versionInfo")) + "\n"
    except template.TemplateError as error:
        session.say("")
        raise CommandError(str(error)) from error


def _client(session: Session) -> dict[str, Json]:
    machine = platform.machine()
    return {
        "Version": __version__, "ApiVersion": session.negotiated(), "DefaultAPIVersion": NEWEST,
        "PythonVersion": platform.python_version(), "Os": "linux", "Arch": ARCHITECTURES.get(machine, machine),
    }


def _told(document: dict[str, Json]) -> str:
    client, server = document["Client"], document["Server"]
    assert isinstance(client, dict)
    text = "Client:\n" + _lines(client, _CLIENT_LINES, " ") + _pair(" ", "OS/Arch", f"{client['Os']}/{client['Arch']}")
    if not isinstance(server, dict):
        return text
    reach = f"{server.get('ApiVersion')} (minimum version {server.get('MinAPIVersion')})"
    return (
        text + "\nServer:\n Engine:\n" + _pair("  ", "API version", reach) + _lines(server, _ENGINE_LINES, "  ")
        + _pair("  ", "OS/Arch", f"{server.get('Os')}/{server.get('Arch')}"))


def _lines(facts: dict[str, Json], names: tuple[tuple[str, str], ...], indent: str) -> str:
    return "".join(_pair(indent, title, str(facts[name])) for title, name in names if facts.get(name))


def _pair(indent: str, title: str, text: str) -> str:
    return f"{indent}{title + ':':<18}{text}\n"


VERSION = Command(
    "version", version, synopsis="", arity=NONE, help="Show the version information",
    flags=(value("-f", "--format", help="Format output: 'json', or a Go TEMPLATE"),))
