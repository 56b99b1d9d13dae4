"""What is kept of a plain layer: one gzip stream that every reader takes, the same one for the same content."""

import gzip
import random
import zlib
from collections.abc import Iterator

import pytest

from pydocker.layers.gzipping import gzipped

CONTENT = random.Random(1).randbytes(3_000_000) + b"easy" * 1_000_000  # some parts, the last one not full


def cut(content: bytes, size: int) -> Iterator[bytes]:
    yield from (content[at:at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("content", [CONTENT, CONTENT[:1 << 20], b"x", b""], ids=["parts", "one", "a byte", "none"])
def test_it_is_one_member_with_nothing_behind_it(content: bytes) -> None:
    packed = b"".join(gzipped(cut(content, 10_000)))
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(packed) == content
    assert reader.eof and not reader.unused_data
    assert gzip.decompress(packed) == content  # that one checks the trailer's length, too


def test_the_same_content_is_the_same_blob_however_it_was_cut() -> None:
    assert len({b"".join(gzipped(cut(CONTENT, size))) for size in (65_536, 3_000_000, len(CONTENT))}) == 1


def test_a_piece_may_be_used_again_after_it_was_taken() -> None:
    buffer = bytearray(100_000)

    def pieces() -> Iterator[memoryview]:
        for number in range(30):
            buffer[:] = bytes([number]) * len(buffer)
            yield memoryview(buffer)

    assert gzip.decompress(b"".join(gzipped(pieces()))) == b"".join(bytes([n]) * 100_000 for n in range(30))


def test_what_the_pieces_raise_comes_out() -> None:
    def pieces() -> Iterator[bytes]:
        yield CONTENT
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        list(gzipped(pieces()))
