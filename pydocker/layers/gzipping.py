"""Plain bytes into gzip, on several cores at once: a layer that came plain is kept like that, so a push is a copy.

    one member (RFC 1952):  header, { part }, an empty last block, CRC-32 and length of the whole
    part:                   1 MiB, packed on its own and flushed, so that it ends on a byte's edge (RFC 1951, 3.2.4)

As pigz does it, which Docker calls where it is there. Packing each part as a member of its own would be simpler and is
as legal, but there are readers that stop after the first one. Parts have the same size wherever the pieces were cut, so
the same content is always the same blob. The ratio is that of one stream (2.24 for a Debian with a compiler).
"""

import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from isal import isal_zlib

_PART = 1 << 20  # bytes
_LEVEL = 1  # of igzip: level 0 is no faster and packs worse
_AT_ONCE = min(4, len(os.sched_getaffinity(0)))  # threads: isal releases the interpreter lock
_WAITING = 2 * _AT_ONCE  # parts; this bounds the memory
_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # deflate, no flags, no time, an unknown system
_LAST = b"\x03\x00"  # of fixed Huffman codes, with nothing but the end in it
_TRAILER = struct.Struct("<LL")


def gzipped(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The pieces as one gzip stream. Each may be used again by its owner when the next is asked for."""
    crc = size = 0
    waiting: deque[Future[bytes]] = deque()
    yield _HEADER
    with ThreadPoolExecutor(_AT_ONCE, "gzip") as pool:
        for part in _parts(pieces):
            crc, size = isal_zlib.crc32(part, crc), size + len(part)
            waiting.append(pool.submit(_packed, part))
            while len(waiting) > _WAITING or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    yield _LAST + _TRAILER.pack(crc, size & 0xFFFFFFFF)


def _parts(pieces: Iterable[bytes | memoryview]) -> Iterator[bytearray]:
    part = bytearray()
    for piece in pieces:
        part += piece
        while len(part) >= _PART:
            yield part[:_PART]
            del part[:_PART]
    if part:
        yield part


def _packed(part: bytearray) -> bytes:
    packer = isal_zlib.compressobj(_LEVEL, wbits=-15)
    return packer.compress(part) + packer.flush(isal_zlib.Z_FULL_FLUSH)
