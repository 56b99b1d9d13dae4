"""A container in the foreground: `run` and `start -a` and `attach`, once they are connected.

The wait is asked for before the start, so that no exit can be missed; the terminal is raw before the start, so that no
key is echoed twice; what the program does first is seen, because the streams were connected before.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from pydocker.cli import terminal
from pydocker.cli.attached import Aside, Attached
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import Waited
from pydocker.client.api import ApiError, Client, Query, Stream
from pydocker.errors import InvalidParameter, Unavailable
from pydocker.monitor import detachkeys

Resize = Callable[[int, int], None]
Answer = TypeVar("Answer")
_DYING = 2.0  # seconds


class Streams(NamedTuple):
    """Which streams the person wants, and how."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    keys: bytes  # empty: no letting go
    keys_text: str

    def query(self, *, logs: bool = False) -> Query:
        """The parameters of `POST /containers/{id}/attach`."""
        return {"stream": True, "stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr,
                "logs": logs or None, "detachKeys": self.keys_text or None}


def detach_keys(text: str | None, *, wanted: bool) -> bytes:
    """The bytes that let go; only a terminal's input is searched for them. Raises CommandError (125)."""
    try:
        keys = detachkeys.parse(text or "")
    except InvalidParameter as error:
        raise CommandError(str(error), 125) from error
    return keys if wanted else b""


def check_terminal(session: Session, *, stdin: bool, tty: bool) -> None:
    """`-it` needs a terminal to be told about (Docker's words)."""
    if stdin and tty and not os.isatty(session.stdin):
        raise CommandError("the input device is not a TTY")


def pass_bytes(session: Session, stream: Stream, streams: Streams, resize: Resize, begin: Callable[[], None],
               aside: Aside | None = None) -> bool:
    """`begin`, then pass bytes until the end; True if the person let go. The terminal is put back whatever happens.

    `aside` is looked after meanwhile.
    """
    with ExitStack() as stack:
        stack.callback(stream.socket.close)
        if streams.tty:
            if streams.stdin:
                stack.enter_context(terminal.raw(session.stdin))
            begin()
            stack.enter_context(follow_size(session, resize))
        else:
            begin()
        return Attached(
            session, stream, stdin=streams.stdin, tty=streams.tty, keys=streams.keys, aside=aside).run()


def follow_size(session: Session, resize: Resize) -> ExitStack:
    """Tell the container's terminal the size of ours now, and whenever it changes."""
    stack = ExitStack()
    if terminal.size(session.stdout) is not None:
        stack.enter_context(terminal.handled([signal.SIGWINCH], lambda number: _tell_size(session, resize)))
        _tell_size(session, resize)
    return stack


def _tell_size(session: Session, resize: Resize) -> None:
    """Tell the size until it is the one that was told last: a change may come while an older one is on its way."""
    told = None
    for attempt in range(5):
        size = terminal.size(session.stdout)
        if size in (None, told):
            return
        try:
            resize(size.height, size.width)
            told = size
        except ApiError:
            # Its process is not there yet (an exec session answers before it runs), or not there any more: a size
            # then means nothing. Docker's client tries a few times too.
            time.sleep(0.01 * attempt)


def proxied(client: Client, container: str) -> ExitStack:
    """Send this process's signals on to the container, for a while."""

    def forward(number: int) -> None:
        try:
            containers.kill(client, container, terminal.name(number))
        except ApiError as error:
            if error.status not in (404, 409):  # not started yet, or ended meanwhile: nobody to tell
                raise

    stack = ExitStack()
    stack.enter_context(terminal.handled(terminal.forwarded(), forward))
    return stack


def of_the_next_server(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns, once the killed server has gone: a dying one still takes connections for a moment."""
    patience = time.monotonic() + _DYING
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)


class Exit:
    """A wait for the container's exit, which outlives the server that was asked first. A context manager.

    A killed server takes only this answer with it. So the next one is asked as soon as the connection is lost, while
    the container still runs: afterwards, one that removes itself cannot be waited for any more, and what is left of it
    is the event of its death.
    """

    def __init__(self, client: Client, container: str, *, removed: bool, begun: bool = False) -> None:
        """`removed`: it removes itself at its end. `begun`: it may have ended already."""
        self._client = client
        self._container = container
        self._again = "removed" if removed else "not-running"
        self._response = containers.wait(client, container, self._again if removed or begun else "next-exit")
        self._watched = True
        self._refused: ApiError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._response.__exit__(kind, error, at)

    def fileno(self) -> int:
        """What to poll while waiting for something else; -1: nothing any more."""
        return self._response.fileno() if self._watched else -1

    def look(self) -> None:
        """To be called when the descriptor is ready: the answer has come, or the server has gone."""
        self._watched = self._response.lost()
        if self._watched:
            self._ask_again()

    def _ask_again(self) -> None:
        self._response.__exit__(None, None, None)
        try:
            self._response = of_the_next_server(lambda: containers.wait(self._client, self._container, self._again))
        except ApiError as error:
            self._watched = False  # there may be output to show yet; `status` says what is wrong
            self._refused = error

    def status(self) -> int:
        """The container's exit status, once it has one. Raises CommandError (125) if the server could not wait."""
        try:
            ended = self._waited()
        except Unavailable:
            self._ask_again()
            ended = self._waited()
        if ended.error is not None and ended.error.message:
            raise CommandError(f"Error waiting for container: {ended.error.message}", 125)
        return ended.status_code

    def _waited(self) -> Waited:
        if self._refused is None:
            return containers.waited(self._response)
        status = containers.died(self._client, self._container) if self._refused.status == 404 else None
        if status is None:
            raise self._refused
        return Waited(status)
