"""One layer's way from the registry into the blobs and into a draft, in a thread of its own.

    registry ──> blob draft ──> blobs/sha256/…       the registry client's iteration ends only if all bytes were right
                    └── read by the child that unpacks, while it grows

A blob that is there already (an interrupted pull, an image whose name went) is used instead of the registry; should it
turn out to be damaged, it is removed and fetched after all.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from pydocker.errors import PydockerError, Unavailable
from pydocker.images.documents import MISMATCH, Layer
from pydocker.images.progress import Bar, Tell
from pydocker.layers.foreman import Result
from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import Draft, LayerStore
from pydocker.layers.workers import Job, Workers
from pydocker.registry.repository import Repository
from pydocker.storage.blobs import BlobDraft, Blobs


class Stopped(Exception):
    """Another layer failed, or nobody wants the image any more."""


class Transfers:
    """What the layer threads of one pull share."""

    def __init__(self, repository: Repository, blobs: Blobs, layers: LayerStore, workers: Workers, tell: Tell) -> None:
        self._repository, self._blobs, self._layers, self._workers = repository, blobs, layers, workers
        self._tell = tell
        self._jobs: set[Job] = set()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let all threads end soon."""
        self._stopped.set()
        for job in tuple(self._jobs):
            job.stop()

    def fetch(self, layer: Layer, draft: Draft | None) -> Result | None:
        """Get the layer's blob, and unpack it into `draft` unless that is None (it is unpacked already).

        Raises Unavailable, ArchiveError, PydockerError (disk full), Stopped.
        """
        bar = Bar(layer.blob.digest, layer.blob.size, self._tell)
        try:
            if draft is not None and self._blobs.has(layer.blob.digest):
                with contextlib.suppress(ArchiveError, Unavailable):
                    return self._unpack_again(layer, draft, bar)
                self._blobs.remove(layer.blob.digest)
                draft.empty()
            return self._fetch(layer, draft, bar)
        except OSError as error:
            raise PydockerError(f"store layer {layer.blob.digest}: {os.strerror(error.errno or 0).lower()}") from error

    def _unpack_again(self, layer: Layer, draft: Draft, bar: Bar) -> Result:
        with self._job(draft, self._blobs.path(layer.blob.digest)) as job:
            return self._unpacked(layer, job, bar)

    def _fetch(self, layer: Layer, draft: Draft | None, bar: Bar) -> Result | None:
        with self._blobs.draft(layer.blob.digest) as blob, contextlib.ExitStack() as stack:
            job = None if draft is None else stack.enter_context(self._job(draft, blob.path))
            self._download(layer, blob, job, bar)
            self._blobs.commit(blob)
            bar.say("Download complete")
            return None if job is None else self._unpacked(layer, job, bar)

    def _download(self, layer: Layer, blob: BlobDraft, job: Job | None, bar: Bar) -> None:
        with self._repository.blob(layer.blob) as pieces:
            for piece in pieces:
                if self._stopped.is_set():
                    raise Stopped
                blob.write(piece)
                if job is not None:
                    job.more()
                bar.move("Downloading", blob.size)
        bar.say("Verifying Checksum")  # done: the iteration would have raised

    def _unpacked(self, layer: Layer, job: Job, bar: Bar) -> Result:
        job.complete()
        result = job.result(lambda taken: bar.move("Extracting", taken))
        if f"sha256:{result.diff}" != layer.diff_id:
            raise Unavailable(MISMATCH)
        # the sync that counts comes with the last layer; begun now, the disk works while the others need the CPU
        self._layers.sync()
        return result

    @contextlib.contextmanager
    def _job(self, draft: Draft, blob: Path) -> Iterator[Job]:
        job = self._workers.unpack(draft.path, draft.lock, blob)
        self._jobs.add(job)
        try:
            if self._stopped.is_set():
                raise Stopped
            yield job
        finally:
            self._jobs.discard(job)
            job.close()
