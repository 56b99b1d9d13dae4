"""`docker pull`: documents first, then all layers at the same time, then one sync, then the name.

    manifest (or index -> platform -> manifest), config                 verified before they are parsed
        │
    layer threads, the largest layer first:
        download ──> partial blob ──> Verifying (the registry's digest)
                        └─ followed by a child process: decompress, digest, unpack ──> draft
        │
    settle in order (directories inherit from the layers below), sync the file system once, rename everything:
    partial blobs to blobs/, drafts to layers/
        │
    index.json gets the name: from here on the image exists

A layer is checked twice: its compressed bytes against the manifest, by the registry client; what came out of them
against the config's diff_ids. Whatever is killed before the last line leaves drafts, which a sweep removes, and
partial blobs, with which the next pull goes on. So does a pull that the person ended, or the network. Any other failure
leaves nothing.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from pydocker.errors import PydockerError
from pydocker.images import leases, partial
from pydocker.images.choosing import Chosen, select
from pydocker.images.documents import Layer
from pydocker.images.progress import ANYBODY, SILENCE, Bar, Progress, Tell
from pydocker.images.store import ImageStore
from pydocker.images.transfer import Transfers
from pydocker.layers.foreman import Result
from pydocker.layers.store import Draft, LayerStore
from pydocker.layers.workers import Workers
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Image
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference
from pydocker.registry.message import Broken, Unreachable
from pydocker.registry.repository import Repository
from pydocker.storage import locks

_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG))
_AT_ONCE = 4  # layers; more do not use two cores better, and each costs some MiB

Finished = Future[Result | None]


def pull(store: ImageStore, layers: LayerStore, repository: Repository, reference: Reference,
         platform: Platform | None, tell: Tell) -> Image:
    """Fetch what `reference` names (`latest` if it has neither tag nor digest), for `platform` or this machine's.

    `tell` is called in this thread only; if it raises, the pull ends. Raises the registry's errors, ArchiveError.
    """
    wanted = reference.with_default_tag()
    chosen = select(repository, wanted, platform)
    # Not before the registry has answered for the image: a pull that fails earlier is an error, and no stream.
    tell(Progress(str(wanted if wanted.digest else wanted.tag), f"Pulling from {wanted.path}"))
    with _undone(store, wanted):
        store.make()
        with _alone(store.paths.temporary, chosen.fetched.digest, tell), _leased(store, chosen):
            before = store.find(wanted)
            _Layers(store, layers, chosen.layers, tell).get(repository)
            image = _enter(store, chosen, _names(wanted, chosen.answered))
    layers.sweep_drafts()
    partial.sweep(store.paths.temporary)
    tell(Progress("", f"Digest: {chosen.answered}"))
    tell(Progress("", _status(wanted, is_new=before != image.id)))
    return image


def _enter(store: ImageStore, chosen: Chosen, names: Sequence[Reference]) -> Image:
    """Write the documents, then the names that make them an image."""
    store.blobs.add(chosen.config_content)
    store.blobs.add(chosen.fetched.content)
    return store.add(Descriptor(media_type=chosen.fetched.media_type, digest=chosen.fetched.digest,
                                size=len(chosen.fetched.content)), names)


@contextlib.contextmanager
def _undone(store: ImageStore, wanted: Reference) -> Iterator[None]:
    """Where the disk fails after layers and blobs have their names already, nothing of them stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:  # whoever listens to the pull may have failed, too
            raise
        with contextlib.suppress(OSError, PydockerError):
            store.collect()
        raise PydockerError(f"store {wanted.familiar()}: {os.strerror(error.errno).lower()}") from error


def _names(wanted: Reference, answered: Digest) -> list[Reference]:
    """Docker notes the registry's digest beside the tag; an image pulled by digest gets no tag."""
    by_digest = wanted.with_digest(answered)
    return [by_digest] if wanted.digest else [wanted, by_digest]


def _status(wanted: Reference, *, is_new: bool) -> str:
    what = "Downloaded newer image" if is_new else "Image is up to date"
    return f"Status: {what} for {wanted.familiar()}"


