"""A tar archive as a stream of entries: one pass, bounded memory, nothing skipped that changes the meaning.

    archive  = { entry }, two blocks of zeros
    entry    = { extension }, header (512 bytes), content, padding to 512       POSIX ustar: tar(5), pax(1)
    extension: PAX `x` (records for the next entry)   `g` (for all that follow: ignored, as Go's reader does)
               GNU `L` and `K` (the next entry's long name and link), the map of a `sparse` file

Docker makes and reads layers with Go's archive/tar; where readers differ, this one decides as Go does, because a file
that one reader sees and the other does not is an attack. Names are bytes: a file system has no encoding.

Python's own `tarfile` is not used: it takes 28 µs more for an entry, loses xattrs, and its extraction has a history
(CVE-2007-4559 to CVE-2025-4517).
"""

import os
import struct
from collections.abc import Iterator

import msgspec

from pydocker.layers import pax, sparse
from pydocker.layers.limits import LARGEST_EXTENSION, LARGEST_ID, LATEST, LONGEST_PATH, ArchiveError
from pydocker.layers.numbers import number
from pydocker.layers.sparse import Sparse

BLOCK = 512

REGULAR, HARD_LINK, SYMLINK, CHARACTER, DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_SAME = {b"\0": REGULAR, b"7": REGULAR}  # before POSIX; "contiguous", which no system has
_KINDS = frozenset((REGULAR, HARD_LINK, SYMLINK, CHARACTER, DEVICE, DIRECTORY, FIFO))
_GLOBAL, _PAX, _GNU_NAME, _GNU_LINK = b"g", b"x", b"L", b"K"
_SPARSE = b"S"  # GNU's: a regular file with holes
_UNSUPPORTED = {b"V": "a volume label", b"M": "a multi-volume part", b"D": "a GNU dump"}

#                        name mode uid gid size mtime sum type link magic user group major minor prefix
_HEADER = struct.Struct("100s 8s   8s  8s  12s  12s   8s  c    100s 8s    32s  32s   8s    8s    155s  12x")
_USTAR = b"ustar\x0000"
_GNU = b"ustar  \0"
_MOST_MAJOR, _MOST_MINOR = 0xFFF, 0xFFFFF  # the kernel's dev_t: 12 and 20 bits
_ZEROS = bytes(BLOCK)
_CUT = "unexpected end of archive"


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry. `path` and `link` are as written; `mtime` is in nanoseconds since the epoch; `xattrs` by name.

    `size` bytes of content follow it; in a `sparse` file they are the parts between the holes.
    """

    path: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = {}
    sparse: Sparse | None = None

    @property
    def length(self) -> int:
        """Bytes of the file that is made of it, its holes included."""
        return self.sparse.size if self.sparse else self.size


class Reader:
    """Iterate for the entries; between two of them, `content()` gives the current one's bytes (or skips them)."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._view = memoryview(b"")
        self._left = 0  # bytes of content that are still to come
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in order. Raises ArchiveError for whatever is not a tar archive, or a cut one."""
        extension: dict[bytes, bytes] = {}
        while True:
            self._skip()
            block = self._take(BLOCK)
            if block == _ZEROS or not block:
                self._end(block)
                return
            header = _HEADER.unpack(block)
            _verify(block, header[6])
            kind = header[7]
            if kind in (_PAX, _GLOBAL, _GNU_NAME, _GNU_LINK):
                self._extend(extension, kind, number(header[4]))
                continue
            entry = _entry(header, extension)
            self._left, self._padding = entry.size, -entry.size % BLOCK
            if kind == _SPARSE or (extension and entry.kind == REGULAR):
                entry = self._sparse(entry, block if kind == _SPARSE else b"", extension)
            extension = {}
            yield entry

    def content(self) -> Iterator[memoryview]:
        """The bytes of the current entry, in pieces. They are valid until the next piece is asked for."""
        while self._left:
            view = self._view or self._refill()
            if len(view) > self._left:
                piece, self._view = view[:self._left], view[self._left:]
            else:
                piece, self._view = view, view[:0]
            self._left -= len(piece)
            yield piece

    def write(self, fd: int, entry: Entry) -> None:
        """Write the current entry's content to a new, empty file."""
        if entry.sparse is not None:
            sparse.write(fd, entry.sparse, self.content())
            return
        for piece in self.content():
            while piece:
                piece = piece[os.write(fd, piece):]

    def _refill(self) -> memoryview:
        piece = next(self._pieces, None)
        if piece is None:
            raise ArchiveError(_CUT)
        return memoryview(piece)

    def _skip(self) -> None:
        """Pass over what is left of the current entry.

        The padding of the last one may be missing, and the blocks of zeros too: `umoci insert` does not close its
        writer, and Go's reader takes that for the end.
        """
        left, padding = self._left + self._padding, self._padding
        self._left = self._padding = 0
        while left > len(self._view):
            left -= len(self._view)
            piece = next(self._pieces, None)
            if piece is None and left > padding:
                raise ArchiveError(_CUT)
            self._view = memoryview(piece or b"")
            if piece is None:
                return
        self._view = self._view[left:]

    def _take(self, size: int) -> bytes:
        """Exactly `size` bytes; none at all at the end of the stream."""
        if len(self._view) >= size:
            taken = bytes(self._view[:size])
            self._view = self._view[size:]
            return taken
        parts = bytearray(self._view)
        self._view = self._view[:0]
        while len(parts) < size:
            piece = next(self._pieces, None)
            if piece is None:
                if parts:
                    raise ArchiveError(_CUT)
                return b""
            wanted = size - len(parts)
            parts += piece[:wanted]
            self._view = memoryview(piece)[wanted:]
        return bytes(parts)

    def _extend(self, extension: dict[bytes, bytes], kind: bytes, size: int) -> None:
        if size > LARGEST_EXTENSION:
            raise ArchiveError(f"extended header of {size} bytes: at most {LARGEST_EXTENSION} are accepted")
        content = self._take(size)
        if len(content) != size:
            raise ArchiveError(_CUT)
        self._padding = -size % BLOCK
        if kind == _PAX:
            extension.update(pax.records(content))
        elif kind != _GLOBAL:
            extension[b"path" if kind == _GNU_NAME else b"linkpath"] = content.partition(b"\0")[0]

    def _sparse(self, entry: Entry, block: bytes, extension: dict[bytes, bytes]) -> Entry:
        """The entry with the map of its holes, if it has some. `block` is the header of GNU's own kind."""
        found = sparse.old_gnu(block, self._map_block) if block else sparse.from_pax(extension, self._map_lines)
        if found is None:
            return entry
        if sum(length for _, length in found.parts) != self._left:
            raise ArchiveError(f"{entry.path!r}: its sparse map and its size contradict each other")
        return msgspec.structs.replace(entry, sparse=found, size=self._left, path=sparse.name(extension) or entry.path)

    def _map_block(self) -> bytes:
        block = self._take(BLOCK)
        if len(block) != BLOCK:
            raise ArchiveError(_CUT)
        return block

    def _map_lines(self) -> bytes:
        """A block of the content, which begins with its map."""
        if self._left < BLOCK:
            raise ArchiveError("invalid sparse map: it is longer than the content")
        self._left -= BLOCK
        return self._map_block()

    def _end(self, block: bytes) -> None:
        """Behind the end there may be anything (padding, as a rule); the stream is read out for its digest's sake."""
        if block and self._take(BLOCK) not in (_ZEROS, b""):
            raise ArchiveError("invalid tar header: a single block of zeros")
        self._view = self._view[:0]
        for _ in self._pieces:
            pass


