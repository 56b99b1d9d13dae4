"""The log driver `local`, in Docker's own format (moby, daemon/logger/local): bytes stay what they were.

    record:  length (4 bytes, big endian), message, the same length again
    message: protobuf (api/types/plugins/logdriver/entry.proto): 1 source, 2 time in nanoseconds, 3 line, 4 partial

A line's newline is not kept; a piece of one that has none is `partial`. A record that a full disk, or the death of its
writer, has cut off is taken back: nobody but Docker and we read this, and who reads takes whole records only.
"""

import contextlib
import functools
import os
import struct
import time
from collections.abc import Iterator

from pydocker.monitor.logfile import LogFile
from pydocker.monitor.loglines import Cutter
from pydocker.monitor.logwriter import STREAMS, FileWriter, timestamp

_LENGTH = struct.Struct(">L")
_BLOCK = 1 << 20
_PARTIAL = b"\x20\x01"  # field 4, varint 1
_TIME, _LINE = b"\x10", b"\x1a"  # field 2, varint; field 3, bytes
_LARGEST = 1 << 20  # bytes of a message, as in Docker


class FrameFile(LogFile):
    """A log file of such records."""

    def _begin(self) -> None:
        whole = 0
        while end := end_of_records(os.pread(self._fd, _BLOCK, whole)):
            whole += end
        if whole < self._size:
            self._take_back(whole)

    def _take_back(self, whole: int) -> None:
        os.ftruncate(self._fd, whole)
        self._size = whole

    def _whole(self) -> bool:
        return True

    def _end(self, content: bytes, start: int, at: int) -> int:
        while start <= at:
            start += _LENGTH.unpack_from(content, start)[0] + 2 * _LENGTH.size
        return start

    def _cut_off(self, piece: bytes, done: int) -> None:
        self._take_back(self._size - done + end_of_records(piece[:done]))


class LocalWriter(FileWriter):
    """Docker's `local`."""

    def __init__(self, path: str, max_size: int, files: int, *, compress: bool = True) -> None:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        super().__init__(FrameFile(path, max_size, files, compress=compress))
        self._cutter = Cutter()

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        self._file.append(records(self._cutter.cut(stream, data, last=last), stream, time.time_ns()))


def records(lines: list[bytes], stream: int, nanoseconds: int) -> bytes:
    """All of them, of one moment."""
    source = STREAMS[stream].encode()
    head = b"\x0a" + bytes([len(source)]) + source + _TIME + _varint(nanoseconds) + _LINE
    return b"".join([_record(head, line) for line in lines])


def _record(head: bytes, line: bytes) -> bytes:
    whole = line.endswith(b"\n")
    text = line[:-1] if whole else line
    message = head + _varint(len(text)) + text + (b"" if whole else _PARTIAL)
    length = _LENGTH.pack(len(message))
    return length + message + length


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that there are more."""
    if number < 0x80:
        return bytes([number])
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def end_of_records(data: bytes) -> int:
    """How much of `data` is whole records, from its beginning on."""
    at = 0
    while at + _LENGTH.size <= len(data):
        end = at + _LENGTH.unpack_from(data, at)[0] + 2 * _LENGTH.size
        if end > len(data) or end - at > _LARGEST:
            break
        at = end
    return at


def decoded(data: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Source, time (as a log's timestamp), and line of each of these whole records; a damaged one is passed over."""
    at = 0
    while at < len(data):
        length = _LENGTH.unpack_from(data, at)[0]
        found = None
        with contextlib.suppress(ValueError, IndexError, OverflowError):
            found = _message(data[at + _LENGTH.size:at + _LENGTH.size + length])
        if found is not None:
            yield found
        at += length + 2 * _LENGTH.size


def _message(message: bytes) -> tuple[str, str, bytes]:
    """Raises ValueError, IndexError, OverflowError: it is none."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        value, at = _number(message, at)
        if key & 7 == 2:  # what follows is that many bytes
            if at + value > len(message):
                raise ValueError("a field is longer than the message")
            fields[key >> 3], at = message[at:at + value], at + value
        else:
            fields[key >> 3] = value
    source, nanoseconds, line = fields.get(1, b""), fields.get(2, 0), fields.get(3, b"")
    if not (isinstance(source, bytes) and isinstance(line, bytes) and isinstance(nanoseconds, int)):
        raise ValueError("a field is of another type")
    return source.decode(), _stamp(nanoseconds), line if _goes_on(fields) else line + b"\n"


_stamp = functools.lru_cache(4)(timestamp)  # the lines of one chunk are of one moment


def _goes_on(fields: dict[int, int | bytes]) -> bool:
    """Whether the line is not at its end: partial, and not (field 1 of field 5, in what Docker writes) the last."""
    more = fields.get(5, b"")
    return bool(fields.get(4)) and not (isinstance(more, bytes) and more.startswith(b"\x08\x01"))


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
