"""The formats of log files, as their reader needs them: where whole records end, and what is in them."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pydocker.monitor import locallog

_BLOCK = 1 << 18


class Entry(msgspec.Struct, frozen=True):
    """One line. `time` is RFC 3339 with nine digits, in UTC. What is not UTF-8 is there as surrogates (PEP 383)."""

    log: str
    stream: str
    time: str
    attrs: dict[str, str] = {}


@dataclass(frozen=True)
class Format:
    """`whole`: how many of these bytes are whole records. `decode`: what is in them. `start_of_tail`, where there is a
    short way: the offset in a file from which so many entries follow, and how many an older file has to give besides.
    """

    whole: Callable[[bytes], int]
    decode: Callable[[bytes], list[Entry]]
    start_of_tail: Callable[[int, int], tuple[int, int]] | None = None


_decoder = msgspec.json.Decoder(Entry)


def _lines(data: bytes) -> list[Entry]:
    """All of them; without a line that was cut off (by a power cut, or a disk that was full to the end)."""
    try:
        return _decoder.decode_lines(data)
    except msgspec.MsgspecError:
        found = []
        for line in data.split(b"\n"):
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(_decoder.decode(line))
        return found


def _start_of_tail(fd: int, lines: int) -> tuple[int, int]:
    end = at = os.fstat(fd).st_size
    if lines <= 0:
        return end, 0
    while at > 0:
        start = max(0, at - _BLOCK)
        block = os.pread(fd, at - start, start)
        position = len(block) - (1 if at == end else 0)  # the last newline ends the last line, and begins none
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            lines -= 1
            if lines == 0:
                return start + position + 1, 0
        at = start
    return 0, lines - (1 if end else 0)


def _records(data: bytes) -> list[Entry]:
    return [Entry(line.decode(errors="surrogateescape"), source, time) for source, time, line in locallog.decoded(data)]


JSON = Format(whole=lambda data: data.rfind(b"\n") + 1, decode=_lines, start_of_tail=_start_of_tail)
LOCAL = Format(whole=locallog.end_of_records, decode=_records)
