"""`pydocker serve`: the server, in the foreground. systemd's unit and this command line itself start it."""

import os

import msgspec

from pydocker import config
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import Kind, value, values
from pydocker.cli.session import Session
from pydocker.wire.durations import duration


def serve(
    session: Session, arguments: tuple[str, ...], *, config_: str | None, host: tuple[str, ...],
    idle_timeout: int | None,
) -> int:
    """Serve until SIGTERM, SIGINT, or idleness."""
    from pydocker.api import server
    from pydocker.cli import warm

    if os.geteuid() != 0:
        raise CommandError("the server needs to be root: it makes namespaces, mounts and cgroups")
    environ = {**session.environ, **({"PYDOCKER_CONFIG": config_} if config_ else {})}
    settings = config.load(environ)
    if idle_timeout is not None:
        settings = msgspec.structs.replace(settings, idle_timeout=idle_timeout / 1e9)
    server.serve(settings, host, environ, warm.beside(environ))
    return 0


SERVE = Command(
    "serve", serve, synopsis="", arity=NONE, help="Serve the Engine API (started by itself when it is needed)",
    flags=(
        value("config_", "--config", help="Configuration file (default: /etc/pydocker/daemon.json)"),
        values("-H", "--host", help="Socket to listen on: unix://PATH (default: those of the configuration)"),
        value("--idle-timeout", help="Leave after so long without a request (5m; 0: stay)",
              kind=Kind("duration", duration)),
    ))
