"""`pydocker start`: existing containers, in the background, or one of them in the foreground (`-a`, `-i`)."""

from contextlib import ExitStack

from pydocker.cli import foreground
from pydocker.cli.command import SOME, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import absent, switch, value
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import ContainerDetail
from pydocker.errors import PydockerError


def start(
    session: Session, arguments: tuple[str, ...], *, attach: bool, interactive: bool, detach_keys: str | None
) -> int:
    """Start them all; one only can be attached to."""
    if not (attach or interactive):
        return _start_all(session, arguments)
    if len(arguments) > 1:
        raise CommandError("you cannot start and attach multiple containers at once")
    return _foreground(session, arguments[0], interactive, detach_keys)


def _start_all(session: Session, names: tuple[str, ...]) -> int:
    failed = []
    for name in names:
        try:
            containers.start(session.client(), name)
        except PydockerError as error:
            session.warn(told(error))
            failed.append(name)
        else:
            session.say(name)
    if failed:
        raise CommandError(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _foreground(session: Session, name: str, interactive: bool, detach_keys: str | None) -> int:
    client = session.client()
    detail = containers.detail(client, name)
    streams = _streams(detail, interactive, detach_keys)
    foreground.check_terminal(session, stdin=streams.stdin, tty=streams.tty)
    with ExitStack() as stack:
        if not streams.tty:
            stack.enter_context(foreground.proxied(client, detail.id))
        stream = containers.attach(client, detail.id, streams.query())
        ended = stack.enter_context(foreground.Exit(client, detail.id, removed=detail.host_config.auto_remove))
        if foreground.pass_bytes(
            session, stream, streams, lambda height, width: containers.resize(client, detail.id, height, width),
            lambda: _begin(session, detail.id, name), ended,
        ):
            return 0
        return ended.status()


def _begin(session: Session, container: str, name: str) -> None:
    try:
        containers.start(session.client(), container)
    except PydockerError as error:
        session.warn(told(error))
        raise CommandError(f"Error: failed to start containers: {name}") from error


def _streams(detail: ContainerDetail, interactive: bool, keys: str | None) -> foreground.Streams:
    stdin, tty = interactive and detail.config.open_stdin, detail.config.tty
    return foreground.Streams(stdin, True, True, tty, foreground.detach_keys(keys, wanted=tty and stdin), keys or "")


START = Command(
    "start", start, synopsis="CONTAINER [CONTAINER...]", arity=SOME, help="Start one or more stopped containers",
    aliases=("container start", "start"),
    flags=(
        switch("-a", "--attach", help="Attach STDOUT/STDERR and forward signals"),
        switch("-i", "--interactive", help="Attach container's STDIN"),
        value("--detach-keys", help="Override the key sequence for detaching a container"),
        absent("--checkpoint"),
        absent("--checkpoint-dir"),
    ))
