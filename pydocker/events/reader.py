"""Reading events: those that were, and then those that come.

A reader opens the files newest first, so that a rotation at this moment shows it one file twice rather than none, and
reads them oldest first. At the end of the newest it waits for the kernel's word that something changed (inotify(7)),
and looks where the name leads now: its file has lost it when there is a newer one, and will not grow any more.
"""

import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from pydocker.events.journal import KEPT, inode, older
from pydocker.model.event import Event
from runtime.linux import inotify

_PIECE = 1 << 18
_LONGEST = 2**31 - 1  # milliseconds, 24 days: poll(2) takes an int
_NAP = 0.2  # seconds between two looks, where the kernel has no inotify instance left for us


class Selectable(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int: ...


def read(path: Path, since: int, until: int | None = None) -> Iterator[Event]:
    """What happened in that time (nanoseconds since the epoch), both ends included."""
    with _Files(path) as files:
        yield from _within(files.more(), since, until)


def follow(path: Path, since: int | None, until: int | None = None,
           gone: Selectable | None = None) -> Iterator[Event]:
    """From `since` (None: from now) to `until` (None: for ever), or until `gone` becomes readable.

    Subscribed when this returns: nothing that happens after that is missed.
    """
    files = _Files(path)
    if since is None:
        files.skip()
    return _followed(files, path.parent, since or 0, until, gone)


def _followed(files: "_Files", directory: Path, since: int, until: int | None,
              gone: Selectable | None) -> Iterator[Event]:
    with files, _Changes(directory, gone) as changes:
        while True:
            over = until is not None and time.time_ns() > until  # looked at before the last reading
            yield from _within(files.more(), since, until)
            if over or not changes.wait(None if until is None else max(0.0, (until - time.time_ns()) / 1e9) + 0.001):
                return


def _within(events: Iterator[Event], since: int, until: int | None) -> Iterator[Event]:
    return (one for one in events if since <= one.nanoseconds and (until is None or one.nanoseconds <= until))


class _Files:
    """The files as one stream: `more` goes on where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._open: list[int] = []  # newest first
        self._find()

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            os.close(self._open.pop())

    def __del__(self) -> None:
        """Of a client that was gone before the first reading."""
        self.__exit__()

    def _find(self) -> None:
        """Open what is newer than the newest that is open."""
        last = os.fstat(self._open[0]).st_ino if self._open else 0
        found: list[int] = []
        for number in range(KEPT + 1):
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(older(self._path, number), os.O_RDONLY | os.O_CLOEXEC)
                mine = os.fstat(fd).st_ino
                if mine == last or mine in [os.fstat(other).st_ino for other in found]:
                    os.close(fd)
                    if mine == last:
                        break
                    continue
                found.append(fd)
        self._open = found + self._open

    def skip(self) -> None:
        """To the end of all."""
        while len(self._open) > 1:
            os.close(self._open.pop())
        if self._open:
            os.lseek(self._open[0], 0, os.SEEK_END)

    def more(self) -> Iterator[Event]:
        """What has been added."""
        while True:
            # Asked before reading: a file that has lost its name by now has nothing more to come after this.
            renamed = not self._open or os.fstat(self._open[0]).st_ino != inode(self._path)
            while self._open:
                yield from self._rest_of(self._open[-1])
                if len(self._open) == 1:
                    break
                os.close(self._open.pop())
            before = len(self._open)
            if not renamed:
                return
            self._find()
            if len(self._open) == before:
                return

    def _rest_of(self, fd: int) -> Iterator[Event]:
        while piece := os.read(fd, _PIECE):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):  # a power cut leaves anything
                    yield msgspec.json.decode(line, type=Event)


class _Changes:
    """Waits until something in the directory changes."""

    def __init__(self, directory: Path, gone: Selectable | None) -> None:
        self._poll = select.poll()
        self._gone = gone.fileno() if gone is not None else -1
        self._fd = -1
        if gone is not None:
            self._poll.register(gone, select.POLLIN)
        with contextlib.suppress(OSError):  # EMFILE: a user has 128 of them, unless fs.inotify.max_user_instances says
            self._fd = inotify.watch(directory, inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO)
            self._poll.register(self._fd, select.POLLIN)

    def __enter__(self) -> "_Changes":
        return self

    def __exit__(self, *error: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def wait(self, seconds: float | None) -> bool:
        """True when it is time to look again, False when nobody wants to know any more."""
        if self._fd < 0:
            seconds = _NAP if seconds is None else min(seconds, _NAP)
        ready = {fd for fd, _ in self._poll.poll(None if seconds is None else min(seconds * 1000, _LONGEST))}
        if self._fd in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._fd, 1 << 16)
        return self._gone not in ready
