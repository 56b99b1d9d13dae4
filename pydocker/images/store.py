"""The images directory: an OCI image layout that skopeo and umoci can read as it is, and the questions asked of it.

    images/oci-layout  index.json  blobs/sha256/…      image-layout.md of the OCI image spec
    images.lock        beside it: shared by who relies on an image staying (a container being created),
                       exclusive for whoever changes index.json

Documents and layers are written and synced before index.json names them, so whatever it names is there.
"""

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from pydocker.config import LARGEST_LAYER
from pydocker.errors import InvalidParameter, NotFound, PydockerError
from pydocker.images import leases, partial, pruning, removal
from pydocker.images.catalog import Catalog, name_of, new_name
from pydocker.images.graph import Graph, Parts
from pydocker.images.pruning import Pruned
from pydocker.images.reading import Reader, named
from pydocker.images.removal import Removed
from pydocker.layers.store import LayerStore
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Image, ImageConfig
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference
from pydocker.model.usage import Bytes
from pydocker.paths import Paths, make_own
from pydocker.storage import documents, locks
from pydocker.storage.blobs import Blobs

T = TypeVar("T")

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_HEXADECIMAL = frozenset("0123456789abcdef")
_WHOLE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}", re.ASCII)
_log = logging.getLogger(__name__)


