"""A container's log in Docker's json-file format (see logfile for its rotation).

    {"log":"hello\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}

With attributes (labels, variables, a tag that were asked for) there is an `"attrs":{…}` behind the stream.

A line without its newline is held back until the newline comes, or 16 KiB are there, or the stream ends: Docker's
partial lines. JSON has no bytes: what is not UTF-8 becomes U+FFFD, as in Docker's logs.

Lines are not encoded one by one (300,000 of them would take seconds): a whole chunk is encoded as one JSON string with
a noncharacter behind every newline, and the noncharacters are then replaced by what stands between two lines.
"""

import codecs
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from pydocker.monitor.logfile import LineFile, LogFile

PARTIAL = 16 * 1024  # characters of one line in one entry
_SEPARATOR = "\uffff"
_ENCODED = _SEPARATOR.encode()
STREAMS = {1: "stdout", 2: "stderr"}


def timestamp(nanoseconds: int) -> str:
    """RFC 3339, UTC, always nine digits: so that comparing texts compares times."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def entries(text: str, stream: int, stamp: str, attributes: bytes = b"") -> bytes:
    """The log lines for `text`, which is cut behind every newline."""
    text = text.replace(_SEPARATOR, "\ufffd").replace("\n", "\n" + _SEPARATOR)
    head = b'{"log":"'
    tail = b'","stream":"%s"%s,"time":"%s"}\n' % (STREAMS[stream].encode(), attributes, stamp.encode())
    content = msgspec.json.encode(text.removesuffix(_SEPARATOR))[1:-1]
    return head + content.replace(_ENCODED, tail + head) + tail


class FileWriter(ABC):
    """Appends to one log, which is in files."""

    full = False  # a file takes what comes

    def __init__(self, file: LogFile) -> None:
        self._file = file

    @abstractmethod
    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """Take a chunk of a stream; with `last`, the stream ends here. OSError: what is not written yet is lost."""

    def settle(self) -> None:  # noqa: B027 (not abstract: there is nothing to do)
        """It is written already."""

    def close(self) -> None:
        """Write what is still held back, and close the file."""
        try:
            for stream in STREAMS:
                self.write(stream, b"", last=True)
        finally:
            self._file.close()


class LogWriter(FileWriter):
    """Docker's json-file: an object a line."""

    def __init__(self, path: str, max_size: int, files: int, *, compress: bool = False,
                 attributes: Mapping[str, str] | None = None) -> None:
        super().__init__(LineFile(path, max_size, files, compress=compress))
        self._attributes = b',"attrs":' + msgspec.json.encode(attributes, order="sorted") if attributes else b""
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in STREAMS}
        self._partial = dict.fromkeys(STREAMS, "")

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        text = self._partial[stream] + self._decoders[stream].decode(data, last)
        whole = len(text) if last else text.rfind("\n") + 1
        held = whole + (len(text) - whole) // PARTIAL * PARTIAL
        self._partial[stream] = text[held:]
        stamp = timestamp(time.time_ns())
        pieces = _bounded(text[:whole]) if whole else []
        pieces += [text[at:at + PARTIAL] for at in range(whole, held, PARTIAL)]
        self._file.append(b"".join(entries(piece, stream, stamp, self._attributes) for piece in pieces))


def _bounded(text: str) -> list[str]:
    """`text` in pieces none of which holds a line longer than PARTIAL; nearly always in one."""
    lines = text.split("\n")  # not splitlines(): that knows eight other ends of line
    if max(map(len, lines)) < PARTIAL:
        return [text]
    whole = [line + "\n" for line in lines[:-1]] + lines[-1:]
    return [line[at:at + PARTIAL] for line in whole for at in range(0, len(line), PARTIAL)]
