"""`docker push`: the blobs as they are kept, then the manifest, which gives them a name. A push is a copy.

    config and layers, each in a thread:   HEAD: there already?   mount from a neighbour   upload
        │
    PUT manifests/<tag>: byte for byte the document that is here, so the digest is the same everywhere

Nothing is packed again: what came compressed from a registry, or was compressed when it was made, is what goes out. The
neighbours are the repositories of the same registry that this engine knows to have a blob, because it has pulled it
from there, or pushed it to there.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

import msgspec

from pydocker.errors import InvalidParameter, NotFound, PydockerError
from pydocker.images.catalog import name_of
from pydocker.images.progress import ANYBODY, SILENCE, Bar, Progress, Tell
from pydocker.images.store import ImageStore
from pydocker.model import reference as references
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, ImageConfig, Manifest
from pydocker.model.platform import Platform, normalised
from pydocker.model.reference import Reference
from pydocker.registry.manifest import Fetched
from pydocker.registry.message import PIECE
from pydocker.registry.repository import Repository
from pydocker.registry.upload import Uploads
from pydocker.storage.blobs import Blobs

_AT_ONCE = 5  # as many uploads as Docker has on their way
_MOST_NEIGHBOURS = 8  # scopes of one token: their servers read them out of a URL

Open = Callable[[Sequence[str]], Repository]


class Pushed(msgspec.Struct, frozen=True, rename="pascal"):
    """What a push tells at its end, for programs (`aux`)."""

    tag: str
    digest: str
    size: int


class TellPushed(Protocol):
    """Hears the end of one tag's push."""

    def __call__(self, pushed: Pushed) -> None: ...


class Stopped(Exception):
    """Another blob failed."""


@dataclass(frozen=True)
class _Image:
    """What is to be pushed. `names` are what its layers are called while they are on their way, as in Docker."""

    document: Fetched
    config: Descriptor
    layers: tuple[Descriptor, ...]
    names: tuple[Digest, ...]

    @property
    def blobs(self) -> tuple[tuple[Descriptor, Digest | None], ...]:
        """Every blob once, the largest first (it takes longest), with the name that a person is shown."""
        shown: dict[Digest, tuple[Descriptor, Digest | None]] = {self.config.digest: (self.config, None)}
        for layer, name in zip(self.layers, self.names, strict=True):
            shown.setdefault(layer.digest, (layer, name))
        return tuple(sorted(shown.values(), key=lambda blob: -blob[0].size))


def tags_of(store: ImageStore, reference: Reference) -> list[Reference]:
    """Every name in a repository that could be pushed. Raises NotFound in Docker's words if there is none."""
    prefix = f"{reference.name}:"
    names = {name for entry in store.catalog().unique() for name in store.catalog().names(entry.digest)}
    found = sorted(name for name in names if name.startswith(prefix) and "@" not in name)
    if not found:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    return [references.parse(name) for name in found]


def push(store: ImageStore, open: Open, reference: Reference, platform: Platform | None, tell: Tell,
         tell_pushed: TellPushed) -> None:
    """Push the image that is called `reference` (which has a tag) under that name.

    `open(neighbours)` opens the repository; `tell` is called from several threads, and ends the push if it raises.
    Raises NotFound, the registry's errors, PydockerError for a blob that is not kept.
    """
    if reference.digest is not None:
        raise InvalidParameter("cannot push a digest reference")
    wanted = reference.with_default_tag()
    image = _found(store, wanted, platform)
    blobs = [blob.digest for blob, _ in image.blobs]
    with store.leasing([image.document.digest, *blobs]):
        neighbours = _neighbours(store, wanted, blobs)
        with open(list(dict.fromkeys(neighbours.values()))[:_MOST_NEIGHBOURS]) as repository:
            with repository.interruptible() as interrupt:
                _Push(repository.uploads(), store.blobs, neighbours, tell, interrupt).run(image)
            repository.put_manifest(wanted.tag or "", image.document)
        _tell_end(store, wanted, image, tell, tell_pushed)


def _tell_end(store: ImageStore, wanted: Reference, image: _Image, tell: Tell, tell_pushed: TellPushed) -> None:
    digest, size = image.document.digest, len(image.document.content)
    described = Descriptor(media_type=image.document.media_type, digest=digest, size=size)
    # It is there now under this digest, too: docker images shows it. An image that was removed meanwhile stays removed.
    store.name(described, wanted.with_digest(digest))
    tell(Progress("", f"{wanted.tag}: digest: {digest} size: {size}"))
    tell_pushed(Pushed(wanted.tag or "", digest, size))


def _found(store: ImageStore, wanted: Reference, platform: Platform | None) -> _Image:
    entry = store.catalog().find(name_of(wanted))
    if entry is None:
        tags_of(store, wanted)  # other words where nothing of that repository is here
        raise NotFound(f"tag does not exist: {wanted.familiar()}")
    content = store.blobs.read(entry.digest)
    manifest = store.read(entry.digest, Manifest)
    config = store.resolve(str(wanted)).config
    if platform is not None and _platform(config) != platform:
        raise NotFound(f"image with reference {wanted.familiar()} was found but does not match the specified platform: "
                       f"wanted {platform}, actual: {_platform(config)}")
    fetched = Fetched(entry.media_type or manifest.media_type, entry.digest, content)
    return _Image(fetched, manifest.config, manifest.layers, config.rootfs.diff_ids)


