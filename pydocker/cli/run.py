"""`pydocker run`: create, attach, wait for the end, start; in this order, so that nothing of it can be missed.

    create ── 404? pull, create again ── attach ── wait ── start ── bytes ── exit status
                                          -d: start, print the id
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from pydocker.cli import foreground, request
from pydocker.cli.command import SOME, Command
from pydocker.cli.create import check_name, make
from pydocker.cli.create_flags import ABSENT_FLAGS, CREATE_FLAGS
from pydocker.cli.errors import CommandError, of_command, start_status, told
from pydocker.cli.flags import BOOL, Flag, Kind, switch, value
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.api import ApiError
from pydocker.errors import PydockerError, Unavailable


def run(session: Session, arguments: tuple[str, ...], **given: Any) -> int:
    """Run a container; its program's exit status, or 125 (engine), 126 (not executable), 127 (not found)."""
    streams = _streams(session, given)
    try:
        if given["dry_run"]:
            return _dry_run(session, arguments, given)
        return _run(session, arguments, given, streams)
    except PydockerError as error:
        raise of_command(error, "run") from error


def _streams(session: Session, given: Mapping[str, Any]) -> foreground.Streams:
    if given["detach"] and given["attach"]:
        raise CommandError("conflicting options: cannot specify both --attach and --detach")
    wanted = dict(request.streams(given))
    stdin, tty = bool(wanted["AttachStdin"]), given["tty"]
    if not given["detach"] and not given["dry_run"]:
        foreground.check_terminal(session, stdin=stdin, tty=tty)
    keys = foreground.detach_keys(given["detach_keys"], wanted=tty and stdin)
    return foreground.Streams(
        stdin, bool(wanted["AttachStdout"]), bool(wanted["AttachStderr"]), tty, keys, given["detach_keys"] or "")


def _run(
    session: Session, arguments: tuple[str, ...], given: Mapping[str, Any], streams: foreground.Streams
) -> int:
    try:
        container = make(session, arguments, given).id
    except ApiError as error:  # the first content of its volumes is copied here, which may fail as a start may
        raise CommandError(told(error), start_status(str(error))) from error
    if given["detach"]:
        _start(session, container, streams)
        session.say(container)
        return 0
    return _attached(session, container, given, streams)


def _attached(session: Session, container: str, given: Mapping[str, Any], streams: foreground.Streams) -> int:
    client = session.client()
    with ExitStack() as stack:
        if given["sig_proxy"] and not streams.tty:
            stack.enter_context(foreground.proxied(client, container))
        wants_streams = streams.stdin or streams.stdout or streams.stderr
        if not (streams.stdout or streams.stderr):
            session.say(container)
        stream = containers.attach(client, container, streams.query()) if wants_streams else None
        ended = stack.enter_context(foreground.Exit(client, container, removed=given["rm"]))
        if stream is None:
            _start(session, container, streams)
        elif foreground.pass_bytes(
            session, stream, streams, lambda height, width: containers.resize(client, container, height, width),
            lambda: _start(session, container, streams), ended,
        ):
            return 0
        return ended.status()


def _start(session: Session, container: str, streams: foreground.Streams) -> None:
    """Start it. Raises CommandError with Docker's exit status for what was wrong with the program."""
    try:
        containers.start(session.client(), container, streams.keys_text)
    except ApiError as error:
        raise CommandError(told(error), start_status(str(error))) from error
    except Unavailable:
        if not _has_started(session, container):
            raise


def _has_started(session: Session, container: str) -> bool:
    """Whether a server that was killed before it could answer had started the container; the next one knows."""
    try:
        detail = foreground.of_the_next_server(lambda: containers.detail(session.client(), container))
        return detail.state.status != "created"
    except ApiError as error:
        return error.status == 404  # it has, and has removed itself meanwhile


def _dry_run(session: Session, arguments: tuple[str, ...], given: Mapping[str, Any]) -> int:
    """Ask the server what it would do, and tell it."""
    from pydocker.explain import plans

    image, *command = arguments
    check_name(image)
    body = request.build(session, image, command, given)
    session.write(plans.told(containers.plan(session.client(), body, given["platform"]), given["dry_run"]))
    return 0


def _format(text: str) -> str:
    from pydocker.explain import plans

    try:
        return plans.Format(text).value
    except ValueError as error:
        raise ValueError("must be one of text, json, sh") from error


RUN_FLAGS = (
    switch("-d", "--detach", help="Run container in background and print container ID"),
    value("--detach-keys", help="Override the key sequence for detaching a container"),
    Flag("--sig-proxy", kind=BOOL, help="Proxy received signals to the process", implied="true", shown="true"),
    Flag("--dry-run", kind=Kind("[format]", _format), implied="text",
         help="Print what would be done, step by step, and do nothing: text, json or sh (shell lines)"),
)

RUN = Command(
    "run", run, synopsis="IMAGE [COMMAND] [ARG...]", arity=SOME, help="Create and run a new container from an image",
    flags=(*CREATE_FLAGS, *RUN_FLAGS, *ABSENT_FLAGS), interspersed=False, aliases=("container run", "run"))
