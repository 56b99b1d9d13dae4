"""Frames survive any chunking; what is no frame is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.wire.stdcopy import LONGEST, STDERR, STDOUT, FrameError, Reader, frame


def test_the_frame_of_the_api_document() -> None:
    assert frame(STDERR, b"hello") == b"\x02\0\0\0\0\0\0\x05hello"
    assert frame(STDOUT, b"") == b"\x01\0\0\0\0\0\0\0"


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=50))), st.integers(1, 20))
def test_any_chunking_gives_back_what_was_framed(pieces: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(frame(stream, payload) for stream, payload in pieces)
    reader = Reader()
    got = [piece for at in range(0, len(data), size) for piece in reader.feed(data[at:at + size])]
    assert reader.between
    for stream in (STDOUT, STDERR):
        assert (b"".join(payload for number, payload in got if number == stream)
                == b"".join(payload for number, payload in pieces if number == stream))


def test_an_unfinished_frame_shows_what_it_has_and_is_not_a_clean_end() -> None:
    reader = Reader()
    assert list(reader.feed(frame(STDOUT, b"hello")[:-2])) == [(STDOUT, b"hel")]
    assert not reader.between


@pytest.mark.parametrize("header", [
    b"\x04\0\0\0\0\0\0\x01", b"\x01\0\0\0" + (LONGEST + 1).to_bytes(4, "big"), b"HTTP/1.1",
])
def test_what_is_no_frame_is_refused(header: bytes) -> None:
    with pytest.raises(FrameError, match="not a stdcopy frame"):
        list(Reader().feed(header))


@given(st.binary())
def test_garbage_raises_nothing_else(data: bytes) -> None:
    try:
        list(Reader().feed(data))
    except FrameError:
        return
