"""`docker load`: the images of one archive. See `archive` for the format.

    read     the whole stream: documents kept, layers unpacked while they come in        nothing has a name yet
    decide   which images the documents describe, and which layers these have
    act      settle the layers in order, sync the file system once, rename everything, name the images

All images of an archive, or none: what is wrong with any of them is found before the first one is named.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from pydocker.errors import PydockerError
from pydocker.images import archive_images
from pydocker.images.archive_images import Found
from pydocker.images.archive_layers import Incoming, Piece, Source, bounded, collected
from pydocker.images.archive_members import Known, Members
from pydocker.images.progress import Progress
from pydocker.images.store import ImageStore
from pydocker.layers.foreman import Result
from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import Draft, chain_ids
from pydocker.layers.workers import Workers
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference

_SHORT = 12

Told = Progress | str  # how far it is, or a line for a person


def load(store: ImageStore, stream: Iterable[Piece], platforms: Sequence[Platform] = ()) -> Iterator[Told]:
    """Load the archive that `stream` is. The images are there when the iteration has ended.

    Raises ArchiveError naming what is wrong, NotFound if the archive has nothing for any of `platforms`, PydockerError
    for a full disk; all of that comes before the first step is told, unless the last of the disk is full.
    """
    with _disk(), _Loading(store) as loading:
        store.make()
        loading.members.read(bounded(Source(iter(stream))))
        loading.decide(archive_images.find(loading.members, platforms))
        yield from loading.act()


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PydockerError(f"load: {os.strerror(error.errno or 0).lower()}") from error


class _Made(msgspec.Struct, frozen=True):
    """An image of the archive with what the store will call its parts."""

    found: Found
    manifest: Manifest
    content: bytes
    media_type: str
    chains: tuple[Digest, ...]

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=digest.of(self.content), size=len(self.content))

    @property
    def digests(self) -> list[Digest]:
        return [self.descriptor.digest, self.manifest.config.digest, *self.chains, *self.blobs]

    @property
    def blobs(self) -> list[Digest]:
        """Of the layers, the lowest first."""
        return [layer.digest for layer in self.manifest.layers]


class _Loading:
    """One archive on its way in. A context manager."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._held = contextlib.ExitStack()
        self._here = _layers_of(store)
        self._ids = {image.id: image.manifest for image in store.list()}
        self._drafts: dict[Digest, Draft] = {}
        self._used: set[int] = set()
        self._images: list[_Made] = []

    def __enter__(self) -> "_Loading":
        with contextlib.ExitStack() as undo:
            self._workers = undo.enter_context(Workers(self._store.ceiling))
            self.members = undo.enter_context(Members(self._store, self._workers, self._known))
            self._held = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def _known(self, name: Digest) -> Known | None:
        """A layer that is here, by its blob's or its content's digest; from now on it stays."""
        known = self._here.get(name)
        if known is None:
            return None
        self._held.enter_context(self._store.leasing([known.blob.digest]))
        return known if self._store.blobs.has(known.blob.digest) else None

    def decide(self, images: Sequence[Found]) -> None:
        """Raises ArchiveError for a layer that is not there, or not what the image's config says."""
        self._images = [self._made(image) for image in images]

    def _made(self, found: Found) -> _Made:
        for at, (path, diff_id) in enumerate(zip(found.layers, found.config.rootfs.diff_ids, strict=True)):
            actual = self._diff(path)
            if actual != diff_id:
                raise ArchiveError(f'{path}: invalid diffID for layer {at}: expected "{diff_id}", got "{actual}"')
        chains = chain_ids(found.config.rootfs.diff_ids)
        layers = tuple(map(self._blob, found.layers))
        if found.original and _same(found.original.manifest.layers, layers):
            fetched, manifest = found.original
            return _Made(found, manifest, fetched.content, fetched.media_type, chains)
        return self._as_here(found, chains) or _as_made(found, layers, chains)

    def _as_here(self, found: Found, chains: tuple[Digest, ...]) -> _Made | None:
        """The same image that is here already, with its own manifest: what an archive of plain layers does not keep."""
        entry = self._ids.get(digest.of(found.config_content))
        if entry is None:
            return None
        made = _Made(found, self._store.read(entry.digest, Manifest), self._store.blobs.read(entry.digest),
                     entry.media_type, chains)
        self._held.enter_context(self._store.leasing(made.digests))
        return made if all(map(self._store.blobs.has, made.blobs)) else None

    def _diff(self, path: str) -> Digest:
        layer = self.members.layer(path)
        return layer.diff if isinstance(layer, Known) else Digest(f"sha256:{_result(layer).diff}")

    def _blob(self, path: str) -> Descriptor:
        layer = self.members.layer(path)
        return layer.blob if isinstance(layer, Known) else layer.descriptor

    # -- act -----------------------------------------------------------------------------------------

    def act(self) -> Iterator[Told]:
        """Make the images; tells each layer, then each name."""
        before = {name: self._store.find(name) for image in self._images for name in image.found.names}
        with collected(self._store), self._store.leasing([name for image in self._images for name in image.digests]):
            for image in self._images:
                yield from self._settle(image)
            self._commit()
        for image in self._images:
            yield from _told(image, before)

    def _commit(self) -> None:
        """Blobs and documents, then everything to the disk, then layers, then all names at once."""
        for layer in {id(layer): layer for layer in self._incoming()}.values():
            self._store.blobs.commit(layer.blob)
        for image in self._images:
            self._store.blobs.add(image.found.config_content)
            self._store.blobs.add(image.content)
        self._store.layers.sync()
        for chain, draft in self._drafts.items():
            self._store.layers.commit(draft, chain)
        self._store.add_all([(image.descriptor, image.found.names) for image in self._images])

    def _incoming(self) -> Iterator[Incoming]:
        for image in self._images:
            for path in image.found.layers:
                layer = self.members.layer(path)
                if isinstance(layer, Incoming) and layer.blob.digest in image.blobs:
                    yield layer

    def _settle(self, image: _Made) -> Iterator[Told]:
        """Make the missing layers complete, each for its place on those below it."""
        for at, (chain, path) in enumerate(zip(image.chains, image.found.layers, strict=True)):
            if self._store.layers.has(chain) or chain in self._drafts:
                continue
            draft, result = self._unpacked(path)
            diff_id = image.found.config.rootfs.diff_ids[at]
            self._store.layers.settle(draft, result, diff_id, image.chains[:at], self._drafts)
            self._drafts[chain] = draft
            size = image.manifest.layers[at].size
            yield Progress(digest.encoded(diff_id)[:_SHORT], "Loading layer", size, size)

    def _unpacked(self, path: str) -> tuple[Draft, Result]:
        """The layer as it came in; a second time (on top of other layers), or if it did not come, from its blob."""
        layer = self.members.layer(path)
        if isinstance(layer, Incoming) and id(layer) not in self._used:
            self._used.add(id(layer))
            return layer.draft, _result(layer)
        blob = layer.blob.path if isinstance(layer, Incoming) else self._store.blobs.path(layer.blob.digest)
        draft = self._held.enter_context(self._store.layers.draft())
        job = self._workers.unpack(draft.path, draft.lock, blob)
        try:
            job.complete()
            return draft, job.result()
        finally:
            job.close()


