"""What the directories of one layer are to become, kept until the end in a file: an archive may have millions of them.

A record for each time that one was named, in the order of the archive: the path below the root, and its entry. In
memory are only the places of the records, 8 bytes each, by the depth of their paths; so they come out again with the
deepest first, and of two for one path the later one comes later, and wins. The file begins in memory, where the
directories of a usual layer have room (100 bytes each); a larger one is on the layer's own disk, and has no name there.

Directories that nobody named are *implied*; they are few as a rule, or all, and what is unpacked is told of them.
"""

import tempfile
from array import array
from collections.abc import Iterator, Mapping
from typing import IO

import msgspec

from pydocker.layers.tar import DIRECTORY, Entry

_IN_MEMORY = 1 << 20  # bytes
_LENGTH = 4  # bytes before each record
_SECOND = 1_000_000_000  # nanoseconds


class _Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry's time in nanoseconds may need more than 64 bits."""

    path: bytes
    mode: int
    uid: int
    gid: int
    time: tuple[int, int]
    xattrs: dict[bytes, bytes]


class Directories:
    """Used like a dictionary that is read once, at the end. `root` is a descriptor of the layer."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._begin()
        self.implied: set[bytes] = {b""}

    def _begin(self) -> None:
        place = f"/proc/self/fd/{self._root}"
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=place)  # noqa: SIM115 - until `close`
        self._places: dict[int, array[int]] = {}
        self._end = 0

    def close(self) -> None:
        self._file.close()

    def add(self, path: bytes, entry: Entry | None) -> None:
        """The directory `path`, which was made because of `entry`; None: on the way to something else."""
        if entry is None:
            self.implied.add(path)
            return
        self.implied.discard(path)
        time = divmod(entry.mtime, _SECOND)
        self._write(_Record(path, entry.mode, entry.uid, entry.gid, time, entry.xattrs))

    def _write(self, record: _Record) -> None:
        content = msgspec.msgpack.encode(record)
        self._file.write(len(content).to_bytes(_LENGTH, "little") + content)
        self._places.setdefault(_depth(record.path), array("Q")).append(self._end)
        self._end += _LENGTH + len(content)

    def forget(self, gone: bytes) -> None:
        """The directory `gone` was removed, with all that was in it."""
        below = gone + b"/"
        self.implied = {path for path in self.implied if path != gone and not path.startswith(below)}
        with self._file as file:
            records = _records(file, self._places)
            self._begin()
            for record in records:
                if record.path != gone and not record.path.startswith(below):
                    self._write(record)

    def named(self) -> Iterator[tuple[bytes, Entry]]:
        """Each as its entry says, the deepest first."""
        for one in _records(self._file, self._places):
            seconds, rest = one.time
            yield one.path, Entry(one.path, DIRECTORY, one.mode, one.uid, one.gid, 0, seconds * _SECOND + rest,
                                  xattrs=one.xattrs)


def _records(file: IO[bytes], places: Mapping[int, "array[int]"]) -> Iterator[_Record]:
    for _, some in sorted(places.items(), reverse=True):
        for place in some:
            file.seek(place)
            content = file.read(int.from_bytes(file.read(_LENGTH), "little"))
            yield msgspec.msgpack.decode(content, type=_Record)


def _depth(path: bytes) -> int:
    return path.count(b"/") + 1 if path else 0
