"""A container's log, as its monitor keeps it: written, told of to those who follow, replayed to clients.

A container outlives its log: what the disk does not take (it is full) is lost to the log, and to nobody else.
"""

import functools
import socket
import sys
from collections.abc import Callable

from pydocker.monitor.clients import Client
from pydocker.monitor.launch import LogSettings
from pydocker.monitor.locallog import LocalWriter
from pydocker.monitor.logaside import Writer, WriterAside
from pydocker.monitor.logformat import JSON, LOCAL, Format
from pydocker.monitor.logreader import LogReader
from pydocker.monitor.logwriter import LogWriter
from pydocker.monitor.loop import Loop

_FORMATS: dict[str, Format] = {"json-file": JSON, "local": LOCAL}


class LogKeeper:
    """Where there is no log, nobody is told anything. `drained` is called when it is `full` no longer."""

    def __init__(self, settings: LogSettings, loop: Loop, drained: Callable[[], None] = lambda: None) -> None:
        self._loop = loop
        self._settings = settings
        self._followers: list[socket.socket] = []
        self._failed = False
        self._writer = self._opened(drained)

    def _opened(self, drained: Callable[[], None]) -> Writer | None:
        it = self._settings
        make: Callable[[], Writer]
        match it.driver:
            case "json-file":
                make = functools.partial(LogWriter, it.path, it.max_size, it.files, compress=it.compress,
                                         attributes=it.extra)
            case "local":
                make = functools.partial(LocalWriter, it.path, it.max_size, it.files, compress=it.compress)
            case "journald":
                from pydocker.monitor.journald import JournalWriter

                return JournalWriter(it.path, it.extra, it.buffer, self._loop, drained)
            case _:
                return None
        return WriterAside(make, it.buffer, self._loop, self._nudge_all) if it.buffer else make()

    @property
    def full(self) -> bool:
        """Whether it takes no more at the moment."""
        return self._writer is not None and self._writer.full

    def write(self, stream: int, data: bytes) -> None:
        """Output, or (`b""`) the end of a stream."""
        if self._writer is None:
            return
        try:
            self._writer.write(stream, data, last=not data)
        except OSError as error:
            self._complain(error)
        self._nudge_all()

    def _complain(self, error: OSError) -> None:
        """Once: a container that writes on would fill the engine's log, too."""
        if not self._failed:
            self._failed = True
            reason = error.strerror or error
            print(f"write {self._settings.path}: {reason}: output is lost to the log", file=sys.stderr, flush=True)

    def _nudge_all(self) -> None:
        for follower in tuple(self._followers):
            self._nudge(follower)

    def _nudge(self, follower: socket.socket) -> None:
        try:
            follower.send(b".", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass  # it has not yet looked after the last nudge: one is enough
        except OSError:
            self._let_go(follower)

    def _let_go(self, follower: socket.socket) -> None:
        self._followers.remove(follower)
        self._loop.forget(follower.fileno())
        follower.close()

    def follow(self, follower: socket.socket) -> None:
        """Nudge it whenever there is more; closed where there will be no more."""
        if self._writer is None:
            follower.close()
        else:
            self._followers.append(follower)
            self._loop.watch(follower.fileno(), 0, lambda events: self._let_go(follower))  # it hung up

    def replay(self, client: Client) -> None:
        """Send what was logged before, where it lies in files."""
        if self._writer is None or self._settings.driver not in _FORMATS:
            return
        self._writer.settle()
        reader = LogReader(self._settings.path, self._settings.files, _FORMATS[self._settings.driver])
        for batch in reader.read():
            for entry in batch:
                client.send(1 if entry.stream == "stdout" else 2, entry.log.encode(errors="surrogateescape"))
        reader.close()

    def settle(self) -> None:
        """A run is over: who is told of it finds all of its output."""
        if self._writer is not None:
            self._writer.settle()

    def close(self) -> None:
        """No more will come."""
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._complain(error)
            self._writer = None
        for follower in tuple(self._followers):
            self._let_go(follower)
