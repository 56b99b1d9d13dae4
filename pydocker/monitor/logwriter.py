"""A container's log in Docker's json-file format, bounded by rotation: <id>-json.log, .1 (older), .2 (older still).

    {"log":"hello\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}

A line without its newline is held back until the newline comes, or 16 KiB are there, or the stream ends: Docker's
partial lines. JSON has no bytes: what is not UTF-8 becomes U+FFFD, as in Docker's logs.

Lines are not encoded one by one (300,000 of them would take seconds): a whole chunk is encoded as one JSON string with
a noncharacter behind every newline, and the noncharacters are then replaced by what stands between two lines.
"""

import codecs
import os
import time

import msgspec

PARTIAL = 16 * 1024  # characters of one line in one entry
_SEPARATOR = "\uffff"
_ENCODED = _SEPARATOR.encode()
_STREAMS = {1: "stdout", 2: "stderr"}


def timestamp(nanoseconds: int) -> str:
    """RFC 3339, UTC, always nine digits: so that comparing texts compares times."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def entries(text: str, stream: int, stamp: str) -> bytes:
    """The log lines for `text`, which is cut behind every newline."""
    text = text.replace(_SEPARATOR, "\ufffd").replace("\n", "\n" + _SEPARATOR)
    head = b'{"log":"'
    tail = b'","stream":"%s","time":"%s"}\n' % (_STREAMS[stream].encode(), stamp.encode())
    content = msgspec.json.encode(text.removesuffix(_SEPARATOR))[1:-1]
    return head + content.replace(_ENCODED, tail + head) + tail


class LogWriter:
    """Appends to one log. `max_size` in bytes: the file that has reached it is rotated before the next write."""

    def __init__(self, path: str, max_size: int, files: int) -> None:
        self._path = path
        self._max_size = max_size
        self._files = files
        self._fd, self._size = self._open()
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in _STREAMS}
        self._partial = dict.fromkeys(_STREAMS, "")

    def _open(self) -> tuple[int, int]:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return fd, os.fstat(fd).st_size

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """Take a chunk of a stream; with `last`, the stream ends here."""
        text = self._partial[stream] + self._decoders[stream].decode(data, last)
        whole = len(text) if last else text.rfind("\n") + 1
        self._partial[stream] = text[whole:]
        stamp = timestamp(time.time_ns())
        if whole:
            self._append(b"".join(entries(piece, stream, stamp) for piece in _bounded(text[:whole])))
        while len(self._partial[stream]) >= PARTIAL:
            self._append(entries(self._partial[stream][:PARTIAL], stream, stamp))
            self._partial[stream] = self._partial[stream][PARTIAL:]

    def _append(self, content: bytes) -> None:
        """Whole lines only, into as many files as it takes: a file ends with the line that reaches its size."""
        at = 0
        while at < len(content):
            if self._size >= self._max_size:
                self._rotate()
            room = self._max_size - self._size
            end = len(content) if len(content) - at <= room else content.index(b"\n", at + room - 1) + 1
            self._write(memoryview(content)[at:end])
            at = end

    def _write(self, piece: memoryview) -> None:
        self._size += len(piece)
        while piece:
            piece = piece[os.write(self._fd, piece):]

    def _rotate(self) -> None:
        os.close(self._fd)
        if self._files == 1:
            os.unlink(self._path)
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(newer):
                os.rename(newer, older)
        self._fd, self._size = self._open()

    def close(self) -> None:
        """Write what is still held back, and close the file."""
        for stream in _STREAMS:
            self.write(stream, b"", last=True)
        os.close(self._fd)


def _bounded(text: str) -> list[str]:
    """`text` in pieces none of which holds a line longer than PARTIAL; nearly always in one."""
    lines = text.split("\n")  # not splitlines(): that knows eight other ends of line
    if max(map(len, lines)) < PARTIAL:
        return [text]
    whole = [line + "\n" for line in lines[:-1]] + lines[-1:]
    return [line[at:at + PARTIAL] for line in whole for at in range(0, len(line), PARTIAL)]