class ImageStore:
    """All images below one data root. Holds no truth, only documents that cannot change. Thread-safe."""

    def __init__(self, paths: Paths, ceiling: int = LARGEST_LAYER) -> None:
        """`ceiling` is what one layer may become at most, in bytes."""
        self.paths, self.ceiling = paths, ceiling
        self.layers = LayerStore(paths)
        self.blobs = Blobs(paths.blobs, paths.temporary)
        self.reader = Reader(paths, self.blobs, self.layers)
        self.index = paths.images / "index.json"
        self._lock = paths.images.with_name("images.lock")
        self._layout = threading.Lock()

    # -- questions -----------------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        """index.json as it is now. A store that has blobs and no list has lost it: PydockerError."""
        try:
            return documents.read(self.index, Catalog)
        except FileNotFoundError:
            if next(iter(self.blobs), None) is None:
                return Catalog()
            raise PydockerError(f"damaged document {self.index}: it is missing") from None

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        """The image that is called `name`: a reference, an id (with or without `sha256:`), or an unambiguous prefix.

        Raises NotFound with Docker's words: `No such image: x:latest`, or for an image of another platform;
        InvalidParameter: no image can be called so.
        """
        catalog = self.catalog()
        entry = self._by_name(catalog, name) or self._by_id(catalog, name)
        if entry is None:
            raise NotFound(f"No such image: {_familiar(name)}")
        image = self.reader.read(entry).image
        removal.check_platform(image, name, () if platform is None else (platform,))
        return named(image, catalog, self._manifests(catalog, image.id))

    def config(self, image: Image) -> ImageConfig:
        """What to run, and from which layers."""
        return image.config

    def find(self, reference: Reference) -> Digest | None:
        """The id of the image with exactly this name."""
        entry = self.catalog().find(name_of(reference))
        return None if entry is None else self.reader.read(entry).image.id

    def read(self, name: Digest, type: type[T]) -> T:
        """A JSON blob, decoded. Raises PydockerError for a damaged one."""
        return self.reader.document(name, type)

    def graph(self, catalog: Catalog | None = None) -> Graph:
        """What refers to what now. Raises Damaged."""
        return self.reader.graph(self.catalog() if catalog is None else catalog)

    def by_id(self, catalog: Catalog) -> Mapping[Digest, tuple[Image, Parts]]:
        """Every image that can be read, with its names, and what it needs, all of its manifests together.

        The same config and layers may have come as Docker's manifest and as OCI's: that is one image.
        """
        found: dict[Digest, tuple[list[Digest], Image, Parts]] = {}
        for entry, (image, parts) in self.reader.readable(catalog):
            manifests, first, so_far = found.get(image.id, ([], image, Parts()))
            found[image.id] = ([*manifests, entry.digest], first, so_far | parts)
        return {id: (named(image, catalog, manifests), parts) for id, (manifests, image, parts) in found.items()}

    def bytes_of(self, parts: Parts) -> Bytes:
        """How much of the disk these blobs and layers are."""
        return Bytes(sum(map(self.blobs.size, parts.blobs)), sum(map(self.reader.layer_size, parts.layers)))

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """No image is removed or renamed for the length of this block. Do not tag, pull or remove inside it."""
        with locks.held(self._lock, shared=True):
            yield

    @contextlib.contextmanager
    def leasing(self, digests: Iterable[Digest]) -> Iterator[None]:
        """These blobs and chain ids are not removed for the length of this block, whether they are here or to come."""
        with contextlib.ExitStack() as stack:
            with self.using():  # not while a removal has decided already what may go
                stack.enter_context(leases.lease(self.paths.temporary, digests))
            yield

    # -- changes -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def changing(self) -> Iterator[Callable[[Catalog], None]]:
        """Exclusive use of the catalog; what it yields writes the new one, durably."""
        with locks.held(self._lock):
            yield self._write

    def add(self, manifest: Descriptor, references: Iterable[Reference] = ()) -> Image:
        """Enter an image whose documents and layers are all on disk, under these names (none: dangling)."""
        catalog = self.add_all([(manifest, references)])
        image = self.reader.read(manifest).image
        return named(image, catalog, self._manifests(catalog, image.id))

    def add_all(self, images: Iterable[tuple[Descriptor, Iterable[Reference]]]) -> Catalog:
        """Enter several at once. Returns the catalog then.

        The files were synced before they got their names; now the names are, and then the catalog speaks of them.
        """
        for directory in (self.blobs.directory, self.paths.layers):
            documents.sync_directory(directory)
        with self.changing() as write:
            catalog = self.catalog()
            for manifest, references in images:
                catalog = catalog.with_manifest(manifest)
                for reference in references:
                    catalog = catalog.with_name(new_name(reference), manifest)
            write(catalog)
        return catalog

    def tag(self, image: Image, reference: Reference) -> None:
        """Give the image one more name; an image that had it loses it."""
        if reference.digest is not None:
            raise InvalidParameter("refusing to create a tag with a digest reference")
        if not self.name(image.manifest, reference):
            raise NotFound(f"No such image: {image.id}")

    def name(self, manifest: Descriptor, reference: Reference) -> bool:
        """Give what is in the catalog one more name. False: it was removed, and without its layers it stays so."""
        name = new_name(reference)
        with self.changing() as write:
            catalog = self.catalog()
            if not any(entry.digest == manifest.digest for entry in catalog.manifests):
                return False
            write(catalog.with_name(name, manifest))
        return True

    def remove(self, name: str, *, force: bool, users: Callable[[Digest], Sequence[str]],
               running: Callable[[str], bool] = lambda container: True,
               platforms: Sequence[Platform] = ()) -> list[Removed]:
        """`docker rmi NAME`: take away the name, and with the last name the image and the layers only it had.

        `users` gives the ids of the containers of an image, `running` tells which of them cannot be argued with.
        With `platforms`, only an image for one of them. Returns ("Untagged" | "Deleted", what) pairs; raises NotFound,
        or Conflict with Docker's words.
        """
        with contextlib.ExitStack() as after, self.changing() as write:
            image, before = self.resolve(name), self.catalog()
            removal.check_platform(image, name, platforms)
            manifests = self._manifests(before, image.id)
            decision = removal.decide(before, manifests, image.id, name, force=force,
                                      users=[(user, running(user)) for user in users(image.id)])
            going = self.graph(before).only(manifests) if decision.deletes else Parts()
            write(decision.catalog)
            self._delete(going, after)
            return [*decision.removed, *pruning.layers_removed([image], going)]

    def prune(self, wanted: Callable[[Image], bool], users: Callable[[Digest], Sequence[str]]) -> Pruned:
        """Remove every image that is `wanted` away and that no container uses, and what a crash left behind."""
        with contextlib.ExitStack() as after, self.changing() as write:
            leases.sweep(self.paths.temporary)
            catalog = self.catalog()
            images = [image for image, _ in self.by_id(catalog).values() if wanted(image) and not users(image.id)]
            gone = pruning.decide(catalog, {
                image.id: (image, self._manifests(catalog, image.id)) for image in images})
            graph = self.graph(catalog)
            going = graph.only(gone.manifests)
            if images:
                write(gone.catalog)
            freed = self._delete(going | self._orphans(graph), after) + partial.sweep(self.paths.temporary, age=0)
            return Pruned(removed=(*gone.removed, *pruning.layers_removed(images, going)), freed=freed)

    def collect(self) -> int:
        """Remove the blobs and layers that nothing refers to; the bytes freed."""
        with contextlib.ExitStack() as after, self.changing():
            leases.sweep(self.paths.temporary)
            return self._delete(self._orphans(self.graph()), after)

    def release(self, id: Digest) -> None:
        """A container of the image `id` is gone: if `rmi -f` took the image before it, its layers go now."""
        if id not in self.by_id(self.catalog()):
            try:
                self.collect()
            except PydockerError as error:
                _log.warning("the layers of %s are not removed: %s", id, error)

    def orphans(self) -> Parts:
        """The blobs and layers that nothing refers to, now."""
        with self.using():
            return self._orphans(self.graph())

    def sweep(self) -> None:
        """Take away everything that crashes left behind. For the server's start, which damage must not prevent."""
        self.make()  # an engine's very first start has nothing to sweep, and nowhere to look for it
        self.layers.sweep_drafts()
        self.blobs.sweep_drafts()
        partial.sweep(self.paths.temporary)
        locks.sweep(self.paths.temporary, ".lock")
        with self.changing():
            documents.sweep(self.paths.images)
        try:
            self.collect()
        except PydockerError as error:
            _log.warning("nothing is removed at this start: %s", error)

    def make(self) -> None:
        """Make the directory an OCI image layout, if it is none yet. Raises PydockerError."""
        with self._layout:
            make_own(self.paths.blobs)
            if not (self.paths.images / "oci-layout").exists():
                if next(iter(self.blobs), None) is None and not self.index.exists():
                    documents.write(self.index, Catalog())
                documents.replace(self.paths.images / "oci-layout", _LAYOUT)

    # -- how -----------------------------------------------------------------------------------------

    def _write(self, catalog: Catalog) -> None:
        self.make()
        documents.write(self.index, catalog)

    def _manifests(self, catalog: Catalog, id: Digest) -> tuple[Digest, ...]:
        return tuple(entry.digest for entry, (image, _) in self.reader.readable(catalog) if image.id == id)

    def _by_name(self, catalog: Catalog, name: str) -> Descriptor | None:
        try:
            return catalog.find(name_of(references.parse(name)))
        except InvalidParameter:  # an id, or nothing that could be there
            return None

    def _by_id(self, catalog: Catalog, name: str) -> Descriptor | None:
        prefix = name.removeprefix("sha256:")
        if not prefix or not _HEXADECIMAL.issuperset(prefix):
            return None
        found = {image.id: image.manifest for _, (image, _) in self.reader.readable(catalog)
                 if image.id.removeprefix("sha256:").startswith(prefix)}
        return next(iter(found.values())) if len(found) == 1 else None

    def _orphans(self, graph: Graph) -> Parts:
        """What is on disk is listed first: what comes after that has a lease, or a name, that is seen."""
        there = Parts(frozenset(self.blobs), frozenset(self.layers))
        current = msgspec.structs.replace(graph, leased=leases.leased(self.paths.temporary))
        return there - current.needed()

    def _delete(self, going: Parts, after: contextlib.ExitStack) -> int:
        """Remove these from disk; the bytes freed. `after` is closed when the lock is free again: deleting the files
        of large layers takes seconds, in which containers are created and images tagged."""
        freed = 0
        for chain in going.layers:
            if self.layers.has(chain):
                freed += self.reader.layer_size(chain)
                after.callback(self.layers.bury(chain))
        return freed + sum(map(self.blobs.remove, going.blobs))

    # last in the class: it takes the name of the type

    def list(self) -> list[Image]:
        """All images, newest first."""
        return sorted((image for image, _ in self.by_id(self.catalog()).values()),
                      key=lambda image: image.config.created or "", reverse=True)


def _familiar(name: str) -> str:
    """What was looked for. InvalidParameter: it is neither a reference nor an id."""
    return name if _WHOLE_ID.fullmatch(name) else references.parse(name).with_default_tag().familiar()
