"""A tar archive written: the other half of `tar`, and the same bytes for the same files, always.

    archive = { entry }, two blocks of zeros
    entry   = [ PAX header ], ustar header (512 bytes), [ map of the holes ], content, padding to 512

A PAX header (pax(1)) comes only where the ustar fields cannot say it: a path or a link of more than 100 bytes, numbers
beyond the octal fields, a time that is not a whole second since 1970, extended attributes, a file with holes. Its
records are sorted, its own name is made of the entry's, its time is 0. Names of users and groups are never written:
they would be this machine's. Go's reader, GNU tar, libarchive and Python's tarfile read all of it.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pydocker.layers import sparse
from pydocker.layers.tar import BLOCK, Entry

END = bytes(2 * BLOCK)
_PIECE = 1 << 16  # small entries are handed on together

#                        name mode uid gid size mtime sum type link magic user group major minor prefix
_HEADER = struct.Struct("100s 8s   8s  8s  12s  12s   8s  c    100s 8s    32s  32s   8s    8s    155s  12x")
_LONGEST_NAME = 100
_LARGEST_ID = 0o7777777
_LARGEST_SIZE = 0o77777777777
_SECOND = 10**9


class Packed(NamedTuple):
    """An entry, and its content: exactly `entry.size` bytes in pieces of any size."""

    entry: Entry
    content: Iterable[bytes] = ()


def stream(entries: Iterable[Packed]) -> Iterator[bytes]:
    """The archive's bytes, in pieces."""
    waiting = bytearray()
    for entry, content in entries:
        waiting += header(entry)
        for piece in content:
            if len(piece) >= _PIECE:
                if waiting:
                    yield bytes(waiting)
                    waiting.clear()
                yield piece
            else:
                waiting += piece
        waiting += bytes(-entry.size % BLOCK)
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting + END)


def header(entry: Entry) -> bytes:
    """All that comes before an entry's content."""
    path, lines = entry.path, b""
    if entry.sparse is not None:
        path, lines = sparse.placeholder(path), sparse.lines(entry.sparse)
        entry = replace(entry, size=len(lines) + entry.size)
    records = _records(entry)
    return (_extension(entry.path, records) if records else b"") + _ustar(
        path, entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime // _SECOND, entry.link,
        entry.major, entry.minor) + lines


def _records(entry: Entry) -> Mapping[bytes, bytes]:
    found = {b"SCHILY.xattr." + name: value for name, value in entry.xattrs.items()}
    seconds, rest = divmod(entry.mtime, _SECOND)
    if rest or not 0 <= seconds <= _LARGEST_SIZE:
        found[b"mtime"] = _time(entry.mtime)
    for key, number, largest in ((b"uid", entry.uid, _LARGEST_ID), (b"gid", entry.gid, _LARGEST_ID),
                                 (b"size", entry.size, _LARGEST_SIZE)):
        if number > largest:
            found[key] = b"%d" % number
    for key, text in ((b"path", entry.path), (b"linkpath", entry.link)):
        if len(text) > _LONGEST_NAME:
            found[key] = text
    if entry.sparse is not None:  # its path stands in records of its own, and Python's tarfile takes the last one
        found |= sparse.records(entry.path, entry.sparse)
        found.pop(b"path", None)
    return found


def _time(nanoseconds: int) -> bytes:
    """A decimal number of seconds, as short as it is exact."""
    sign, (seconds, rest) = b"-" if nanoseconds < 0 else b"", divmod(abs(nanoseconds), _SECOND)
    return sign + (b"%d.%09d" % (seconds, rest)).rstrip(b"0").rstrip(b".")


def _extension(path: bytes, records: Mapping[bytes, bytes]) -> bytes:
    content = b"".join(_record(key, records[key]) for key in sorted(records))
    name = b"PaxHeaders.0/" + path.rstrip(b"/").rpartition(b"/")[2][:_LONGEST_NAME - 13]
    return _ustar(name, b"x", 0, 0, 0, len(content), 0, b"", 0, 0) + content + bytes(-len(content) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(path: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, link: bytes, major: int,
           minor: int) -> bytes:
    """A number that does not fit stands in the PAX header, and is 0 here."""
    def packed(checksum: bytes) -> bytes:
        return _HEADER.pack(
            path[:_LONGEST_NAME], b"%07o" % mode, _octal(uid, 7), _octal(gid, 7), _octal(size, 11), _octal(mtime, 11),
            checksum, kind, link[:_LONGEST_NAME], b"ustar\x0000", b"", b"", b"%07o" % major, b"%07o" % minor, b"")

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))


def _octal(number: int, digits: int) -> bytes:
    return b"%0*o" % (digits, number if 0 <= number < 8**digits else 0)
