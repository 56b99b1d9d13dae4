"""Layers that are more than one stream: eStargz, zstd:chunked, and what stands between and behind their parts."""

import gzip
import io
import struct
import zlib

import pytest
import zstandard

from pydocker.layers.compression import decompress
from pydocker.layers.limits import ArchiveError

PARTS = [b"first" * 1000, b"", b"second" * 50_000]
# An empty member whose extra field `SG` says where the table of contents is (stargz-snapshotter, docs/estargz.md)
FOOTER = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", 26) + b"SG" + struct.pack("<H", 22) \
    + b"0000000000001234STARGZ" + b"\x01\x00\x00\xff\xff" + bytes(8)


def content(data: bytes, size: int = 1 << 18) -> bytes:
    stream = io.BytesIO(data)
    return b"".join(decompress(lambda wanted: stream.read(min(wanted, size))))


def skippable(data: bytes, number: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + number, len(data)) + data


def named(data: bytes) -> bytes:
    """A gzip member with everything that its header may have: extra field, name, comment, checksum."""
    header = b"\x1f\x8b\x08\x1e" + bytes(6) + struct.pack("<H", 5) + b"XX\x01\x00x" + b"name\0comment\0"
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    checks = struct.pack("<H", zlib.crc32(header) & 0xFFFF), struct.pack("<II", zlib.crc32(data), len(data))
    return header + checks[0] + packed + checks[1]


@pytest.mark.parametrize("size", [13, 1000, 1 << 18])
@pytest.mark.parametrize("data", [
    b"".join(map(gzip.compress, PARTS)) + gzip.compress(b"") + FOOTER,
    b"".join(map(named, PARTS)),
    skippable(b"") + b"".join(map(zstandard.compress, PARTS)) + skippable(b"manifest" * 100) + skippable(b"footer", 15),
    b"".join(zstandard.compress(part) + skippable(b"x") for part in PARTS),
], ids=["eStargz", "gzip headers", "zstd:chunked", "frames and others in turns"])
def test_all_parts_are_one_stream(data: bytes, size: int) -> None:
    assert content(data, size) == b"".join(PARTS)


@pytest.mark.parametrize("data", [
    gzip.compress(b"a", mtime=0) + b"junk", zstandard.compress(b"a") + b"junk", skippable(b"x" * 100)[:9],
    zstandard.compress(b"a") + skippable(b"abc")[:-1], gzip.compress(b"a", mtime=0) + FOOTER[:-1],
], ids=["gzip and junk", "zstd and junk", "cut frame to skip", "another", "cut footer"])
def test_junk_and_cut_parts_are_damage(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="damaged"):
        content(data)
