"""Output cut into lines, for logs that keep bytes as they are (`local`, `journald`).

As in logwriter: a line without its newline is held back until the newline comes, or 16 KiB are there, or the stream
ends. A piece that does not end with a newline is Docker's partial line.
"""

from pydocker.monitor.logwriter import PARTIAL, STREAMS


class Cutter:
    """What is held back of each stream."""

    def __init__(self) -> None:
        self._held = dict.fromkeys(STREAMS, b"")

    def cut(self, stream: int, data: bytes, *, last: bool = False) -> list[bytes]:
        """The lines (with their newlines) and partial lines that are through; with `last`, the stream ends here."""
        lines = (self._held[stream] + data).split(b"\n")
        rest = lines.pop()
        found = [piece for line in lines for piece in _pieces(line + b"\n")]
        whole = len(rest) if last else len(rest) // PARTIAL * PARTIAL
        found += _pieces(rest[:whole])
        self._held[stream] = rest[whole:]
        return found

    def rest(self) -> list[tuple[int, bytes]]:
        """What is held back of any: no more will come."""
        return [(stream, piece) for stream in STREAMS for piece in self.cut(stream, b"", last=True)]


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= PARTIAL:
        return [line] if line else []
    return [line[at:at + PARTIAL] for at in range(0, len(line), PARTIAL)]
