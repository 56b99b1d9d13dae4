"""Images: can each be used? Its documents have to be readable, and its compressed layers to be there.

An image whose manifest or config is lost can neither be listed nor run, and keeps the engine from telling what nobody
needs: it is taken out of the list. A lost compressed layer hurts less: the image runs, and cannot be pushed or saved.
"""

import os
from collections.abc import Iterator
from functools import partial

import msgspec

from pydocker.errors import PydockerError
from pydocker.images.catalog import Catalog
from pydocker.images.reading import Damaged
from pydocker.images.store import ImageStore
from pydocker.model import reference
from pydocker.model.digest import Digest
from pydocker.model.image import MANIFESTS, OCI_MANIFEST, Descriptor, Manifest
from pydocker.upkeep.findings import Finding, Findings, Summary

_LARGEST = 4 << 20  # bytes: no manifest is larger


def check(store: ImageStore, summary: Summary) -> Findings:
    """The list of images, then every image."""
    try:
        store.catalog()
    except PydockerError as error:
        yield Finding("list of images", str(error), "made anew from the manifests: the images have no names any more",
                      lambda: _rebuild(store))
    store.reader.forget()
    yield from _images(store, summary)


def _images(store: ImageStore, summary: Summary) -> Findings:
    try:
        catalog = store.catalog()
    except PydockerError:
        return  # told already, and not mended
    for entry in catalog.unique():
        summary.images += 1
        subject = f"image {called(catalog, entry.digest)}"
        try:
            store.reader.read(entry)
        except Damaged as error:
            yield Finding(subject, str(error.__cause__), "taken out of the list: pull it again",
                          partial(_forget, store, entry))
            continue
        for layer in store.read(entry.digest, Manifest).layers:
            if not store.blobs.has(layer.digest):
                yield Finding(subject, f"its compressed layer {layer.digest} is missing",
                              "pull it again to bring that back")


def called(catalog: Catalog, manifest: Digest) -> str:
    """An image's name as people know it, or its manifest's digest if it has none."""
    names = sorted(reference.parse(name).familiar() for name in catalog.names(manifest))
    return names[0] if names else manifest


def _forget(store: ImageStore, entry: Descriptor) -> None:
    with store.changing() as write:
        write(store.catalog().without_manifest(entry.digest))


def _rebuild(store: ImageStore) -> None:
    """The damaged list is kept beside the new one."""
    with store.changing() as write:
        if store.index.exists():
            os.rename(store.index, store.index.with_name("index.json.damaged"))
        write(Catalog(manifests=tuple(_found(store))))


def _found(store: ImageStore) -> Iterator[Descriptor]:
    """Every blob that is the manifest of an image whose documents are here."""
    for name in sorted(store.blobs):
        size = store.blobs.size(name)
        if size > _LARGEST:
            continue
        try:
            manifest = msgspec.json.decode(store.blobs.read(name), type=Manifest)
            entry = Descriptor(media_type=manifest.media_type or OCI_MANIFEST, digest=name, size=size)
            store.reader.read(entry)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, PydockerError):
            continue
        if entry.media_type in MANIFESTS:
            yield entry
