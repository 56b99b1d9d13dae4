"""The images directory: an OCI image layout that skopeo and umoci can read as it is, and the questions asked of it.

    images/oci-layout  index.json  blobs/sha256/…      image-layout.md of the OCI image spec
    images.lock        beside it: shared by who relies on an image staying (a container being created),
                       exclusive for whoever changes index.json

Documents and layers are written and synced before index.json names them, so whatever it names is there.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from pydocker.errors import InvalidParameter, NotFound, PydockerError
from pydocker.images import leases, removal
from pydocker.images.catalog import Catalog, name_of
from pydocker.images.documents import config_of
from pydocker.images.removal import Removed
from pydocker.layers.store import LayerStore, chain_ids
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Image, ImageConfig, Manifest
from pydocker.model.reference import Reference
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from pydocker.storage.blobs import Blobs

T = TypeVar("T")

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_HEXADECIMAL = frozenset("0123456789abcdef")
_REMEMBERED = 512  # documents


class ImageStore:
    """All images below one data root. Holds no truth, only documents that cannot change. Thread-safe."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.layers = LayerStore(paths)
        self.blobs = Blobs(paths.images / "blobs" / "sha256", paths.temporary)
        self._index = paths.images / "index.json"
        self._lock = paths.images.with_name("images.lock")
        self._remembered = functools.lru_cache(_REMEMBERED)(self._describe)
        self._layout = threading.Lock()

    # -- questions -----------------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        """index.json as it is now."""
        try:
            return documents.read(self._index, Catalog)
        except FileNotFoundError:
            return Catalog()

    def resolve(self, name: str) -> Image:
        """The image that is called `name`: a reference, an id (with or without `sha256:`), or an unambiguous prefix.

        Raises NotFound with Docker's words: `No such image: x:latest`.
        """
        catalog = self.catalog()
        entry = self._by_name(catalog, name) or self._by_id(catalog, name)
        if entry is None:
            raise NotFound(f"No such image: {_familiar(name)}")
        image = self._described(entry)
        return _named(image, catalog, self._manifests(catalog, image.id))

    def config(self, image: Image) -> ImageConfig:
        """What to run, and from which layers."""
        return image.config

    def find(self, reference: Reference) -> Digest | None:
        """The id of the image with exactly this name."""
        entry = self.catalog().find(name_of(reference))
        return None if entry is None else self._described(entry).id

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """No image is removed or renamed for the length of this block. Do not tag, pull or remove inside it."""
        with locks.held(self._lock, shared=True):
            yield

    # -- changes -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def changing(self) -> Iterator[Callable[[Catalog], None]]:
        """Exclusive use of the catalog; what it yields writes the new one, durably."""
        with locks.held(self._lock):
            yield self._write

    def tag(self, image: Image, reference: Reference) -> None:
        """Give the image one more name; an image that had it loses it."""
        if reference.digest is not None:
            raise InvalidParameter("refusing to create a tag with a digest reference")
        with self.changing() as write:
            catalog = self.catalog()
            if not any(entry.digest == image.manifest.digest for entry in catalog.manifests):
                raise NotFound(f"No such image: {image.id}")
            write(catalog.with_name(name_of(reference), image.manifest))

    def remove(self, name: str, *, force: bool, users: Callable[[Digest], Sequence[str]],
               running: Callable[[str], bool] = lambda container: True) -> list[Removed]:
        """`docker rmi NAME`: take away the name, and with the last name the image and the layers only it had.

        `users` gives the ids of the containers of an image, `running` tells which of them cannot be argued with.
        Returns ("Untagged" | "Deleted", what) pairs; raises NotFound, or Conflict with Docker's words.
        """
        with self.changing() as write:
            image = self.resolve(name)
            decision = removal.decide(self.catalog(), self._manifests(self.catalog(), image.id), image.id, name,
                                      force=force, users=[(user, running(user)) for user in users(image.id)])
            write(decision.catalog)
            done = [*decision.removed]
            if decision.deletes:
                done += [("Deleted", str(chain)) for chain in self._collect(image, decision.catalog)]
            return done

    def sweep(self) -> None:
        """Take away everything that nothing refers to: what crashes left behind. For the server's start."""
        self.make()  # an engine's very first start has nothing to sweep, and nowhere to look for it
        with self.changing():
            kept = self._kept(self.catalog())
            self.layers.sweep(kept)
            self.blobs.sweep(kept)

    def add(self, manifest: Descriptor, references: Iterable[Reference] = ()) -> Image:
        """Enter an image whose documents and layers are all on disk, under these names (none: dangling)."""
        with self.changing() as write:
            catalog = self.catalog().with_manifest(manifest)
            for reference in references:
                catalog = catalog.with_name(name_of(reference), manifest)
            write(catalog)
        image = self._described(manifest)
        return _named(image, catalog, self._manifests(catalog, image.id))

    # -- how -----------------------------------------------------------------------------------------

    def _write(self, catalog: Catalog) -> None:
        self.make()
        documents.write(self._index, catalog)

    def make(self) -> None:
        """Make the directory an OCI image layout, if it is none yet."""
        with self._layout:
            os.makedirs(self.paths.images / "blobs" / "sha256", mode=0o700, exist_ok=True)
            if not (self.paths.images / "oci-layout").exists():
                documents.replace(self.paths.images / "oci-layout", _LAYOUT)

    def _described(self, entry: Descriptor) -> Image:
        """The image behind a manifest, without its names."""
        return self._remembered(entry.media_type, entry.digest, entry.size)

    def _describe(self, media_type: str, name: Digest, size: int) -> Image:
        manifest = self.read(name, Manifest)
        config = config_of(self.blobs.read(manifest.config.digest))
        layers = chain_ids(config.rootfs.diff_ids)
        return Image(id=manifest.config.digest, manifest=Descriptor(media_type=media_type, digest=name, size=size),
                     config=config, layers=layers, size=sum(self.layers.record(chain).size for chain in layers))

    def read(self, name: Digest, type: type[T]) -> T:
        """A JSON blob, decoded. Raises PydockerError for a damaged one."""
        try:
            return msgspec.json.decode(self.blobs.read(name), type=type)
        except msgspec.MsgspecError as error:
            raise PydockerError(f"damaged document {self.blobs.path(name)}: {error}") from error

    def _manifests(self, catalog: Catalog, id: Digest) -> tuple[Digest, ...]:
        """The manifests of one image: the same config and layers may have come as Docker's and as OCI's."""
        return tuple(entry.digest for entry in catalog.unique() if self._described(entry).id == id)

    def _by_name(self, catalog: Catalog, name: str) -> Descriptor | None:
        try:
            return catalog.find(name_of(references.parse(name)))
        except InvalidParameter:  # an id, or nothing that could be there
            return None

    def _by_id(self, catalog: Catalog, name: str) -> Descriptor | None:
        prefix = name.removeprefix("sha256:")
        if not prefix or not _HEXADECIMAL.issuperset(prefix):
            return None
        found = {image.id: image.manifest for image in map(self._described, catalog.unique())
                 if image.id.removeprefix("sha256:").startswith(prefix)}
        return next(iter(found.values())) if len(found) == 1 else None

    def _kept(self, catalog: Catalog) -> set[Digest]:
        """Every blob and chain id that something refers to."""
        kept = set(leases.leased(self.paths.temporary) | leases.stacked(self.paths))
        for entry in catalog.unique():
            image = self._described(entry)
            kept |= {entry.digest, image.id, *image.layers, *self._compressed(entry)}
        return kept

    def _compressed(self, entry: Descriptor) -> tuple[Digest, ...]:
        return tuple(layer.digest for layer in self.read(entry.digest, Manifest).layers)

    def _collect(self, image: Image, catalog: Catalog) -> Iterator[Digest]:
        """Remove what only this image had; gives the chain ids of the removed layers, the topmost first."""
        kept = self._kept(catalog)
        doomed = [image.id, image.manifest.digest, *self._compressed(image.manifest)]
        for chain in reversed(image.layers):
            if chain not in kept and self.layers.has(chain):
                self.layers.remove(chain)
                yield chain
        for name in doomed:
            if name not in kept:
                self.blobs.remove(name)

    # last in the class: it takes the name of the type

    def list(self) -> list[Image]:
        """All images, newest first."""
        catalog = self.catalog()
        images = {described.id: described for described in map(self._described, catalog.unique())}
        return sorted((_named(image, catalog, self._manifests(catalog, image.id)) for image in images.values()),
                      key=lambda image: image.config.created or "", reverse=True)


def _familiar(name: str) -> str:
    try:
        return references.parse(name).with_default_tag().familiar()
    except InvalidParameter:
        return name


def _named(image: Image, catalog: Catalog, manifests: Iterable[Digest]) -> Image:
    found = [references.parse(name) for manifest in manifests for name in catalog.names(manifest)]
    return msgspec.structs.replace(
        image,
        names=tuple(sorted(reference.familiar() for reference in found if reference.digest is None)),
        digests=tuple(sorted(reference.familiar() for reference in found if reference.digest is not None)))
