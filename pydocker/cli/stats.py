"""`pydocker stats`: what containers use, drawn anew twice a second.

Each container has a connection of its own, on which a sample comes every second, and a thread that reads it. Without
names, the running ones are shown (all with `-a`), and whoever comes or goes is heard of by the server's events.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from pydocker.cli import figures, table
from pydocker.cli.command import Arity, Command
from pydocker.cli.errors import told
from pydocker.cli.flags import switch, value
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import containers, system
from pydocker.client.answers import Event, Sample
from pydocker.client.api import Client, Response, decoded
from pydocker.errors import PydockerError

_REDRAW = 0.5  # seconds
_PATIENCE, _GLANCE = 2.0, 0.02  # seconds for the first samples, and between two looks
_HOME, _CLEAR_LINE, _CLEAR_REST = "\033[H", "\033[K", "\033[J"


def stats(
    session: Session, arguments: tuple[str, ...], *, all: bool, format: str | None, no_stream: bool, no_trunc: bool
) -> int:
    """Print one table, or go on until interrupted (or until every container that was named is gone)."""
    with _Board(session.client(), stream=not no_stream, named=bool(arguments)) as board:
        names = arguments or _present(session.client(), all)
        if not arguments and not no_stream:
            board.follow(("create", "destroy") if all else ("start", "die"))
        for name in names:
            board.add(name)
        if no_stream:
            board.finish()
            if not board.errors:
                session.write(_text(board, format, no_trunc))
        else:
            _draw(session, board, format, no_trunc, endless=not arguments)
        return _complain(session, board.errors)


def _present(client: Client, all: bool) -> Sequence[str]:
    return [one.id for one in containers.listed(client, {"all": all or None})]


def _draw(session: Session, board: "_Board", format: str | None, no_trunc: bool, *, endless: bool) -> None:
    board.settle()
    session.write("\033[2J" if not board.errors else "")
    while not board.errors and (endless or board.any()):
        text = _text(board, format, no_trunc)
        session.write(_HOME + text.replace("\n", f"{_CLEAR_LINE}\n") + _CLEAR_REST)
        if board.pause(_REDRAW):
            return


def _text(board: "_Board", format: str | None, no_trunc: bool) -> str:
    rows = [figures.row(name, sample, no_trunc) for name, sample in board.samples()]
    return table.shown(rows, figures.HEADINGS, figures.COLUMNS, format, "*container.statsContext")


def _complain(session: Session, errors: Sequence[PydockerError]) -> int:
    for error in errors:
        session.warn(told(error))
    return 1 if errors else 0


@dataclass(eq=False)
class _Watched:
    """One container: its latest sample, and the answer on which they come."""

    sample: Sample | None = None
    response: Response | None = None


class _Board:
    """The latest sample of every container that is watched, in the order in which they came."""

    def __init__(self, client: Client, *, stream: bool, named: bool) -> None:
        self.errors: list[PydockerError] = []
        self._client = client
        self._stream = stream
        self._named = named
        self._lock = threading.Lock()
        self._latest: dict[str, _Watched] = {}
        self._open: list[Response] = []
        self._threads: list[threading.Thread] = []
        self._broken = threading.Event()

    def __enter__(self) -> "_Board":
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of all connections: their readers, in threads of their own, see the end."""
        with self._lock:
            for response in self._open:
                _shut(response)

    def add(self, name: str) -> None:
        """Watch one more; one that is watched already is."""
        with self._lock:
            if name in self._latest:
                return
            self._latest[name] = watched = _Watched()
        self._begin(self._watch, name, watched)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=self._told, args=(work, *arguments), daemon=True)
        thread.start()
        with self._lock:
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def _told(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except PydockerError as error:
            if self._named or getattr(error, "status", 0) != 404:  # one of the list may have gone meanwhile
                self.errors.append(error)
                self._broken.set()

    def _watch(self, name: str, watched: _Watched) -> None:
        """Until it ends, or is dropped: then an end in the middle is none of its mistakes."""
        try:
            response = containers.stats(self._client, name, self._stream)
            with contextlib.closing(self._lines(response, watched)) as lines:
                for line in lines:
                    if not self._take(name, watched, decoded(line, Sample)):
                        return
        except PydockerError:
            if self._forget(name, watched):
                raise
        if self._stream:
            self._forget(name, watched)

    def _take(self, name: str, watched: _Watched, sample: Sample) -> bool:
        """False: it was dropped, and may be watched anew by somebody else."""
        with self._lock:
            watched.sample = sample
            return self._latest.get(name) is watched

    def _forget(self, name: str, watched: _Watched) -> bool:
        """Whether it was still there."""
        with self._lock:
            mine = self._latest.get(name) is watched
            if mine:
                del self._latest[name]
            return mine

    def drop(self, name: str) -> None:
        """Watch it no more; its reader, in a thread of its own, sees the end."""
        with self._lock:
            watched = self._latest.pop(name, None)
            if watched and watched.response in self._open:
                _shut(watched.response)

    def follow(self, actions: tuple[str, str]) -> None:
        """Watch whoever comes by the first action, drop whoever goes by the second."""
        asked = (("type", "container"), *(("event", action) for action in actions))
        response = system.events(self._client, {"filters": filters(asked)})  # from here on nobody is missed
        self._begin(self._heed, response, actions)

    def _heed(self, response: Response, actions: tuple[str, str]) -> None:
        for line in self._lines(response):
            event = decoded(line, Event)
            (self.add if event.action == actions[0] else self.drop)(event.actor.id)

    def _lines(self, response: Response, watched: _Watched | None = None) -> Generator[bytes]:
        with response, self._opened(response, watched), contextlib.closing(response.pieces()) as pieces:
            rest = b""
            for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines

    @contextlib.contextmanager
    def _opened(self, response: Response, watched: _Watched | None) -> Iterator[None]:
        """While its descriptor is surely its own, others may shut it."""
        with self._lock:
            self._open.append(response)
            if watched:
                watched.response = response
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(response)

    def finish(self) -> None:
        """Wait until everyone has answered."""
        for thread in tuple(self._threads):
            thread.join()

    def settle(self) -> None:
        """Wait until everyone has answered once, for a while."""
        end = time.monotonic() + _PATIENCE
        while any(sample is None for _, sample in self.samples()) and time.monotonic() < end:
            if self.pause(_GLANCE):
                return

    def samples(self) -> list[tuple[str, Sample | None]]:
        with self._lock:
            return [(name, watched.sample) for name, watched in self._latest.items()]

    def any(self) -> bool:
        """Whether someone is left."""
        with self._lock:
            return bool(self._latest)

    def pause(self, seconds: float) -> bool:
        """True as soon as something has gone wrong."""
        return self._broken.wait(seconds)


def _shut(response: Response) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(response.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


STATS = Command(
    "stats", stats, synopsis="[CONTAINER...]", arity=Arity(0, None),
    help="Display a live stream of container(s) resource usage statistics", aliases=("container stats", "stats"),
    flags=(
        switch("-a", "--all", help="Show all containers (default shows just running)"),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        switch("--no-stream", help="Disable streaming stats and only pull the first result"),
        switch("--no-trunc", help="Do not truncate output"),
    ))
