"""From an entry of the catalog to the image it stands for: its documents read, verified, and remembered.

A manifest and a config never change, so what was read once is right for ever; only the names come and go.
"""

import functools
import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from pydocker.errors import PydockerError
from pydocker.images import leases
from pydocker.images.catalog import Catalog
from pydocker.images.documents import config_of
from pydocker.images.graph import Graph, Parts
from pydocker.layers.store import LayerStore, chain_ids
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Image, Manifest
from pydocker.paths import Paths
from pydocker.storage.blobs import Blobs

T = TypeVar("T")
_REMEMBERED = 512  # documents
_log = logging.getLogger(__name__)


class Damaged(PydockerError):
    """An image whose documents are missing or wrong. `entry` is where the catalog names it."""

    def __init__(self, entry: Descriptor, reason: PydockerError) -> None:
        super().__init__(f"image with manifest {entry.digest} is damaged: {reason} "
                         "(`pydocker system check` tells more)")
        self.entry = entry


class Read(NamedTuple):
    """An image without its names, and what it needs on disk."""

    image: Image
    parts: Parts


class Reader:
    """Reads documents out of the blobs. Thread-safe."""

    def __init__(self, paths: Paths, blobs: Blobs, layers: LayerStore) -> None:
        self._paths, self._blobs = paths, blobs
        self._remembered = functools.lru_cache(_REMEMBERED)(self._read)
        self._layer = functools.lru_cache(_REMEMBERED * 8)(lambda chain: layers.record(chain).size)

    def read(self, entry: Descriptor) -> Read:
        """Raises Damaged."""
        try:
            image, parts = self._remembered(entry.media_type, entry.digest, entry.size)
        except PydockerError as error:
            raise Damaged(entry, error) from error
        return Read(msgspec.structs.replace(image, size=sum(map(self.layer_size, image.layers))), parts)

    def readable(self, catalog: Catalog) -> Iterator[tuple[Descriptor, Read]]:
        """Every manifest of the catalog once; those that are damaged are left to `system check`."""
        for entry in catalog.unique():
            try:
                yield entry, self.read(entry)
            except Damaged as error:
                _log.warning("%s", error)

    def graph(self, catalog: Catalog) -> Graph:
        """All references now. Raises Damaged: what a damaged image needs is not known, so nothing may be removed."""
        return Graph(images={entry.digest: self.read(entry).parts for entry in catalog.unique()},
                     containers=leases.stacks(self._paths), leased=leases.leased(self._paths.temporary))

    def forget(self) -> None:
        """Read anew what is asked for next: a repair has changed what never changes."""
        self._remembered.cache_clear()
        self._layer.cache_clear()

    def document(self, name: Digest, type: type[T]) -> T:
        """A JSON blob, decoded. Raises NotFound, PydockerError for a damaged one."""
        try:
            return msgspec.json.decode(self._blobs.read(name), type=type)
        except msgspec.MsgspecError as error:
            raise PydockerError(f"damaged document {self._blobs.path(name)}: {error}") from error

    def _read(self, media_type: str, name: Digest, size: int) -> Read:
        manifest = self.document(name, Manifest)
        config = config_of(self._blobs.read(manifest.config.digest))
        layers = chain_ids(config.rootfs.diff_ids)
        image = Image(id=manifest.config.digest, manifest=Descriptor(media_type=media_type, digest=name, size=size),
                      config=config, layers=layers, size=0)
        blobs = frozenset((name, manifest.config.digest, *(layer.digest for layer in manifest.layers)))
        return Read(image, Parts(blobs, frozenset(layers)))

    def layer_size(self, chain: Digest) -> int:
        """In bytes, unpacked. A lost layer makes its image smaller, and no other list or removal impossible."""
        try:
            return self._layer(chain)
        except PydockerError:
            return 0


def named(image: Image, catalog: Catalog, manifests: Iterable[Digest]) -> Image:
    """The image with the names that its manifests have."""
    found = sorted(name for manifest in manifests for name in catalog.names(manifest))  # complete names, as Docker's
    known = [references.parse(name) for name in found]
    return msgspec.structs.replace(
        image, names=tuple(reference.familiar() for reference in known if reference.digest is None),
        digests=tuple(reference.familiar() for reference in known if reference.digest is not None))
