"""`pydocker info`: what the server knows about itself and its machine."""

from pydocker import __version__
from pydocker.cli import phrases, template
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value
from pydocker.cli.inspect import parsed
from pydocker.cli.session import Session
from pydocker.client import system
from pydocker.client.answers import Json

# (indent, title, field), in Docker's order; a line whose field is missing is left out.
_LINES = (
    (1, "Containers", "Containers"), (2, "Running", "ContainersRunning"), (2, "Paused", "ContainersPaused"),
    (2, "Stopped", "ContainersStopped"), (1, "Images", "Images"), (1, "Server Version", "ServerVersion"),
    (1, "Storage Driver", "Driver"), (1, "Logging Driver", "LoggingDriver"), (1, "Cgroup Driver", "CgroupDriver"),
    (1, "Cgroup Version", "CgroupVersion"), (1, "Runtimes", "Runtimes"), (1, "Default Runtime", "DefaultRuntime"),
    (1, "Security Options", "SecurityOptions"), (1, "Kernel Version", "KernelVersion"),
    (1, "Operating System", "OperatingSystem"), (1, "OSType", "OSType"), (1, "Architecture", "Architecture"),
    (1, "CPUs", "NCPU"), (1, "Total Memory", "MemTotal"), (1, "Name", "Name"), (1, "ID", "ID"),
    (1, "Docker Root Dir", "DockerRootDir"), (1, "Debug Mode", "Debug"), (1, "Experimental", "ExperimentalBuild"),
    (1, "Live Restore Enabled", "LiveRestoreEnabled"),
)


def info(session: Session, arguments: tuple[str, ...], *, format: str | None) -> int:
    """Print it as lines, as JSON, or through a format."""
    print_ = parsed("{{json .}}" if format == "json" else format) if format else None
    document: dict[str, Json] = {**system.info(session.client()), "ClientInfo": {"Version": __version__}}
    if print_:
        try:
            session.say(print_(template.typed(document, "system.dockerInfo")))
        except template.TemplateError as error:
            session.say("")
            raise CommandError(str(error)) from error
        return 0
    session.write(_told(document))
    for warning in _texts(document.get("Warnings")):
        session.warn(warning)
    return 0


def _told(document: dict[str, Json]) -> str:
    lines = [f"{' ' * indent}{title}: {_shown(field, document[field])}".rstrip()
             for indent, title, field in _LINES if document.get(field) not in (None, [])]
    return f"Client:\n Version: {__version__}\n\nServer:\n" + "\n".join(lines) + "\n"


def _shown(field: str, found: Json) -> str:
    if field == "MemTotal" and isinstance(found, int):
        return phrases.binary_size(found)
    if isinstance(found, dict):
        return " ".join(sorted(found))
    return " ".join(_texts(found)) if isinstance(found, list) else template.printed(found)


def _texts(found: Json) -> list[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


INFO = Command(
    "info", info, synopsis="", arity=NONE, help="Display system-wide information", aliases=("system info", "info"),
    flags=(value("-f", "--format", help="Format output: 'json', or a Go TEMPLATE"),))
