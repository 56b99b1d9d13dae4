"""Blobs: is each what its name says? One SHA-256 of every byte, and nothing else: about 1 GB/s a core, or the disk's
speed. Hashing releases the interpreter lock, so the server goes on with its other work."""

import hashlib
from functools import partial

from pydocker.errors import PydockerError
from pydocker.images.store import ImageStore
from pydocker.model.digest import Digest
from pydocker.upkeep.findings import Finding, Findings, Summary, Tell

_PIECE = 1 << 20


def check(store: ImageStore, good: set[Digest], summary: Summary, tell: Tell) -> Findings:
    """Verify every blob; the right ones are added to `good`."""
    blobs = sorted(store.blobs)
    total = sum(map(store.blobs.size, blobs))
    for name in blobs:
        tell("Verifying blobs", summary.blob_bytes, total)
        try:
            right, size = _verified(store, name)
        except FileNotFoundError:  # removed meanwhile
            continue
        summary.blobs += 1
        summary.blob_bytes += size
        if right:
            good.add(name)
        else:
            yield Finding(f"blob {name}", "its content has another digest",
                          "removed: pull its image again to bring it back", partial(_remove, store, name))
    for path in store.blobs.strangers():
        yield Finding(f"file {path}", "is no blob", "move it away by hand")


def _verified(store: ImageStore, name: Digest) -> tuple[bool, int]:
    hashed, size = hashlib.sha256(), 0
    with open(store.blobs.path(name), "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            hashed.update(piece)
            size += len(piece)
    return f"sha256:{hashed.hexdigest()}" == name, size


def _remove(store: ImageStore, name: Digest) -> None:
    """Unless a pull has brought it anew meanwhile."""
    with store.changing():
        if _verified(store, name)[0]:
            raise PydockerError("it is right now")
        store.blobs.remove(name)
        store.reader.forget()
