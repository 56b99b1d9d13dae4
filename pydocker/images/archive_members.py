"""The entries of a stranger's image archive by their path, in whatever order they come, within limits.

    a file that is compressed, a tar archive, or empty     a layer: it is unpacked while the stream goes on
    any other file of at most 4 MiB                        a document: kept in one temporary file
    a larger one                                           nothing that describes an image: its path is remembered
    a symbolic or hard link                                followed within the table (`<id>/layer.tar`)

What a file is, its bytes tell: names are the writer's, and documents may come first or last. Nothing is ever made under
an archive's own path. What is called `blobs/sha256/<digest>` has to have that digest; a layer that is here already is
not read.
"""

import contextlib
import resource
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from pydocker.errors import InvalidParameter
from pydocker.images.archive import BLOBS, inside
from pydocker.images.archive_layers import Incoming, Piece, Source
from pydocker.images.store import ImageStore
from pydocker.layers import tar
from pydocker.layers.compression import Compression, detect
from pydocker.layers.foreman import Result
from pydocker.layers.limits import ArchiveError
from pydocker.layers.workers import Workers
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor

LARGEST_DOCUMENT = 4 << 20  # bytes: registries take no larger manifest either
MOST_MEMBERS = 100_000
MOST_LAYERS = 10_000
_MOST_LINKS = 8  # one behind the other
_AT_ONCE = 4  # layers that are unpacked while others come in


class Known(NamedTuple):
    """A layer that the store has: its blob, and the digest of what is in it."""

    blob: Descriptor
    diff: Digest


class Document(NamedTuple):
    """Where the temporary file has it."""

    offset: int
    size: int


class Link(NamedTuple):
    target: str


class Ignored(NamedTuple):
    """Neither a document nor a layer; why."""

    reason: str


Member = Document | Incoming | Known | Link | Ignored


