"""The log driver `journald`: systemd's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), one datagram for a line.

    KEY=value\\n                              where the value has no newline
    KEY\\n length (8 bytes, little endian) value \\n   where it has one

The fields are Docker's. The journal keeps bytes as they are, and its own bounds.
"""

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping

from pydocker.monitor.loglines import Cutter
from pydocker.monitor.logwriter import STREAMS, timestamp
from pydocker.monitor.loop import Loop
from pydocker.monitor.outbox import Outbox

_PRIORITIES = {1: "6", 2: "3"}  # syslog(3): info, err
_LENGTH = struct.Struct("<Q")
_PATIENCE = 2.0  # seconds for what waits at the container's end


class JournalWriter:
    """Sends to the journal's socket. One that cannot be reached costs the log what is written meanwhile."""

    def __init__(self, path: str, fields: Mapping[str, str], limit: int, loop: Loop,
                 drained: Callable[[], None]) -> None:
        self._path = path
        self._fields = encoded(fields)
        self._limit = limit
        self._loop = loop
        self._drained = drained
        self._cutter = Cutter()
        self._parts = {stream: Parts() for stream in STREAMS}
        self._outbox: Outbox | None = self._connected()

    def _connected(self) -> Outbox:
        """Raises OSError: nobody listens there."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            peer.connect(self._path)
        except OSError:
            peer.close()
            raise
        return Outbox(self._loop, peer, self._limit, self._drained, lambda said: self._lost())

    def _lost(self) -> None:
        if self._outbox is not None:
            self._outbox.lose()
            self._outbox = None

    @property
    def full(self) -> bool:
        return self._outbox is not None and self._outbox.full

    def write(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """OSError: the journal's daemon is gone. The next write looks for it again."""
        self._send(stream, self._cutter.cut(stream, data, last=last))

    def _send(self, stream: int, lines: list[bytes]) -> None:
        if not lines:
            return
        common = {"PRIORITY": _PRIORITIES[stream], "SYSLOG_TIMESTAMP": timestamp(time.time_ns())}
        messages = [self._fields + encoded({**common, **self._parts[stream].told(line)}) + _field("MESSAGE", line)
                    for line in lines]
        for again in (True, False):
            try:
                self._outbox = self._outbox or self._connected()
                self._outbox.send(messages)
                return
            except OSError:  # it was started anew, maybe
                self._lost()
                if not again:
                    raise

    def settle(self) -> None:
        """Everything is with the daemon when this returns, unless that is stuck."""
        if self._outbox is not None and not self._outbox.wait(lambda: True, _PATIENCE):
            self._lost()
            print(f"write {self._path}: the journal takes nothing: output is lost to the log", file=sys.stderr,
                  flush=True)

    def close(self) -> None:
        """Send what is still held back."""
        try:
            for stream in STREAMS:
                self.write(stream, b"", last=True)
            self.settle()
        finally:
            self._lost()


class Parts:
    """Which part of which long line a piece is, in Docker's fields."""

    def __init__(self) -> None:
        self._id, self._ordinal = "", 0

    def told(self, line: bytes) -> dict[str, str]:
        """The fields for the next piece of a stream."""
        last = line.endswith(b"\n")
        if last and not self._id:
            return {}
        self._id, self._ordinal = self._id or os.urandom(32).hex(), self._ordinal + 1
        found = {"CONTAINER_PARTIAL_ID": self._id, "CONTAINER_PARTIAL_ORDINAL": str(self._ordinal),
                 "CONTAINER_PARTIAL_LAST": str(last).lower()}
        if last:
            self._id, self._ordinal = "", 0
            return found
        return {"CONTAINER_PARTIAL_MESSAGE": "true", **found}


def encoded(fields: Mapping[str, str]) -> bytes:
    """Fields as they travel."""
    return b"".join(_field(name, value.encode(errors="surrogateescape")) for name, value in fields.items())


def _field(name: str, value: bytes) -> bytes:
    value = value.removesuffix(b"\n") if name == "MESSAGE" else value
    if b"\n" in value:
        return name.encode() + b"\n" + _LENGTH.pack(len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
