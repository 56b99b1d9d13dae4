"""One layer's way from the registry into a partial blob and into a draft, in a thread of its own.

    registry ──> tmp/partial-…     the registry client's iteration ends only if all bytes were right
                    └── read by the child that unpacks, while it grows

What an interrupted pull left of the blob is not fetched again, but digested again: if it is damaged, everything is
fetched after all. A blob that an image had once is used instead of the registry, with the same distrust.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pydocker.errors import PydockerError, Unavailable
from pydocker.images.documents import MISMATCH, Layer
from pydocker.images.partial import Partial
from pydocker.images.progress import Bar, Tell
from pydocker.layers.foreman import Result
from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import Draft, LayerStore
from pydocker.layers.workers import Job, Workers
from pydocker.model.digest import Digest
from pydocker.registry.blob import Begun, Misled
from pydocker.registry.repository import Repository
from pydocker.storage.blobs import Blobs


class Stopped(Exception):
    """Another layer failed, or nobody wants the image any more."""


class Transfers:
    """What the layer threads of one pull share. A context manager: leaving it lets go of the partial blobs."""

    def __init__(self, repository: Repository, blobs: Blobs, temporary: Path, layers: LayerStore, workers: Workers,
                 tell: Tell) -> None:
        self._repository, self._blobs, self._layers, self._workers = repository, blobs, layers, workers
        self._temporary, self._tell = temporary, tell
        self._jobs: set[Job] = set()
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._partials: dict[Digest, Partial] = {}
        self._flusher = ThreadPoolExecutor(1, "flusher")
        self._flushes: list[Future[None]] = []

    def __enter__(self) -> "Transfers":
        return self

    def __exit__(self, *error: object) -> None:
        self._flusher.shutdown(cancel_futures=True)
        for partial in self._partials.values():
            partial.close()

    def stop(self) -> None:
        """Let all threads end soon."""
        self._stopped.set()
        for job in tuple(self._jobs):
            job.stop()

    def sync(self) -> None:
        """Everything that was written is on disk when this returns. Raises OSError where that was impossible."""
        self._layers.sync()
        for flush in self._flushes:
            flush.result()  # the kernel tells a failed write once, to whoever syncs first

    def commit(self) -> None:
        """Make blobs of what was fetched; after `sync`."""
        for partial in self._partials.values():
            partial.commit(self._blobs)

    def discard(self) -> None:
        """Keep nothing for a later pull: it would fail as well."""
        for partial in self._partials.values():
            partial.discard()

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
        partial = self._partial(layer.blob.digest)
        with partial.guard:
            if partial.size > layer.blob.size:
                partial.empty()
            while True:  # at most once for what was kept, and once for each mirror
                with contextlib.ExitStack() as stack:
                    job = None if draft is None else stack.enter_context(self._job(draft, partial.path))
                    kept = partial.size
                    try:
                        if not partial.complete:
                            self._download(layer, partial, job, bar)
                    except Unavailable as error:
                        if not (isinstance(error, Misled) or 0 < kept <= layer.blob.size <= partial.size):
                            raise
                        self._begin_anew(partial, draft, job)
                    else:
                        return self._arrived(layer, partial, job, bar)

    def _arrived(self, layer: Layer, partial: Partial, job: Job | None, bar: Bar) -> Result | None:
        partial.complete = True
        bar.say("Download complete")
        return None if job is None else self._unpacked(layer, job, bar)

    @staticmethod
    def _begin_anew(partial: Partial, draft: Draft | None, job: Job | None) -> None:
        """What is here of the blob is damaged. Its child has to end before its directory can be emptied."""
        if draft is not None and job is not None:
            job.complete()
            with contextlib.suppress(PydockerError):
                job.result()
            draft.empty()
        partial.empty()

    def _partial(self, blob: Digest) -> Partial:
        """One for all layers with the same blob."""
        with self._guard:
            if blob not in self._partials:
                self._partials[blob] = Partial(self._temporary, blob)
            return self._partials[blob]

    def _download(self, layer: Layer, partial: Partial, job: Job | None, bar: Bar) -> None:
        if partial.size and job is not None:
            job.more()
        with self._repository.blob(layer.blob, Begun(partial.size, partial.check)) as pieces:
            for piece in pieces:
                if self._stopped.is_set():
                    raise Stopped
                partial.write(piece)
                if job is not None:
                    job.more()
                bar.move("Downloading", partial.size)
        bar.say("Verifying Checksum")  # done: the iteration would have raised

    def _unpacked(self, layer: Layer, job: Job, bar: Bar) -> Result:
        job.complete()
        result = job.result(lambda taken: bar.move("Extracting", taken))
        if f"sha256:{result.diff}" != layer.diff_id:
            raise Unavailable(MISMATCH)
        # the sync that counts comes with the last layer; begun now, the disk works while the others need the CPU
        self._flushes.append(self._flusher.submit(self._layers.sync))
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