def is_header(block: bytes) -> bool:
    """Whether an archive may begin with `block`: a header with the right checksum, or the zeros of an empty archive."""
    if len(block) != BLOCK or block == _ZEROS:
        return len(block) == BLOCK
    try:
        _verify(block, _HEADER.unpack(block)[6])
    except ArchiveError:
        return False
    return True


def _verify(block: bytes, stored: bytes) -> None:
    """The checksum is the sum of all bytes, its own field taken as spaces; some old writers summed signed bytes."""
    unsigned = sum(block) - sum(stored) + 8 * 0x20
    expected = number(stored)
    if expected != unsigned and expected != unsigned - 256 * sum(byte > 127 for byte in block):
        raise ArchiveError("invalid tar header: wrong checksum")


def _entry(header: tuple[bytes, ...], extension: dict[bytes, bytes]) -> Entry:
    name, mode, uid, gid, size, mtime, _, kind, link, magic, _, _, major, minor, prefix = header
    path = name.partition(b"\0")[0]
    if magic == _USTAR and prefix[0]:
        path = prefix.partition(b"\0")[0] + b"/" + path
    if kind == b"\0" and path.endswith(b"/"):
        kind = DIRECTORY
    if kind == _SPARSE and magic == _GNU:
        kind = REGULAR
    kind = _SAME.get(kind, kind)
    entry = Entry(
        path, kind, number(mode) & 0o7777, number(uid), number(gid), number(size), number(mtime) * 1_000_000_000,
        link.partition(b"\0")[0],
        number(major) if kind in (CHARACTER, DEVICE) else 0, number(minor) if kind in (CHARACTER, DEVICE) else 0)
    if extension:
        entry = pax.applied(entry, extension)
    if kind not in _KINDS:
        raise ArchiveError(f"{entry.path!r}: {_UNSUPPORTED.get(kind, f'entry type {kind!r}')} is not supported")
    _check(entry)
    # only regular files have content, whatever their header's size says (Go: isHeaderOnlyType)
    return entry if kind == REGULAR or not entry.size else msgspec.structs.replace(entry, size=0)


def _check(entry: Entry) -> None:
    """Refuse what no file system could hold, before anything is made."""
    if entry.size < 0:
        raise ArchiveError(f"{entry.path!r}: negative size")
    if not (0 <= entry.uid <= LARGEST_ID and 0 <= entry.gid <= LARGEST_ID):
        raise ArchiveError(f"{entry.path!r}: owner {entry.uid}:{entry.gid} is out of range")
    if abs(entry.mtime) > LATEST * 1_000_000_000:
        raise ArchiveError(f"{entry.path!r}: time {entry.mtime} ns is out of range")
    if not (0 <= entry.major <= _MOST_MAJOR and 0 <= entry.minor <= _MOST_MINOR):
        raise ArchiveError(f"{entry.path!r}: device {entry.major}:{entry.minor} is out of range")
    if len(entry.path) > LONGEST_PATH or len(entry.link) > LONGEST_PATH:
        raise ArchiveError(f"{entry.path[:64]!r}…: path is longer than {LONGEST_PATH} bytes")
