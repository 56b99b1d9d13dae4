"""`pydocker exec`: one more program in a running container."""

from pydocker.cli import foreground, linefile
from pydocker.cli.command import Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import ENV, switch, value, values
from pydocker.cli.session import Session
from pydocker.client import containers, execs
from pydocker.model.container import ExecConfig


def exec_(
    session: Session, arguments: tuple[str, ...], *, detach: bool, detach_keys: str | None, env: tuple[str, ...],
    env_file: tuple[str, ...], interactive: bool, privileged: bool, tty: bool, user: str | None, workdir: str | None,
) -> int:
    """Run it; its exit status. `-d`: only start it."""
    container, *command = arguments
    foreground.check_terminal(session, stdin=interactive and not detach, tty=tty)
    config = ExecConfig(
        attach_stdin=interactive and not detach, attach_stdout=not detach, attach_stderr=not detach,
        detach_keys=detach_keys or "", tty=tty, env=tuple(linefile.environment(session, env_file, env)) or None,
        cmd=tuple(command), privileged=privileged, user=user or "", working_dir=workdir or "")
    keys = foreground.detach_keys(detach_keys, wanted=tty and interactive)
    identifier = containers.exec_create(session.client(), container, config)
    if detach:
        execs.start_detached(session.client(), identifier, tty=tty)
        return 0
    streams = foreground.Streams(interactive, True, True, tty, keys, detach_keys or "")
    return _foreground(session, identifier, streams)


def _foreground(session: Session, identifier: str, streams: foreground.Streams) -> int:
    client = session.client()
    stream = execs.start(client, identifier, tty=streams.tty)
    if foreground.pass_bytes(
        session, stream, streams, lambda height, width: execs.resize(client, identifier, height, width), lambda: None
    ):
        raise CommandError("read escape sequence")
    return execs.detail(client, identifier).exit_code or 0


EXEC = Command(
    "exec", exec_, synopsis="CONTAINER COMMAND [ARG...]", arity=Arity(2, None), interspersed=False,
    help="Execute a command in a running container", aliases=("container exec", "exec"),
    flags=(
        switch("-d", "--detach", help="Detached mode: run command in the background"),
        value("--detach-keys", help="Override the key sequence for detaching a container"),
        values("-e", "--env", kind=ENV, help="Set environment variables"),
        values("--env-file", help="Read in a file of environment variables"),
        switch("-i", "--interactive", help="Keep STDIN open even if not attached"),
        switch("--privileged", help="Give extended privileges to the command"),
        switch("-t", "--tty", help="Allocate a pseudo-TTY"),
        value("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])"),
        value("-w", "--workdir", help="Working directory inside the container"),
    ))
