"""`logs`: from the files that the monitor writes, or the journal. It is asked for one thing only: a nudge when there is
more.
"""

import contextlib
import select
import socket
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import quote_plus

from pydocker.containers import logsettings
from pydocker.containers.journal import JournalReader
from pydocker.containers.options import LogOptions
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, NotSupported, Unavailable
from pydocker.model.container import Container, ContainerId, Record
from pydocker.monitor import control
from pydocker.monitor.logformat import JSON, LOCAL, Entry
from pydocker.monitor.logreader import LogReader
from pydocker.monitor.logwriter import timestamp
from pydocker.wire.stdcopy import STDERR, STDOUT

_NUMBERS = {"stdout": STDOUT, "stderr": STDERR}


class Selectable(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int: ...


class Reader(Protocol):
    """LogReader, or JournalReader."""

    def reopen(self) -> None: ...

    def skip_to_tail(self, lines: int) -> None: ...

    def read(self) -> Iterator[list[Entry]]: ...

    def close(self) -> None: ...


class Logs:
    """Reads logs."""

    def __init__(self, store: Store, statuses: Statuses, streams: Streams) -> None:
        self._store = store
        self._statuses = statuses
        self._streams = streams

    def read(self, id: ContainerId, options: LogOptions, gone: Selectable | None) -> Iterator[tuple[int, bytes]]:
        """(stream, text) in order. `gone` becomes readable when nobody listens any more. Raises at once."""
        container = self._statuses.container(id)
        if container.state.dead:
            raise Conflict("can not get logs from container which is dead or marked for removal")
        if container.record.host.log_config.type == "none":
            raise NotSupported("configured logging driver does not support reading")
        # Subscribed before the first read: what comes in between is found by one of the two.
        more = self._follow(container) if options.follow else None
        return self._lines(container, options, more, gone)

    def _follow(self, container: Container) -> socket.socket | None:
        if not container.state.running:
            return None
        with contextlib.suppress(Unavailable, OSError):  # it ended this very moment
            connection = self._streams.connect(container.record.id)
            control.send(connection, control.Follow())
            return connection
        return None

    def _reader(self, record: Record) -> Reader:
        """Of its driver; opened."""
        driver, directory = record.host.log_config.type, self._store.paths.container(record.id)
        if driver == "journald":
            return JournalReader(record.id)
        files = logsettings.settings(record, directory).files
        return LogReader(logsettings.path_of(record, directory), files, LOCAL if driver == "local" else JSON)

    def _lines(self, container: Container, options: LogOptions, more: socket.socket | None,
               gone: Selectable | None) -> Iterator[tuple[int, bytes]]:
        reader = self._reader(container.record)
        try:
            if options.tail is not None:
                reader.skip_to_tail(options.tail)
            yield from _chosen(reader, options)
            while more is not None and _nudged(more, gone):
                reader.reopen()
                yield from _chosen(reader, options)
            yield from _chosen(reader, options)
        finally:
            reader.close()
            if more is not None:
                more.close()


def _nudged(more: socket.socket, gone: Selectable | None) -> bool:
    """Wait for more; False when no more will come, or nobody wants it."""
    poll = select.poll()
    poll.register(more, select.POLLIN)
    if gone is not None:
        poll.register(gone, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    if gone is not None and gone.fileno() in ready:
        return False
    try:
        return bool(more.recv(16))
    except ConnectionResetError:  # the monitor ended before it had read the request: the log will grow no more
        return False


def _chosen(reader: Reader, options: LogOptions) -> Iterator[tuple[int, bytes]]:
    """The entries that the options want; neighbours of one stream are joined."""
    since = timestamp(options.since) if options.since else ""
    until = timestamp(options.until) if options.until else "~"
    wanted = {name for name, asked in (("stdout", options.stdout), ("stderr", options.stderr)) if asked}
    plain = len(wanted) == 2 and not since and until == "~"
    for batch in reader.read():
        chosen = batch if plain else [one for one in batch if one.stream in wanted and since <= one.time <= until]
        yield from _joined(chosen, options)


def _joined(entries: list[Entry], options: LogOptions) -> Iterator[tuple[int, bytes]]:
    pieces: list[str] = []
    stream = ""
    for entry in entries:
        if entry.stream != stream and pieces:
            yield _NUMBERS[stream], _bytes(pieces)
            pieces = []
        stream = entry.stream
        pieces.append(told(entry, options) if options.timestamps or options.details else entry.log)
    if pieces:
        yield _NUMBERS[stream], _bytes(pieces)


def told(entry: Entry, options: LogOptions) -> str:
    """The line with what was asked for in front of it."""
    text = entry.log
    if options.details:
        attributes = sorted(f"{quote_plus(key)}={quote_plus(value)}" for key, value in entry.attrs.items())
        text = f"{','.join(attributes)} {text}"
    return f"{entry.time} {text}" if options.timestamps else text


def _bytes(pieces: list[str]) -> bytes:
    """What was not UTF-8 in a log that keeps bytes is that again."""
    return "".join(pieces).encode(errors="surrogateescape")
