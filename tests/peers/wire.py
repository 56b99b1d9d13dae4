"""A wire that breaks: it passes connections on to a real server, and cuts each after so many bytes of one direction.

    with Wire(registry.port, down=100_000) as wire:     every connection ends after 100 kB of answers
        pull(f"127.0.0.1:{wire.port}/some/name")
        wire.carried                                    bytes that went that way in all
"""

import socket
import struct
import threading
import time
from types import TracebackType

_PIECE = 16 * 1024


class Wire:
    """`up` and `down` are what a connection carries before it is cut (on the way up: reset); None: never.

    It makes so many `cuts` at most, and then passes everything on. `slow`: seconds that each 16 KiB take.
    """

    def __init__(self, port: int, *, up: int | None = None, down: int | None = None, cuts: int = 1_000_000,
                 slow: float = 0.0) -> None:
        self._target, self._limits, self._slow = port, {"up": up, "down": down}, slow
        self.left, self.broken = cuts, 0
        self.carried = {"up": 0, "down": 0}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", self._target))
            for source, target, way in ((ours, theirs, "up"), (theirs, ours, "down")):
                threading.Thread(target=self._pass_on, args=(source, target, way), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, way: str) -> None:
        limit, passed, hard = self._limits[way], 0, False
        try:
            while piece := source.recv(_PIECE):
                if limit is not None and passed + len(piece) > limit and self._may_cut():
                    piece = piece[:limit - passed]
                    self._send(target, piece, way)
                    hard = way == "up"  # what is on its way down would be lost by a reset
                    return
                passed += len(piece)
                time.sleep(self._slow)
                self._send(target, piece, way)
        except OSError:
            return
        finally:
            _end(source, hard=hard)
            _end(target, hard=hard)

    def _send(self, target: socket.socket, piece: bytes, way: str) -> None:
        with self._lock:
            self.carried[way] += len(piece)  # before, as the client may look right after
        target.sendall(piece)

    def _may_cut(self) -> bool:
        with self._lock:
            if not self.left:
                return False
            self.left -= 1
            self.broken += 1
            return True


def _end(connection: socket.socket, *, hard: bool) -> None:
    """Close for both threads; a `hard` end is a reset, which the sender notices at once (SO_LINGER of no time)."""
    try:
        if hard:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        connection.close()
