"""`pydocker logs`: what a container has said, and with `-f` what it goes on saying."""

import contextlib

from pydocker.cli import timestamps
from pydocker.cli.attached import show_frames
from pydocker.cli.command import ONE, Command
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session, write_all
from pydocker.client import containers
from pydocker.wire import stdcopy


def logs(
    session: Session, arguments: tuple[str, ...], *, details: bool, follow: bool, since: str | None, tail: str | None,
    timestamps_: bool, until: str | None,
) -> int:
    """Print them: what went to stdout to stdout, what went to stderr to stderr."""
    client = session.client()
    detail = containers.detail(client, arguments[0])
    response = containers.logs(client, detail.id, {
        "stdout": True, "stderr": True, "follow": follow or None, "timestamps": timestamps_ or None,
        "details": details or None, "tail": tail or "all",
        "since": timestamps.seconds(since, "since") if since else None,
        "until": timestamps.seconds(until, "until") if until else None,
    })
    reader = stdcopy.Reader()
    with response, contextlib.closing(response.pieces()) as pieces:
        for piece in pieces:
            if detail.config.tty:
                write_all(session.stdout, piece)
            else:
                show_frames(session, reader, piece)
    return 0


LOGS = Command(
    "logs", logs, synopsis="CONTAINER", arity=ONE, help="Fetch the logs of a container",
    aliases=("container logs", "logs"),
    flags=(
        switch("--details", help="Show extra details provided to logs"),
        switch("-f", "--follow", help="Follow log output"),
        value("--since", help="Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m)"),
        value("-n", "--tail", help="Number of lines to show from the end of the logs", shown='"all"'),
        switch("timestamps_", "-t", "--timestamps", help="Show timestamps"),
        value("--until", help="Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m)"),
    ))
