"""`pydocker attach`: a running container's streams, from now on."""

from contextlib import ExitStack

from pydocker.cli import foreground, terminal
from pydocker.cli.command import ONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import ContainerDetail
from pydocker.client.api import Client


def attach(
    session: Session, arguments: tuple[str, ...], *, no_stdin: bool, sig_proxy: bool, detach_keys: str | None
) -> int:
    """Stay until it ends; its exit status. Letting go by the detach keys is status 1, as Docker has it."""
    client = session.client()
    detail = containers.detail(client, arguments[0])
    _check(detail)
    tty, stdin = detail.config.tty, detail.config.open_stdin and not no_stdin
    foreground.check_terminal(session, stdin=stdin, tty=tty)
    keys = foreground.detach_keys(detach_keys, wanted=tty and stdin)
    streams = foreground.Streams(stdin, True, True, tty, keys, detach_keys or "")
    with ExitStack() as stack:
        removed = detail.host_config.auto_remove
        ended = stack.enter_context(foreground.Exit(client, detail.id, removed=removed, begun=True))
        if sig_proxy and not tty:
            stack.enter_context(foreground.proxied(client, detail.id))
        stream = containers.attach(client, detail.id, streams.query())
        if foreground.pass_bytes(
            session, stream, streams, lambda height, width: containers.resize(client, detail.id, height, width),
            lambda: _redraw(session, client, detail.id, tty), ended,
        ):
            raise CommandError("read escape sequence")
        return ended.status()


def _check(detail: ContainerDetail) -> None:
    if not detail.state.running:
        raise CommandError("You cannot attach to a stopped container, start it first")
    if detail.state.paused:
        raise CommandError("You cannot attach to a paused container, unpause it first")
    if detail.state.restarting:
        raise CommandError("You cannot attach to a restarting container, wait until it is running")


def _redraw(session: Session, client: Client, container: str, tty: bool) -> None:
    """Make a full-screen program draw itself: a changed size is a SIGWINCH for it, the right size comes next."""
    size = terminal.size(session.stdout)
    if tty and size is not None:
        containers.resize(client, container, size.height + 1, size.width + 1)


ATTACH = Command(
    "attach", attach, synopsis="CONTAINER", arity=ONE, aliases=("container attach", "attach"),
    help="Attach local standard input, output, and error streams to a running container",
    flags=(
        switch("--no-stdin", help="Do not attach STDIN"),
        switch("--sig-proxy", help="Proxy all received signals to the process", shown="true"),
        value("--detach-keys", help="Override the key sequence for detaching a container"),
    ))