def _platform(config: ImageConfig) -> Platform:
    return normalised(config.os or "linux", config.architecture, config.variant)


def _neighbours(store: ImageStore, wanted: Reference, blobs: Sequence[Digest]) -> dict[Digest, str]:
    """For each blob a repository of the same registry that has it, as far as this engine knows."""
    found: dict[Digest, str] = {}
    catalog = store.catalog()
    for entry in catalog.unique():
        for other in _registered(catalog.names(entry.digest), wanted):
            for blob in _blobs(store, entry):
                if blob in blobs:
                    found.setdefault(blob, other)
    return found


def _blobs(store: ImageStore, entry: Descriptor) -> Sequence[Digest]:
    """None of a damaged image: it is `system check`'s affair, and spoils no other image's push."""
    with contextlib.suppress(PydockerError):
        manifest = store.read(entry.digest, Manifest)
        return [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
    return []


def _registered(names: Sequence[str], wanted: Reference) -> Iterator[str]:
    """The repositories among an image's names that a registry has called by digest: there it has been."""
    for name in names:
        known = references.parse(name)
        if known.digest and known.domain == wanted.domain and known.path != wanted.path:
            yield known.path


class _Push:
    """The blobs of one image on their way."""

    def __init__(self, uploads: Uploads, blobs: Blobs, neighbours: Mapping[Digest, str], tell: Tell,
                 interrupt: Callable[[], None]) -> None:
        self._uploads, self._blobs, self._neighbours, self._tell = uploads, blobs, neighbours, tell
        self._interrupt = interrupt
        self._stopped = threading.Event()
        self._failures: list[BaseException] = []  # the first one is the cause of the others

    def run(self, image: _Image) -> None:
        """Raises the first failure; the other threads have ended then."""
        for name in image.names:
            Bar(name, 0, self._tell).say("Preparing")
        with ThreadPoolExecutor(_AT_ONCE, "push") as pool:
            waiting = [pool.submit(self._bring, blob, name) for blob, name in image.blobs]
            self._await(waiting)
        if self._failures:
            raise self._failures[0]

    def _await(self, waiting: Sequence[Future[None]]) -> None:
        """Until all have come to their end. Once one has failed, or nobody listens any more, that is soon."""
        try:
            while wait(waiting, SILENCE, FIRST_EXCEPTION).not_done:
                self._tell(ANYBODY)
                if self._stopped.is_set():
                    return self._interrupt()
        except BaseException:
            self._stopped.set()
            self._interrupt()
            raise

    def _bring(self, blob: Descriptor, name: Digest | None) -> None:
        bar = Bar(name, blob.size, self._tell) if name else None
        try:
            outcome = self._brought(blob, bar)
        except BaseException as error:
            self._failures.append(error)
            self._stopped.set()
            raise
        if bar is not None:
            bar.say(outcome)

    def _brought(self, blob: Descriptor, bar: Bar | None) -> str:
        if self._stopped.is_set():
            raise Stopped
        if self._uploads.has(blob.digest):
            return "Layer already exists"
        if not self._blobs.has(blob.digest):
            raise PydockerError(f"push {blob.digest}: the compressed layer is not kept here, and not in the registry")
        neighbour = self._neighbours.get(blob.digest)
        source = _Kept(self._blobs.path(blob.digest), blob, lambda done: self._moved(bar, done))
        return f"Mounted from {neighbour}" if self._uploads.send(source, neighbour) else "Pushed"

    def _moved(self, bar: Bar | None, done: int) -> None:
        if self._stopped.is_set():
            raise Stopped
        if bar is not None:
            bar.move("Pushing", done)


@dataclass(frozen=True)
class _Kept:
    """A blob of the store as an upload's source."""

    path: Path
    blob: Descriptor
    moved: Callable[[int], None]

    @property
    def digest(self) -> Digest:
        return self.blob.digest

    @property
    def size(self) -> int:
        return self.blob.size

    def part(self, start: int, length: int) -> "_Part":
        return _Part(self, start, length)


@dataclass(frozen=True)
class _Part:
    """Some bytes of a file, read while they are sent, as often as they are."""

    source: _Kept
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        with self.source.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            while left:
                piece = _read(file, min(PIECE, left))
                left -= len(piece)
                yield piece
                self.source.moved(self.start + self.length - left)


def _read(file: FileIO, size: int) -> bytes:
    """Some bytes. Raises PydockerError, never OSError: that would be taken for the network's."""
    try:
        piece = file.read(size)
    except OSError as error:
        raise PydockerError(f"read {file.name}: {os.strerror(error.errno or 0).lower()}") from error
    if not piece:
        raise PydockerError(f"damaged blob {file.name}: it is shorter than its manifest says")
    return piece
