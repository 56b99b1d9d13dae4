"""One layer's archive that comes in as a stream (`load`, `import`): at the same time it becomes a blob and is unpacked.

    gzip, zstd   stream ──> blob draft ──> (committed later) blobs/sha256/…
                               └── read by the child that unpacks, while it grows ──> layer draft

    plain        stream ──> pipe to the child that unpacks ──> layer draft
                   └──> gzip, in threads ──> blob draft

The blob is the archive as it came if that is gzip or zstd. Anything else (plain, xz, bzip2) is kept as gzip, which
every registry and engine takes. Plain blobs would be legal too, and would save the packing, 2 of 5 s of CPU for 541 MB;
but then the disk has twice as much to keep and to sync, and every push, and every later pull of it, to carry.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType

from pydocker.errors import PydockerError
from pydocker.images.store import ImageStore
from pydocker.layers.compression import Compression, decompress, detect
from pydocker.layers.foreman import Result
from pydocker.layers.gzipping import gzipped
from pydocker.layers.limits import ArchiveError, largest_content
from pydocker.layers.workers import Job, Workers
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Descriptor

_VERBATIM = {Compression.GZIP: OCI_LAYER_GZIP, Compression.ZSTD: OCI_LAYER_ZSTD}
_MAGIC = 6  # bytes that tell the compression
_PIPE = 1 << 20  # bytes: the most that the kernel grants without privileges (pipe(7), pipe-max-size)

Piece = bytes | memoryview


class Source:
    """Pieces of any size, read like a file. `taken` counts what was read."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._ahead: Piece = b""
        self.taken = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, which stay; fewer only at the end."""
        self._ahead = b"".join((self.read(size), self._ahead))
        self.taken -= min(size, len(self._ahead))
        return bytes(self._ahead[:size])

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        parts, have = [self._ahead], len(self._ahead)
        while have < size and (piece := next(self._pieces, None)) is not None:
            parts.append(bytes(piece))  # a view of it may be used again by its owner
            have += len(piece)
        data = b"".join(parts)
        self._ahead = data[size:]
        self.taken += min(size, have)
        return data[:size] if have > size else data

    def pieces(self) -> Iterator[Piece]:
        """The rest, as it comes."""
        if self._ahead:
            yield self._ahead
        yield from self._pieces


def bounded(source: Source, read: Callable[[int], bytes] | None = None) -> Iterator[Piece]:
    """What `source` unwraps to. Raises ArchiveError for a damaged stream, and for one that is out of all proportion."""
    if detect(source.peek(_MAGIC)) == Compression.NONE:
        yield from source.pieces()
        return
    total = 0
    for piece in decompress(read or source.read):
        total += len(piece)
        if total > largest_content(source.taken):
            raise ArchiveError(f"more than {total} bytes of content in {source.taken} compressed ones")
        yield piece


@contextlib.contextmanager
def collected(store: ImageStore) -> Iterator[None]:
    """What got its place within the block, and no image in the end (the disk was full), goes again."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(PydockerError, OSError):  # the first error is the one to tell
            store.collect()
        raise


class _Feed:
    """The pipe by which a child gets plain bytes: no file to be written, and to be synced, for their sake."""

    def __init__(self) -> None:
        self.end, self._fd = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # 64 KiB do as well
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _PIPE)

    def handed_over(self) -> None:
        """The child has the other end: when that is closed, writing has to fail."""
        os.close(self.end)

    def write(self, piece: Piece) -> None:
        """Wait until the child has room. One that has ended already says why in its result."""
        view = memoryview(piece)
        with contextlib.suppress(BrokenPipeError):
            while view:
                view = view[os.write(self._fd, view):]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Incoming:
    """A layer on its way in. A context manager: what was not committed at its end vanishes."""

    def __init__(self, store: ImageStore, workers: Workers, stream: Source) -> None:
        self._store, self._workers, self._stream = store, workers, stream
        self._ends = contextlib.ExitStack()
        self._kind = Compression.NONE
        self._raw = hashlib.sha256()
        self._feed: _Feed | None = None
        self.waiting: Future[Result] | None = None
        """Whoever waits for the result in another thread says so here: the layer is not taken from under him."""

    def __enter__(self) -> "Incoming":
        self._kind = detect(self._stream.peek(_MAGIC))
        with contextlib.ExitStack() as undo:
            self.blob = undo.enter_context(self._store.blobs.draft())
            self.draft = undo.enter_context(self._store.layers.draft())
            self._job = self._begun()
            undo.callback(self._end)
            self._ends = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ends.close()

    def _begun(self) -> Job:
        if self._kind in _VERBATIM:
            return self._workers.unpack(self.draft.path, self.draft.lock, self.blob.path)
        self._feed = _Feed()
        try:
            return self._workers.unpack_from(self.draft.path, self.draft.lock, self._feed.end)
        except BaseException:
            self._feed.close()
            raise
        finally:
            self._feed.handed_over()

    def _end(self) -> None:
        self._job.stop()
        if self._feed is not None:
            self._feed.close()  # a child that waits for more wakes up, and finds its link closed
        if self.waiting is not None:
            self.waiting.exception()
        self._job.close()

    def take(self) -> None:
        """Write the whole stream. Raises ArchiveError for a damaged one, and whatever the stream raises."""
        if self._feed is None:
            for piece in self._stream.pieces():
                self.blob.write(piece)
                self._job.more()
            self._job.complete()
        else:
            for packed in gzipped(self._fed(self._feed)):
                self.blob.write(packed)

    def _fed(self, feed: _Feed) -> Iterator[Piece]:
        """The plain content, of which the child gets each piece first."""
        for piece in bounded(self._stream, lambda size: self._hashed(self._stream, size)):
            feed.write(piece)
            yield piece
        feed.close()
        self._job.complete()

    def _hashed(self, stream: Source, size: int) -> bytes:
        data = stream.read(size)
        self._raw.update(data)
        return data

    def result(self) -> Result:
        """Wait until it is unpacked; to be called once. Raises ArchiveError."""
        return self._job.result()

    def digest(self, result: Result) -> Digest:
        """Of the stream as it came."""
        if self._kind in _VERBATIM:
            return self.blob.digest
        return Digest(f"sha256:{result.diff if self._kind == Compression.NONE else self._raw.hexdigest()}")

    @property
    def descriptor(self) -> Descriptor:
        """Of the blob, once all is taken."""
        return Descriptor(media_type=_VERBATIM.get(self._kind, OCI_LAYER_GZIP), digest=self.blob.digest,
                          size=self.blob.size)
