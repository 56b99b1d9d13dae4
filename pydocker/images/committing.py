"""`docker commit`: a container's changes become a layer on top of its image, and both a new image.

    parent's layers + one archive ──> manifest
    parent's history + one entry, the container's settings ──> config

As with `import`, the archive is compressed into a blob and unpacked at the same time (`archive_layers`); what a
container changed is read once. One that has changed nothing makes an image of the same layers.
"""

import time
from collections.abc import Iterator

import msgspec

from pydocker.errors import NotFound, PydockerError
from pydocker.images.archive_layers import Incoming, Source, collected
from pydocker.images.catalog import new_name
from pydocker.images.store import ImageStore
from pydocker.layers.store import chain_ids
from pydocker.layers.workers import Workers
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import (
    DOCKER_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
    History,
    Image,
    ImageConfig,
    ImageDefaults,
    Manifest,
    RootFS,
)
from pydocker.model.reference import Reference

_OCI = {DOCKER_LAYER: OCI_LAYER, DOCKER_LAYER_GZIP: OCI_LAYER_GZIP, DOCKER_LAYER_ZSTD: OCI_LAYER_ZSTD}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the new image says about itself."""

    defaults: ImageDefaults
    author: str = ""
    comment: str = ""
    created_by: str = ""


def commit(store: ImageStore, parent: Image, content: Iterator[bytes] | None, told: Told,
           reference: Reference | None) -> Image:
    """Make the image, and give it the name. `content` is the layer's archive; None: nothing was changed.

    Raises InvalidParameter for a name that no image may have, NotFound where a part of the parent is missing,
    PydockerError for a full disk.
    """
    names = [] if reference is None else [reference.with_default_tag()]
    for name in names:
        new_name(name)  # before anything is read, or made, for nothing
    below = store.read(parent.manifest.digest, Manifest)
    parts = [parent.id, *(layer.digest for layer in below.layers), *parent.layers]
    with store.leasing(parts):
        for layer in below.layers:
            if not store.blobs.has(layer.digest):
                raise NotFound(f"blob {layer.digest} of image {parent.id} is missing")
        if content is None:
            return _finish(store, parent, below, told, (), names)
        try:
            with Workers(store.ceiling) as workers, Incoming(store, workers, Source(content)) as incoming:
                incoming.take()
                return _with_layer(store, parent, below, told, incoming, names)
        except OSError as error:
            raise PydockerError(f"commit: {(error.strerror or str(error)).lower()}") from error


def _with_layer(store: ImageStore, parent: Image, below: Manifest, told: Told, layer: Incoming,
                names: list[Reference]) -> Image:
    result = layer.result()
    diff = Digest(f"sha256:{result.diff}")
    chain = chain_ids((*parent.config.rootfs.diff_ids, diff))[-1]
    with collected(store), store.leasing([chain, layer.blob.digest]):
        store.layers.settle(layer.draft, result, diff, parent.layers)
        store.blobs.commit(layer.blob)
        store.layers.sync()
        store.layers.commit(layer.draft, chain)
        return _finish(store, parent, below, told, ((diff, layer.descriptor),), names)


def _finish(store: ImageStore, parent: Image, below: Manifest, told: Told, new: tuple[tuple[Digest, Descriptor], ...],
            names: list[Reference]) -> Image:
    config = msgspec.json.encode(_config(parent.config, told, tuple(diff for diff, _ in new)))
    layers = (*(_as_oci(layer) for layer in below.layers), *(layer for _, layer in new))
    manifest = msgspec.json.encode(Manifest(
        schema_version=2, media_type=OCI_MANIFEST, layers=layers,
        config=Descriptor(media_type=OCI_CONFIG, digest=digest.of(config), size=len(config))))
    entry = Descriptor(media_type=OCI_MANIFEST, digest=digest.of(manifest), size=len(manifest))
    with collected(store), store.leasing([digest.of(config), entry.digest]):
        store.blobs.add(config)
        store.blobs.add(manifest)
        return store.add(entry, names)


def _as_oci(layer: Descriptor) -> Descriptor:
    return msgspec.structs.replace(layer, media_type=_OCI.get(layer.media_type, layer.media_type))


def _config(parent: ImageConfig, told: Told, new: tuple[Digest, ...]) -> ImageConfig:
    now = time.time_ns()
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09}Z"
    entry = History(created=created, created_by=told.created_by, author=told.author, comment=told.comment,
                    empty_layer=not new)
    return ImageConfig(
        architecture=parent.architecture, os=parent.os, variant=parent.variant, created=created, author=told.author,
        config=told.defaults, rootfs=RootFS(type="layers", diff_ids=(*parent.rootfs.diff_ids, *new)),
        history=(*parent.history, entry))
