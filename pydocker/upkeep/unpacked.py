"""Layers: is each directory still what its archive becomes?

The record of an unpacked layer is the compressed blob that it came from, which is kept anyway: the blob's digest is
verified first, then it is unpacked once more beside the layer, its uncompressed digest is compared with the image's
config, and the two trees are compared byte by byte. A list of hashes made at every pull would find as much, and would
cost every pull one more SHA-256 of every byte and one more stat of every file. This costs nothing until somebody asks,
and then one unpacking, room for the largest layer, and the comparison: 967 MB in 16,000 files took 2.1 s of processor
time, and 0.4 s to verify the 390 MB blob; the disk decides the rest. And what was unpacked for the comparison is what
mends the layer.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from pydocker.errors import NotFound, PydockerError
from pydocker.images.store import ImageStore
from pydocker.layers.compare import differences
from pydocker.layers.store import Draft, LayerRecord, chain_ids
from pydocker.layers.workers import Workers
from pydocker.model.digest import Digest
from pydocker.model.image import Manifest
from pydocker.storage import measure
from pydocker.upkeep.catalog import called
from pydocker.upkeep.findings import Finding, Findings, Summary, Tell

Resting = Callable[[Digest], contextlib.AbstractContextManager[None]]

_MOST_TOLD = 3  # differences of one layer
_AGAIN = "unpacked again from the compressed layer"


class Layer(NamedTuple):
    """Where a layer stands, and the blobs that it can be made of (one, unless images came in several forms)."""

    chain: Digest
    diff_id: Digest
    below: tuple[Digest, ...]
    blobs: tuple[Digest, ...]
    image: str


def check(store: ImageStore, good: Collection[Digest], resting: Resting, summary: Summary, tell: Tell) -> Findings:
    """Verify every layer of every image, the lowest first, so that what is unpacked stands on what was verified.

    `good` are the blobs with the right digest; in `resting(chain)`, which may raise Conflict, no container runs on it.
    """
    try:
        layers = _layers(store)
    except PydockerError:
        return  # the list of images is damaged: told already, and not mended
    total = sum(store.reader.layer_size(chain) for chain in layers)
    with Workers(store.ceiling) as workers:
        for chain, layer in layers.items():
            tell("Verifying layers", summary.layer_bytes, total)
            summary.layers += 1
            blob = next((blob for blob in layer.blobs if blob in good), None)
            yield from _layer(store, workers, layer, blob, resting, summary)
            summary.layer_bytes += store.reader.layer_size(chain)


def _layers(store: ImageStore) -> dict[Digest, Layer]:
    found: dict[Digest, Layer] = {}
    names = store.catalog()
    for entry, (image, _) in store.reader.readable(names):
        diff_ids = image.config.rootfs.diff_ids
        blobs = [blob.digest for blob in store.read(entry.digest, Manifest).layers]
        for at, (chain, diff_id, blob) in enumerate(zip(chain_ids(diff_ids), diff_ids, blobs, strict=False)):
            known = found.get(chain, Layer(chain, diff_id, image.layers[:at], (), called(names, entry.digest)))
            found[chain] = known._replace(blobs=(*known.blobs, blob))
    return dict(sorted(found.items(), key=lambda item: len(item[1].below)))


def _layer(store: ImageStore, workers: Workers, layer: Layer, blob: Digest | None, resting: Resting,
           summary: Summary) -> Findings:
    subject = f"layer {layer.chain} of {layer.image}"
    if not _is_there(store, layer.chain):
        yield (Finding(subject, "is missing", "pull its image again") if blob is None else
               Finding(subject, "is missing", _AGAIN, lambda: _replace(store, workers, layer, blob, resting)))
        return
    if blob is None:
        summary.unverified += 1
        return
    try:
        problem = _compared(store, workers, layer, blob)
    except PydockerError as error:
        if _is_needed(store, layer):
            yield Finding(subject, f"cannot be compared with its compressed layer: {error}", "pull its image again")
        return
    if problem and _is_needed(store, layer):
        yield Finding(subject, problem, _AGAIN, lambda: _replace(store, workers, layer, blob, resting))


def _compared(store: ImageStore, workers: Workers, layer: Layer, blob: Digest) -> str:
    """What is wrong with the layer, or nothing."""
    with _unpacked(store, workers, layer, blob) as (draft, implied):
        actual = store.layers.diff(layer.chain)
        try:
            found = list(itertools.islice(differences(draft.path / "diff", actual, implied), _MOST_TOLD + 1))
            if not found:
                return _recorded(store, layer, measure.content(actual))
        except OSError as error:
            return f"cannot be read: {error}"
    return "; ".join(found[:_MOST_TOLD]) + ("; and more" if len(found) > _MOST_TOLD else "")


def _recorded(store: ImageStore, layer: Layer, size: int) -> str:
    try:
        record = store.layers.record(layer.chain)
    except PydockerError as error:
        return f"its record: {error}"
    wanted = LayerRecord(diff_id=layer.diff_id, parent=layer.below[-1] if layer.below else None, size=size,
                         entries=record.entries)
    return "" if record == wanted else f"its record says {record.size} bytes, and they are {size}"


@contextlib.contextmanager
def _unpacked(store: ImageStore, workers: Workers, layer: Layer,
              blob: Digest) -> Iterator[tuple[Draft, Sequence[bytes]]]:
    """The layer made anew, and the directories in it that the archive does not name."""
    with store.layers.draft() as draft:
        job = workers.unpack(draft.path, draft.lock, store.blobs.path(blob))
        try:
            job.complete()
            result = job.result()
        finally:
            job.close()
        if f"sha256:{result.diff}" != layer.diff_id:
            raise PydockerError(f"the compressed layer {blob} becomes sha256:{result.diff}, not {layer.diff_id}")
        store.layers.settle(draft, result, layer.diff_id, layer.below)
        yield draft, result.unpacked.implied


def _replace(store: ImageStore, workers: Workers, layer: Layer, blob: Digest, resting: Resting) -> None:
    """Put a fresh one in the layer's place. Raises Conflict while a container runs on it: overlayfs would lose it."""
    with resting(layer.chain):
        pass  # before the work is done, and once more after it: containers start meanwhile
    with _unpacked(store, workers, layer, blob) as (draft, _):
        store.layers.sync()
        _exchange(store, draft, layer, resting)
    store.reader.forget()


def _exchange(store: ImageStore, draft: Draft, layer: Layer, resting: Resting) -> None:
    """Two renames, with no container created, removed or started between them; the old files go after that."""
    with contextlib.ExitStack() as after, store.changing(), resting(layer.chain):
        if not _is_needed(store, layer):
            return  # removed meanwhile, with its image
        if store.layers.has(layer.chain):
            after.callback(store.layers.bury(layer.chain))
        store.layers.commit(draft, layer.chain)


def _is_there(store: ImageStore, chain: Digest) -> bool:
    try:
        return store.layers.diff(chain).is_dir()
    except NotFound:
        return False


def _is_needed(store: ImageStore, layer: Layer) -> bool:
    """Not removed while it was looked at. Where that cannot be told, it is."""
    try:
        return layer.chain in store.graph().needed().layers
    except PydockerError:
        return True