@contextlib.contextmanager
def _alone(temporary: Path, manifest: Digest, tell: Tell) -> Iterator[None]:
    """A second pull of the same image waits, and then finds everything there."""
    path = temporary / f"pull-{digest.encoded(manifest)}.lock"
    if locks.is_held(path):
        tell(Progress("", "Waiting for another pull of the same image"))
    with locks.held(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _leased(store: ImageStore, chosen: Chosen) -> Iterator[None]:
    needed = [chosen.fetched.digest, chosen.manifest.config.digest]
    for layer in chosen.layers:
        needed += [layer.chain, layer.blob.digest]
    with contextlib.ExitStack() as stack:
        with store.using():  # not while a removal has decided already what may go
            stack.enter_context(leases.lease(store.paths.temporary, needed))
        yield


class _Layers:
    """The layers of one image, on their way. Used by the pulling thread; the threads below it only fill the queue."""

    def __init__(self, store: ImageStore, layers: LayerStore, wanted: Sequence[Layer], tell: Tell) -> None:
        self._store, self._layers, self._wanted, self._tell = store, layers, wanted, tell
        self._events: SimpleQueue[Progress | Finished] = SimpleQueue()
        self._drafts: dict[Digest, Draft] = {}
        self._settled = 0
        self._left = False  # whether the listener did

    def get(self, repository: Repository) -> None:
        """Fetch, unpack and commit whatever is missing."""
        missing = [layer for layer in self._wanted if not self._is_here(layer)]
        for layer in self._wanted:
            self._say(layer, "Pulling fs layer" if layer in missing else "Already exists")
        if not missing:
            return
        with contextlib.ExitStack() as stack:
            for layer in missing:
                if not self._layers.has(layer.chain):
                    self._drafts[layer.chain] = stack.enter_context(self._layers.draft())
            workers = stack.enter_context(Workers(self._store.ceiling))
            transfers = stack.enter_context(Transfers(
                repository, self._store.blobs, self._store.paths.temporary, self._layers, workers, self._events.put))
            with self._kept_or_discarded(transfers), repository.noticing(self._notice), \
                    repository.interruptible() as interrupt:
                self._transfer(missing, transfers, interrupt)
                transfers.sync()
            transfers.commit()
            for chain, draft in self._drafts.items():
                self._layers.commit(draft, chain)

    def _notice(self, words: str) -> None:
        """What the layer threads hear, too, is told in this one."""
        self._events.put(Progress("", words))

    @contextlib.contextmanager
    def _kept_or_discarded(self, transfers: Transfers) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not (self._left or isinstance(error, Broken | Unreachable)):
                transfers.discard()
            raise

    def _is_here(self, layer: Layer) -> bool:
        return self._layers.has(layer.chain) and self._store.blobs.has(layer.blob.digest)

    def _transfer(self, missing: Sequence[Layer], transfers: Transfers, interrupt: Callable[[], None]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running: dict[Finished, Layer] = {}
            try:
                for place, layer in enumerate(sorted(missing, key=lambda layer: -layer.blob.size)):
                    if place >= _AT_ONCE:
                        self._say(layer, "Waiting")
                    future = pool.submit(transfers.fetch, layer, self._drafts.get(layer.chain))
                    running[future] = layer
                    future.add_done_callback(self._events.put)
                self._watch(running)
            except BaseException:
                transfers.stop()
                interrupt()  # who has ended this is not to wait for a registry that has fallen silent
                pool.shutdown(cancel_futures=True)
                raise

    def _watch(self, running: Mapping[Finished, Layer]) -> None:
        """Pass on what the threads tell, and settle each layer as soon as those below it are."""
        results: dict[Digest, Result | None] = {}
        while len(results) < len(running):
            event = self._next()
            if isinstance(event, Progress):
                self._left = True
                self._tell(event)
                self._left = False
            else:
                results[running[event].chain] = event.result()
                self._settle(results, {layer.chain for layer in running.values()})

    def _next(self) -> Progress | Finished:
        """What there is to tell. A registry may be silent for long: who has left meanwhile is noticed even so."""
        try:
            return self._events.get(timeout=SILENCE)
        except Empty:
            return ANYBODY

    def _settle(self, results: Mapping[Digest, Result | None], missing: set[Digest]) -> None:
        for layer in self._wanted[self._settled:]:
            if layer.chain in missing:
                if layer.chain not in results:
                    return
                self._finish(layer, results[layer.chain])
            self._settled += 1

    def _finish(self, layer: Layer, result: Result | None) -> None:
        if result is not None:
            below = [lower.chain for lower in self._wanted[:self._settled]]
            self._layers.settle(self._drafts[layer.chain], result, layer.diff_id, below, self._drafts)
        self._say(layer, "Pull complete")

    def _say(self, layer: Layer, status: str) -> None:
        Bar(layer.blob.digest, layer.blob.size, self._tell).say(status)
