"""Docker's stream framing: one connection carries stdout and stderr, each piece behind an eight-byte header.

    byte 0      1 2 3    4 5 6 7                      (Engine API, `POST /containers/{id}/attach`, "Stream format")
    stream      zero     length, big endian           then `length` bytes of that stream

A container with a terminal has one stream only; its connection carries the bytes as they are, without frames.
This module imports nothing heavy: the monitor, which lives as long as its container, uses it too.
"""

import struct
from collections.abc import Iterator

STDIN, STDOUT, STDERR, SYSTEM = 0, 1, 2, 3
HEADER = struct.Struct(">BxxxL")

# A length field can claim 4 GiB. Docker's writers send 16 to 64 KiB pieces; a reader needs some bound, since it
# would otherwise hold whatever a confused peer announces.
LONGEST = 16 * 1024 * 1024


class FrameError(ValueError):
    """The peer does not speak this framing."""


def frame(stream: int, payload: bytes) -> bytes:
    """`payload` (bytes, below 4 GiB) as one frame of `stream`."""
    return HEADER.pack(stream, len(payload)) + payload


class Reader:
    """Takes bytes as they come, gives back what belonged to which stream.

    Payloads are passed on piece by piece: a frame need not be complete for its first bytes to be shown.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The `(stream, bytes)` pieces in `data`. Raises FrameError for an unknown stream or an absurd length."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at:at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield self._stream, piece
            else:
                at = self._read_header(data, at)

    def _read_header(self, data: bytes, at: int) -> int:
        end = at + HEADER.size - len(self._header)
        self._header += data[at:end]
        if len(self._header) == HEADER.size:
            self._stream, self._left = HEADER.unpack(self._header)
            self._header = b""
            if self._stream > SYSTEM or self._left > LONGEST:
                raise FrameError(f"not a stdcopy frame: stream {self._stream}, {self._left} bytes")
        return min(end, len(data))

    @property
    def between(self) -> bool:
        """Whether the last byte fed was the last one of a frame: an end here is a clean one."""
        return not self._left and not self._header
