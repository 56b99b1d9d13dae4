"""The server's side of unpacking: start the foreman, hand it layers, wait for what comes of them.

See `foreman` for the other side and for the messages. The foreman is a fresh interpreter, not a fork: the server has
threads, and a forked child of a threaded process may find any lock held for ever.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from pydocker.errors import PydockerError
from pydocker.layers import foreman
from pydocker.layers.foreman import Result
from pydocker.layers.limits import CEILING, ArchiveError

_START = "import sys; sys.path[:] = {path!r}; from pydocker.layers.foreman import main; main({fd})"
_FAILURES = {foreman.WRONG: ArchiveError, foreman.BROKEN: PydockerError}


class Job:
    """One layer being unpacked. Used by one thread."""

    def __init__(self, directory: Path, link: socket.socket) -> None:
        self._directory, self._link = directory, link

    def more(self) -> None:
        """The blob file has grown. Lossy: the child looks for itself, this only wakes it."""
        with contextlib.suppress(BlockingIOError, ConnectionError):  # a dead child is `result`'s to report
            self._link.send(foreman.MORE, socket.MSG_DONTWAIT)

    def complete(self) -> None:
        """The blob file is complete."""
        with contextlib.suppress(ConnectionError):
            self._link.send(foreman.ALL)

    def result(self, tell: Callable[[int], None] | None = None) -> Result:
        """Wait for the end; `tell` gets the compressed bytes taken so far. Raises ArchiveError."""
        while message := self._receive():
            if message == foreman.DONE:
                return msgspec.json.decode((self._directory / foreman.RESULT).read_bytes(), type=Result)
            if message[:1] in _FAILURES:
                raise _FAILURES[message[:1]](message[1:].decode(errors="replace"))
            if tell is not None:
                tell(int(message))
        raise PydockerError("the unpacking process ended unexpectedly")

    def _receive(self) -> bytes:
        """The next message; none when the child has ended.

        A child that ends without having read all of ours resets the link. That is told first, and once; what the child
        said before is still there behind it (af_unix.c, unix_release_sock).
        """
        with contextlib.suppress(ConnectionResetError):
            return self._link.recv(1 << 16)
        return self._link.recv(1 << 16)

    def stop(self) -> None:
        """From another thread: let a waiting `result` fail now."""
        with contextlib.suppress(OSError):  # it is closed already
            self._link.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it; a child that still works on it ends soon."""
        self._link.close()


class Workers:
    """The foreman, started when the first layer comes. A context manager; used by several threads.

    `ceiling` is what a layer may become at most, in bytes.
    """

    def __init__(self, ceiling: int = CEILING) -> None:
        self._ceiling = ceiling
        self._guard = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()

    def unpack(self, directory: Path, lock: int, blob: Path) -> Job:
        """Begin to unpack the file `blob`, which may still grow, into `directory`/diff.

        `lock` is a descriptor of `directory` that holds its flock: the child inherits it, and with it the lock.
        """
        source = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self.unpack_from(directory, lock, source)
        finally:
            os.close(source)

    def unpack_from(self, directory: Path, lock: int, source: int) -> Job:
        """The same with what comes out of the descriptor `source`, of which the child gets its own."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                with self._guard:
                    socket.send_fds(self._started(), [b"%d" % self._ceiling], [lock, source, theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return Job(directory, ours)

    def _started(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                path = [entry for entry in sys.path if os.path.isabs(entry)]
                code = _START.format(path=path, fd=theirs.fileno())
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    cwd="/", pass_fds=[theirs.fileno()], start_new_session=True)
            self._control = ours
        return self._control
