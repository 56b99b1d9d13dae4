"""Sparse files: content with holes, of which an archive holds only the parts that are written (GNU tar manual, D.2).

    old GNU    type `S`; the map is in the header (4 parts) and in blocks of 21 more behind it
    PAX 0.0    records GNU.sparse.offset and GNU.sparse.numbytes, in turns (`pax` makes them a map)
    PAX 0.1    record GNU.sparse.map: offset,length,offset,length,…
    PAX 1.0    the map stands before the content: decimal numbers, a line each, the first one says how many parts

A hole takes nothing on disk here either. All of it is decided as Go's reader decides, except that an unknown version is
refused: taken for a plain file it would have wrong content. What is written is PAX 1.0, as by GNU tar.
"""

import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping

import msgspec

from pydocker.layers.limits import LARGEST_MAP, ArchiveError
from pydocker.layers.numbers import decimal, number

_KEY = b"GNU.sparse."
_MAP, _SIZE, _REAL_SIZE, _NAME = _KEY + b"map", _KEY + b"size", _KEY + b"realsize", _KEY + b"name"
_VERSIONS = {(b"0", b"0"), (b"0", b"1"), (b"1", b"0")}
_PART = struct.Struct("12s 12s")
_OLD = struct.Struct("386x 96s c 12s 17x")  # four parts, "is there more", the real size
_OLD_MORE = struct.Struct("504s c 7x")

_LARGEST = (1 << 63) - 1  # off_t
_MOST_PARTS = 20_000  # to be written: Go's reader takes a map of 1 MiB

Parts = tuple[tuple[int, int], ...]


class Sparse(msgspec.Struct, frozen=True, gc=False):
    """`size` is the whole file's; `parts` are (offset, length), in order and apart."""

    size: int
    parts: Parts


def old_gnu(block: bytes, more: Callable[[], bytes]) -> Sparse:
    """The map of an entry with the type `S`; `more()` gives the blocks behind its header."""
    fields, is_more, size = _OLD.unpack(block)
    parts = _fields(fields)
    taken = len(block)
    while is_more != b"\0":
        taken += len(block)
        if taken > LARGEST_MAP:
            raise ArchiveError(f"sparse map of more than {LARGEST_MAP} bytes")
        fields, is_more = _OLD_MORE.unpack(more())
        parts += _fields(fields)
    return _checked(number(size), parts)


def _fields(fields: bytes) -> list[int]:
    """Up to the first that is empty."""
    found: list[int] = []
    for offset, length in _PART.iter_unpack(fields):
        if not offset[0]:
            break
        found += [number(offset), number(length)]
    return found


def name(extension: Mapping[bytes, bytes]) -> bytes | None:
    """A sparse file's real path: the header's is made up, for readers that know nothing of sparse files."""
    return extension.get(_NAME) or None


def from_pax(extension: Mapping[bytes, bytes], lines: Callable[[], bytes]) -> Sparse | None:
    """The map that PAX records speak of; `lines()` gives the next 512 bytes of content. None: it is no sparse file."""
    version = extension.get(_KEY + b"major", b""), extension.get(_KEY + b"minor", b"")
    if version == (b"", b"") and not extension.get(_MAP):
        return None
    if version != (b"", b"") and version not in _VERSIONS:
        raise ArchiveError(f"a sparse file of the unknown version {version[0].decode(errors='replace')[:9]}."
                           f"{version[1].decode(errors='replace')[:9]}")
    size = extension.get(_SIZE) or extension.get(_REAL_SIZE)
    if not size:
        raise ArchiveError("invalid PAX header: a sparse file without its size")
    numbers = _from_content(lines) if version == (b"1", b"0") else _split(extension.get(_MAP, b""))
    return _checked(decimal(size), numbers)


def _split(text: bytes) -> list[int]:
    return [decimal(item) for item in text.split(b",")] if text else []


def _from_content(lines: Callable[[], bytes]) -> list[int]:
    """The number of parts, then two lines for each; padded to a whole block."""
    text = bytearray()
    ends = wanted = 0
    while not wanted or ends < wanted:
        if len(text) > LARGEST_MAP:
            raise ArchiveError(f"sparse map of more than {LARGEST_MAP} bytes")
        text += (block := lines())
        ends += block.count(b"\n")
        if ends and not wanted:
            wanted = 1 + 2 * decimal(bytes(text.partition(b"\n")[0]))
    return [decimal(item) for item in bytes(text).split(b"\n", wanted)[1:wanted]]


def _checked(size: int, numbers: list[int]) -> Sparse:
    """Parts in order, apart, and inside of the file."""
    if len(numbers) % 2:
        raise ArchiveError("invalid sparse map: an offset without its length")
    if not 0 <= size <= _LARGEST:
        raise ArchiveError(f"invalid sparse map: a file of {size} bytes")
    parts = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in parts:
        if offset < end or length < 0 or offset + length > size:
            raise ArchiveError(f"invalid sparse map: {length} bytes at {offset} in a file of {size}")
        end = offset + length
    return Sparse(size, tuple((offset, length) for offset, length in parts if length))


def write(fd: int, sparse: Sparse, content: Iterator[memoryview]) -> None:
    """Write the parts to their places in a new, empty file, and give it its size."""
    piece = memoryview(b"")
    for offset, left in sparse.parts:
        while left:
            piece = piece or next(content)
            done = os.pwrite(fd, piece[:left], offset)
            piece, offset, left = piece[done:], offset + done, left - done
    os.ftruncate(fd, sparse.size)


def holes(fd: int, there: os.stat_result) -> Sparse | None:
    """Where an open file has content (lseek(2): SEEK_DATA, SEEK_HOLE); None: everywhere, as far as anybody knows.

    Of more parts than a map may have, those go together between which the holes are smallest.
    """
    if there.st_blocks * 512 >= there.st_size:
        return None
    parts: list[tuple[int, int]] = []
    smallest = 4096
    for part in _data(fd, there.st_size):
        parts.append(part)
        while len(parts) > _MOST_PARTS:
            smallest *= 2
            parts = _joined(parts, smallest)
    if parts == [(0, there.st_size)]:
        return None
    return Sparse(there.st_size, tuple(parts))


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts, in whole blocks, as GNU tar wants them: it pads each."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
            if begin >= size:
                return
            end = os.lseek(fd, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        begin, end = begin - begin % 512, min(end + -end % 512, size)
        yield begin, end - begin


def _joined(parts: list[tuple[int, int]], smallest: int) -> list[tuple[int, int]]:
    """Without the holes of fewer bytes than that."""
    found = parts[:1]
    for offset, length in parts[1:]:
        first, before = found[-1]
        if offset - (first + before) < smallest:
            found[-1] = first, offset + length - first
        else:
            found.append((offset, length))
    return found


def records(path: bytes, sparse: Sparse) -> dict[bytes, bytes]:
    """The PAX records of version 1.0."""
    return {_KEY + b"major": b"1", _KEY + b"minor": b"0", _NAME: path, _REAL_SIZE: b"%d" % sparse.size}


def placeholder(path: bytes) -> bytes:
    """The name under which readers that know nothing of sparse files unpack the parts, as GNU tar's."""
    above, slash, last = path.rpartition(b"/")
    return above + slash + b"GNUSparseFile.0/" + last


def lines(sparse: Sparse) -> bytes:
    """The map that stands before the parts. It ends with an empty part, or GNU tar would forget a hole at the end."""
    parts = (*sparse.parts, (sparse.size, 0))
    text = b"%d\n" % len(parts) + b"".join(b"%d\n%d\n" % part for part in parts)
    return text + bytes(-len(text) % 512)
