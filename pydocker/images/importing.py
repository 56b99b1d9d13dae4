"""`docker import`: the archive of a whole root file system becomes an image of one layer.

The stored blob is the archive as it came if it is gzip or zstd; anything else (plain, xz, bzip2) is compressed with
gzip, which is what every registry and engine takes. It is unpacked from the blob while that is being written.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.images import leases
from pydocker.images.changes import changed
from pydocker.images.store import ImageStore
from pydocker.layers.compression import Compression, decompress, detect, gzipped
from pydocker.layers.workers import Workers
from pydocker.model import platform
from pydocker.model.digest import Digest
from pydocker.model.image import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    History,
    Image,
    ImageConfig,
    ImageDefaults,
    Manifest,
    RootFS,
)
from pydocker.model.reference import Reference
from pydocker.storage.blobs import BlobDraft

_VERBATIM = {Compression.GZIP: OCI_LAYER_GZIP, Compression.ZSTD: OCI_LAYER_ZSTD}
_MAGIC = 6  # bytes that tell the compression


def import_(store: ImageStore, stream: Iterable[bytes], reference: Reference | None = None,
            changes: Sequence[str] = (), message: str = "Imported from -") -> Image:
    """Make an image of the root file system's archive that `stream` is (in pieces of any size).

    Raises InvalidParameter for a reference with a digest or a wrong change, ArchiveError for what is no archive.
    """
    if reference is not None and reference.digest is not None:
        raise InvalidParameter("cannot import digest reference")
    defaults = changed(ImageDefaults(), changes)
    store.make()
    with Workers() as workers, store.blobs.draft() as blob, store.layers.draft() as layer:
        job = workers.unpack(layer.path, layer.lock, blob.path)
        try:
            media_type = _save(stream, blob, job.more)
            job.complete()
            result = job.result()
        finally:
            job.close()
        diff = Digest(f"sha256:{result.diff}")
        with leases.lease(store.paths.temporary, [diff, blob.digest]):
            store.layers.settle(layer, result, diff, ())
            store.blobs.commit(blob)
            store.layers.sync()
            store.layers.commit(layer, diff)
            archive = Descriptor(media_type=media_type, digest=blob.digest, size=blob.size)
            return _enter(store, _config(defaults, diff, message), archive, reference)


def _save(stream: Iterable[bytes], blob: BlobDraft, more: Callable[[], None]) -> str:
    """Write the stream into the blob, compressed if it is not; returns the blob's media type."""
    source = _Stream(iter(stream))
    start = source.read(_MAGIC)
    media_type = _VERBATIM.get(detect(start))
    source.push(start)
    for piece in source.pieces() if media_type else gzipped(decompress(source.read)):
        blob.write(piece)
        more()
    return media_type or OCI_LAYER_GZIP


class _Stream:
    """Pieces of any size, read like a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._ahead = b""

    def push(self, data: bytes) -> None:
        """Put back what was read."""
        self._ahead = data + self._ahead

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        parts = [self._ahead]
        have = len(self._ahead)
        while have < size and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._ahead = data[size:]
        return data[:size]

    def pieces(self) -> Iterator[bytes]:
        """The rest, as it comes."""
        if self._ahead:
            yield self._ahead
        yield from self._pieces


def _config(defaults: ImageDefaults, diff: Digest, message: str) -> ImageConfig:
    now = time.time_ns()
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09}Z"
    here = platform.host()
    return ImageConfig(
        architecture=here.architecture, os=here.os, variant=here.variant, created=created, config=defaults,
        rootfs=RootFS(type="layers", diff_ids=(diff,)), history=(History(created=created, comment=message),))


def _enter(store: ImageStore, config: ImageConfig, archive: Descriptor, reference: Reference | None) -> Image:
    """Write config and manifest, then the name that makes them an image."""
    content = msgspec.json.encode(config)
    document = Manifest(
        schema_version=2, media_type=OCI_MANIFEST, layers=(archive,),
        config=Descriptor(media_type=OCI_CONFIG, digest=store.blobs.add(content), size=len(content)))
    manifest = msgspec.json.encode(document)
    entry = Descriptor(media_type=OCI_MANIFEST, digest=store.blobs.add(manifest), size=len(manifest))
    return store.add(entry, [] if reference is None else [reference.with_default_tag()])
