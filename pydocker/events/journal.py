"""Writing events: one line, one write(2), at the end of the file; a file that is full makes place for a new one."""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from pydocker.model.container import Record
from pydocker.model.event import Event, Kind, event
from pydocker.model.network import Network

LIMIT = 4 << 20  # bytes of a file: at some 400 bytes an event, ten thousand of them
KEPT = 2  # older files


class _Labels(msgspec.Struct, frozen=True, rename="pascal"):
    labels: dict[str, str] = {}


class Subject(msgspec.Struct, frozen=True):
    """What an event tells of a container: the part of its config.json, as which it can be decoded."""

    id: str
    name: str
    image_name: str
    config: _Labels = _Labels()

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(record.id, record.name, record.image_name, _Labels(record.config.labels))

    @classmethod
    def read(cls, directory: Path) -> Self:
        """As it is now: a container may have been renamed. Raises OSError, msgspec.MsgspecError."""
        return msgspec.json.decode((directory / "config.json").read_bytes(), type=cls)

    def attributes(self, more: Mapping[str, str]) -> dict[str, str]:
        """Labels first: what the engine says of itself is not for a label to say."""
        return {**self.config.labels, "image": self.image_name, "name": self.name, **more}


class Journal:
    """The file at `path`, for writers. May be used by several threads, and processes."""

    def __init__(self, path: Path, limit: int = LIMIT, kept: int = KEPT) -> None:
        self.path = path
        self._limit = limit
        self._kept = kept

    def container(self, subject: Subject | Record, action: str, **more: str) -> None:
        """Something happened to a container; `more` are the attributes that this action adds."""
        subject = Subject.of(subject) if isinstance(subject, Record) else subject
        self.write(event(Kind.CONTAINER, action, subject.id, subject.attributes(more)))

    def image(self, action: str, id: str, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Something happened to an image: `id` is a digest, or for pull and push the name."""
        self.write(event(Kind.IMAGE, action, id, {**(labels or {}), "name": name}))

    def volume(self, action: str, name: str, **more: str) -> None:
        """Something happened to a volume."""
        self.write(event(Kind.VOLUME, action, name, {"driver": "local", **more}))

    def network(self, network: Network, action: str, **more: str) -> None:
        """Something happened to a network, or to a container in it (`container`: its id)."""
        self.write(event(Kind.NETWORK, action, network.id, {**more, "name": network.name, "type": network.driver}))

    def pruned(self, kind: Kind, freed: int) -> None:
        """A prune is over, and has freed so many bytes."""
        self.write(event(kind, "prune", "", {"reclaimed": str(freed)}))

    def write(self, event: Event) -> None:
        """Append it. What happened has happened: a disk that is full is told in the log, and undoes nothing."""
        line = msgspec.json.encode(event) + b"\n"
        try:
            full = self._append(line)
            if full:
                self._rotate()
        except OSError as error:
            sys.stderr.write(f"event {event.action} of {event.actor.id[:12]} is lost: write {self.path}: "
                             f"{(error.strerror or str(error)).lower()}\n")

    def _append(self, line: bytes) -> bool:
        """Whether the file is full then."""
        with self._locked(fcntl.LOCK_SH) as fd:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # half a line, which must not spoil this one
                line = b"\n" + line
            if os.write(fd, line) < len(line):  # the disk is full now
                raise OSError(errno.ENOSPC, "only a part of it has room")
            return size + len(line) >= self._limit

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        """The file that has the name now, with a lock on it."""
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, how)
                if os.fstat(fd).st_ino == inode(self.path):
                    yield fd
                    return
            finally:
                os.close(fd)

    def _rotate(self) -> None:
        """Let the file become an older one; the oldest goes. If somebody writes just now, the next writer does it."""
        with contextlib.suppress(BlockingIOError), self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as fd:
            if os.fstat(fd).st_size < self._limit:
                return  # somebody was faster
            for number in range(self._kept, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(older(self.path, number - 1), older(self.path, number))


def older(path: Path, number: int) -> Path:
    """The name of the file that was full `number` rotations ago; 0 is the one that is written to."""
    return path.with_name(f"{path.name}.{number}") if number else path


def inode(path: Path) -> int:
    """0 if there is no such file."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0
