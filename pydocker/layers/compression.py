"""What a layer is wrapped in, told from its first bytes, and unwrapped in bounded pieces.

The media type of a descriptor is not trusted for this: registries hold gzip under `…tar` and plain tar under `…gzip`,
and Docker too looks at the bytes. Everything happens in this process; no `xz` or `unpigz` is looked up in any PATH
(CVE-2014-9357). Both libraries release the interpreter lock.

    1f 8b           gzip   several members in a row are one stream (RFC 1952), as eStargz has them
    28 b5 2f fd     zstd   several frames in a row are one stream; windows up to 128 MiB (RFC 8878)
    5x 2a 4d 18     zstd   a frame to skip, with which a stream may begin, and in which zstd:chunked has its contents
    fd 37 7a 58 …   xz     for `import` only: no registry sends it
    42 5a 68        bzip2  the same
    anything else   a tar archive as it is

gzip is isal's: on the layers of a Debian with a compiler (193 MB, 500 unpacked, one core of a busy machine) it unpacks
460 MB/s, zlib-ng 340, zlib 185; and it packs 300 MB/s at a ratio of 2.23, zlib-ng 136 at 1.94, zlib 49 at 2.30.
"""

import bz2
import lzma
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Protocol, cast

import zstandard
from isal import igzip_lib

from pydocker.layers.limits import ArchiveError

PIECE = 1 << 18  # bytes of content handed on at once: they stay in the cache between decompressing, hashing, writing
_READ = 1 << 18
_HEADER = 1 << 17  # bytes that hold any sensible member's header: an extra field may have 64 KiB
_WINDOW = 1 << 27
_XZ_MEMORY = 1 << 27
_GZIP_ERROR = cast(type[Exception], igzip_lib.error)  # isal's stub calls the class an instance
_SKIPPABLE = 0x184D2A50
_RLE = 1

Read = Callable[[int], bytes]  # at most n bytes, b"" at the end


class Compression(StrEnum):
    """As the suffix of an OCI media type spells it."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    BZIP2 = "bzip2"


_MAGIC = (
    (b"\x1f\x8b", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"\xfd7zXZ\0", Compression.XZ),
    (b"BZh", Compression.BZIP2),
)


class _Decompressor(Protocol):
    """The interface of bz2.BZ2Decompressor, which lzma and isal have too."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def detect(start: bytes) -> Compression:
    """What the stream that begins with `start` (6 bytes are enough) is compressed with."""
    if len(start) >= 4 and _is_skippable(start):
        return Compression.ZSTD
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), Compression.NONE)


def _is_skippable(magic: bytes) -> bool:
    return _SKIPPABLE <= int.from_bytes(magic[:4], "little") <= _SKIPPABLE + 15


def decompress(read: Read) -> Iterator[bytes]:
    """The content of the stream behind `read`, in pieces of at most 256 KiB.

    Raises ArchiveError if the stream is damaged or ends too early.
    """
    start = _filled(read(_READ), read)
    kind = detect(start)
    try:
        yield from _STREAMS[kind](start, read)
    except (_GZIP_ERROR, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError) as error:
        raise ArchiveError(f"damaged {kind or 'plain'} stream: {str(error).lower()}") from error


def _plain(start: bytes, read: Read) -> Iterator[bytes]:
    while start:
        yield start
        start = read(PIECE)


def _members(make: Callable[[], _Decompressor], start: bytes, read: Read) -> Iterator[bytes]:
    """Decompress members one behind the other until the input ends."""
    data, member = start, make()
    while True:
        if member.needs_input and not data:
            data = read(_READ)
            if not data:
                raise EOFError("unexpected end")
        piece = member.decompress(data, PIECE)
        data = b""
        if piece:
            yield piece
        if member.eof:
            # zero bytes behind the last member are padding (tape blocks; GNU gzip ignores them too)
            data = _filled(_without_padding(member.unused_data, read), read)
            if not data:
                return
            member = make()


def _filled(data: bytes, read: Read) -> bytes:
    """`data` with what follows it, if it is short: a blob may arrive in small pieces, and of a few bytes no compression
    can be told; isal (1.9) takes a member's header amiss that comes in several parts."""
    while data and len(data) < _HEADER and (more := read(_READ)):
        data += more
    return data


def _without_padding(data: bytes, read: Read) -> bytes:
    while not (data := data.lstrip(b"\0")):
        data = read(_READ)
        if not data:
            return b""
    return data


def _gzip(start: bytes, read: Read) -> Iterator[bytes]:
    return _members(lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), start, read)


def _xz(start: bytes, read: Read) -> Iterator[bytes]:
    return _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), start, read)


def _bzip2(start: bytes, read: Read) -> Iterator[bytes]:
    return _members(bz2.BZ2Decompressor, start, read)


class _Exact:
    """Reads exactly as many bytes as asked for; `b""` at a clean end, EOFError in the middle."""

    def __init__(self, start: bytes, read: Read) -> None:
        self._data, self._at, self._read = start, 0, read

    def take(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            more = self._read(_READ)
            if not more:
                if self._at == len(self._data):
                    return b""
                raise EOFError("unexpected end")
            self._data, self._at = self._data[self._at:] + more, 0
        self._at += size
        return self._data[self._at - size:self._at]

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.must(min(size, _READ)))

    def must(self, size: int) -> bytes:
        data = self.take(size) if size else b""
        if len(data) != size:
            raise EOFError("unexpected end")
        return data


def _zstd(start: bytes, read: Read) -> Iterator[bytes]:
    """Frame by frame, and within it block by block: the library's own readers take a cut stream for its end, or put
    out all that one input piece holds, which is 128 KiB for every four bytes at worst (RFC 8878, 3.1.1.2)."""
    source = _Exact(start, read)
    while magic := source.take(4):
        if _is_skippable(magic):
            source.skip(int.from_bytes(source.must(4), "little"))
        else:
            yield from _zstd_frame(magic, source)


def _zstd_frame(magic: bytes, source: _Exact) -> Iterator[bytes]:
    descriptor = source.must(1)
    header = magic + descriptor + source.must(_zstd_header_size(descriptor[0]))
    frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    frame.decompress(header)
    last = 0
    while not last:
        block = source.must(3)
        fields = int.from_bytes(block, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        piece = frame.decompress(block + source.must(1 if kind == _RLE else size))
        if piece:
            yield piece
    if descriptor[0] & 4:
        frame.decompress(source.must(4))
    if not frame.eof:
        raise zstandard.ZstdError("frame does not end with its last block")


def _zstd_header_size(descriptor: int) -> int:
    """Bytes of the frame header behind its descriptor byte (RFC 8878, 3.1.1.1)."""
    single = descriptor >> 5 & 1
    window = 1 - single
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (single, 2, 4, 8)[descriptor >> 6]
    return window + dictionary + content


_STREAMS: dict[Compression, Callable[[bytes, Read], Iterator[bytes]]] = {
    Compression.NONE: _plain,
    Compression.GZIP: _gzip,
    Compression.ZSTD: _zstd,
    Compression.XZ: _xz,
    Compression.BZIP2: _bzip2,
}