def _as_made(found: Found, layers: tuple[Descriptor, ...], chains: tuple[Digest, ...]) -> _Made:
    config = Descriptor(media_type=OCI_CONFIG, digest=digest.of(found.config_content), size=len(found.config_content))
    manifest = Manifest(schema_version=2, media_type=OCI_MANIFEST, config=config, layers=layers)
    return _Made(found, manifest, msgspec.json.encode(manifest), OCI_MANIFEST, chains)


def _same(ones: Sequence[Descriptor], others: Sequence[Descriptor]) -> bool:
    return [one.digest for one in ones] == [other.digest for other in others]


def _result(layer: Incoming) -> Result:
    assert layer.waiting is not None
    return layer.waiting.result()


def _layers_of(store: ImageStore) -> dict[Digest, Known]:
    """Every layer of every image that can be read, by the digest of its blob and by that of its content."""
    found: dict[Digest, Known] = {}
    for image in store.list():
        try:
            layers = store.read(image.manifest.digest, Manifest).layers
        except PydockerError:  # damaged since it was listed: no reason to load nothing
            continue
        for blob, diff_id in zip(layers, image.config.rootfs.diff_ids, strict=True):
            found.setdefault(diff_id, Known(blob, diff_id))
            found[blob.digest] = Known(blob, diff_id)
    return found


def _told(image: _Made, before: Mapping[Reference, Digest | None]) -> Iterator[str]:
    id = image.manifest.config.digest
    for name in image.found.names:
        if before[name] not in (None, id):
            yield (f"The image {name.familiar()} already exists, renaming the old one with ID {before[name]} "
                   "to empty string")
        yield f"Loaded image: {name.familiar()}"
    if not image.found.names:
        yield f"Loaded image ID: {id}"