class Members:
    """All entries of one archive. A context manager; layers that nobody took away by its end vanish.

    `known` finds the layer whose blob or whose content has a digest, and keeps it from being removed.
    """

    def __init__(self, store: ImageStore, workers: Workers, known: Callable[[Digest], Known | None]) -> None:
        self._store, self._workers, self._known = store, workers, known
        self._table: dict[str, Member] = {}
        self._ends = contextlib.ExitStack()
        self._free = threading.Semaphore(_AT_ONCE)
        self._syncing = threading.Lock()
        self._layers = 0

    def __enter__(self) -> "Members":
        _allow_descriptors()
        with contextlib.ExitStack() as undo:
            self._documents = undo.enter_context(tempfile.TemporaryFile(dir=self._store.paths.temporary))
            self._pool = undo.enter_context(ThreadPoolExecutor(_AT_ONCE + 1))  # one of them may be syncing
            self._ends = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.close()

    # -- reading -------------------------------------------------------------------------------------

    def read(self, pieces: Iterator[Piece]) -> None:
        """Read the whole archive. Raises ArchiveError naming the member that is wrong, OSError for a full disk."""
        reader = tar.Reader(pieces)
        for entry in reader:
            path = _path(entry.path)
            if entry.kind == tar.DIRECTORY:
                continue
            if path in self._table:
                raise ArchiveError(f"{path}: stands in the archive twice")
            if len(self._table) >= MOST_MEMBERS:
                raise ArchiveError(f"more than {MOST_MEMBERS} files in one archive of images")
            try:
                self._table[path] = self._member(path, entry, reader.content())
            except ArchiveError as error:
                raise _at(path, error) from error

    def _member(self, path: str, entry: tar.Entry, content: Iterator[memoryview]) -> Member:
        if entry.kind == tar.SYMLINK:
            return Link(inside(_text(entry.link), path.rpartition("/")[0]))
        if entry.kind == tar.HARD_LINK:
            return Link(inside(_text(entry.link)))
        if entry.kind != tar.REGULAR:
            raise ArchiveError("neither a file nor a directory nor a link")
        source = Source(content)
        start = source.peek(tar.BLOCK)
        if not start or detect(start) != Compression.NONE or tar.is_header(start):
            return self._layer(path, source)
        if entry.size > LARGEST_DOCUMENT:
            return Ignored(f"{entry.size} bytes, at most {LARGEST_DOCUMENT} are accepted")
        return self._document(path, source.read(entry.size))

    def _document(self, path: str, content: bytes) -> Document:
        _require_digest(path, digest.of(content))
        offset = self._documents.seek(0, 2)
        self._documents.write(content)
        return Document(offset, len(content))

    def _layer(self, path: str, source: Source) -> Member:
        if (name := _digest_in(path)) and (known := self._known(name)):
            return known
        self._layers += 1
        if self._layers > MOST_LAYERS:
            raise ArchiveError(f"more than {MOST_LAYERS} layers in one archive")
        self._free.acquire()  # no faster than they are unpacked
        try:
            layer = self._ends.enter_context(Incoming(self._store, self._workers, source))
        except BaseException:
            self._free.release()
            raise
        layer.waiting = self._pool.submit(self._unpacked, path, layer)
        layer.take()
        return layer

    def _unpacked(self, path: str, layer: Incoming) -> Result:
        try:
            result = layer.result()
        except ArchiveError as error:
            raise _at(path, error) from error
        finally:
            self._free.release()
        _require_digest(path, layer.digest(result))
        self._begin_sync()
        return result

    def _begin_sync(self) -> None:
        """The sync that counts comes at the end; begun now, the disk works while other layers need the CPU."""
        if self._syncing.acquire(blocking=False):
            try:
                self._store.layers.sync()
            finally:
                self._syncing.release()

    # -- questions -----------------------------------------------------------------------------------

    def __contains__(self, path: str) -> bool:
        return path in self._table

    def document(self, path: str) -> bytes:
        """A document's content. Raises ArchiveError if it is not there, or none."""
        member = self._find(path)
        if isinstance(member, Ignored):
            raise ArchiveError(f"{path}: {member.reason}")
        if not isinstance(member, Document):
            raise ArchiveError(f"{path}: is a layer, where a document is expected")
        self._documents.seek(member.offset)
        return self._documents.read(member.size)

    def layer(self, path: str) -> Incoming | Known:
        """A layer. Raises ArchiveError if it is not there, or none."""
        member = self._find(path)
        if not isinstance(member, Incoming | Known):
            raise ArchiveError(f"{path}: is not a tar archive, where a layer is expected")
        return member

    def _find(self, path: str) -> Member:
        at = path
        for _ in range(_MOST_LINKS):
            member = self._table.get(at)
            if not isinstance(member, Link):
                break
            at = member.target
        if member is None or isinstance(member, Link):
            raise ArchiveError(f"{path}: is not in the archive")
        return member


def _allow_descriptors() -> None:
    """Each layer holds three until the end, and 1024 are what a process may have unless it asks (getrlimit(2))."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _path(name: bytes) -> str:
    path = inside(_text(name))
    if ".." in _text(name).split("/"):
        raise ArchiveError(f"{path[:256]!r}: leads out of a directory of the archive")
    return path


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ArchiveError(f"{name[:256]!r}: is not UTF-8") from None


def _digest_in(path: str) -> Digest | None:
    """The digest that a path promises: OCI's `blobs/sha256/<digits>`, and what skopeo calls a layer, `<digits>.tar`."""
    name = path.removeprefix(f"{BLOBS}/").removesuffix(".tar")
    try:
        return digest.parse(f"sha256:{name}")
    except InvalidParameter:
        return None


def _require_digest(path: str, actual: Digest) -> None:
    if path.startswith(f"{BLOBS}/") and path != f"{BLOBS}/{digest.encoded(actual)}":
        raise ArchiveError(f"{path}: its content has the digest {actual}")


def _at(path: str, error: ArchiveError) -> ArchiveError:
    return error if str(error).startswith(path) else ArchiveError(f"{path[:256]}: {error}")
