"""The process that unpacks: started by `workers`, it forks one child for each layer, which does the work and ends.

Unpacking is its own process because a layer's path names, times and owners are Python's work, which would hold up the
server's other requests (the interpreter lock); because several layers are then unpacked at the same time; and because
what a stranger's archive breaks, it breaks there. The foreman is single-threaded and has everything imported, so that
a child costs a fork (1 ms).

    server ── control socket: the ceiling and three descriptors for each layer ──> foreman ── fork ──> child
    server <──────────────────────────── the layer's own socket ─────────────────────────────────────> child
              `.` there is more in the blob file   `!` that was all                            (to the child)
              `<number>` compressed bytes taken    `=` done, see result.json                       (from it)
              `-<text>` the archive is wrong       `~<text>` the machine failed                    (from it)

The child reads the blob's *file*, behind the download that writes it: the page cache is the buffer between the two, and
neither waits for the other. When the server dies, the child reads the end of its socket, and ends too; the lock on its
directory, which it inherited, is then free, and the next sweep takes the directory away.
"""

import contextlib
import hashlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from queue import Queue

import msgspec

from pydocker.layers.compression import decompress
from pydocker.layers.limits import CEILING, ArchiveError, check_ceiling, largest_content
from pydocker.layers.unpack import Unpacked, unpack

MORE, ALL = b".", b"!"
DONE, WRONG, BROKEN = b"=", b"-", b"~"
RESULT = "result.json"
DIFF = "diff"

_LONGEST_TELL = 4096  # bytes of an error message
_MEMORY = 1 << 30  # bytes: what the largest archive that the limits allow needs, and no more
_AHEAD = 4  # pieces that may be decompressed before they are written
_TELL_EVERY = 1 << 21  # compressed bytes


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`result.json`. `diff` is the uncompressed stream's sha256 in hexadecimal, `compressed` its source's length."""

    diff: str
    compressed: int
    unpacked: Unpacked


class Abandoned(Exception):
    """The server closed the layer's socket: nobody wants the result any more."""


class Follower:
    """Reads a file that is still being written, until the link says that it is complete."""

    def __init__(self, blob: int, link: socket.socket) -> None:
        self._blob, self._link = blob, link
        self._complete = False
        self._told = 0
        self.taken = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end. Raises Abandoned."""
        while not (data := os.read(self._blob, size)):
            if self._complete:
                return b""
            message = self._link.recv(16)
            if not message:
                raise Abandoned
            self._complete = message == ALL
        self.taken += len(data)
        if self.taken - self._told >= _TELL_EVERY:
            self._told = self.taken
            with contextlib.suppress(BlockingIOError):  # progress may be lost, work must not wait for it
                self._link.send(b"%d" % self.taken, socket.MSG_DONTWAIT)
        return data


class Pieces:
    """The uncompressed stream, made and hashed by a thread of its own while this one writes files.

    Decompressing and hashing release the interpreter lock, so a single large layer uses two cores.
    """

    def __init__(self, source: Follower, ceiling: int = CEILING) -> None:
        self._source, self._ceiling = source, ceiling
        self._hash = hashlib.sha256()
        self._queue: Queue[bytes | BaseException] = Queue(_AHEAD)
        threading.Thread(target=self._produce, daemon=True).start()

    def _produce(self) -> None:
        total = 0
        try:
            for piece in decompress(self._source.read):
                total += len(piece)
                check_ceiling(total, self._ceiling)
                if total > largest_content(self._source.taken):
                    raise ArchiveError(f"more than {total} bytes of content in {self._source.taken} compressed ones")
                self._hash.update(piece)
                self._queue.put(piece)
            self._queue.put(b"")
        except BaseException as error:  # handed to the consumer, which raises it
            self._queue.put(error)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._queue.get():
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    @property
    def digest(self) -> str:
        """Of everything, once the iteration has ended."""
        return self._hash.hexdigest()


def main(control: int) -> None:
    """Take layers from the control socket until its other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel: their sockets tell how it went
    os.umask(0)
    jobs = socket.socket(fileno=control)
    while True:
        message, fds, _, _ = socket.recv_fds(jobs, 32, 3)
        if not message:
            return
        try:
            child = os.fork() == 0
        except OSError as error:  # the limit of processes: the next one may fit again
            _refuse(fds[2], error)
            child = False
        if child:
            jobs.close()
            _child(int(message), *fds)
        for fd in fds:
            os.close(fd)


def _refuse(link: int, error: OSError) -> None:
    with socket.socket(fileno=os.dup(link)) as waiting, contextlib.suppress(OSError):
        waiting.send(BROKEN + f"fork a process to unpack: {os.strerror(error.errno or 0).lower()} (fork(2))".encode())


def _child(ceiling: int, directory: int, blob: int, link: int) -> None:
    """Unpack one layer, tell how it went, and end; never returns."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        _work(ceiling, directory, blob, socket.socket(fileno=link))
        status = 0
    except (Abandoned, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        os._exit(status)


def _work(ceiling: int, directory: int, blob: int, link: socket.socket) -> None:
    try:
        source = Follower(blob, link)
        pieces = Pieces(source, ceiling)
        root = os.open(DIFF, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        unpacked = unpack(iter(pieces), root, ceiling)
        result = Result(diff=pieces.digest, compressed=source.taken, unpacked=unpacked)
        fd = os.open(RESULT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
        with open(fd, "wb") as file:
            file.write(msgspec.json.encode(result))
    except ArchiveError as error:
        link.send(WRONG + str(error).encode(errors="replace")[:_LONGEST_TELL])
    except MemoryError:
        link.send(WRONG + b"the archive needs more memory than an archive may")
    except OSError as error:
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            raise
        where = f" {error.filename.decode(errors='replace')}" if isinstance(error.filename, bytes) else ""
        link.send(BROKEN + f"unpack{where}: {os.strerror(error.errno or 0).lower()}".encode())
    else:
        link.send(DONE)
