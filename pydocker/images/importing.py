"""`docker import`: the archive of a whole root file system becomes an image of one layer. See `archive_layers`."""

import os
import time
from collections.abc import Iterable, Sequence

import msgspec

from pydocker.errors import InvalidParameter, NotSupported, PydockerError
from pydocker.images.archive_layers import Incoming, Source, collected
from pydocker.images.catalog import new_name
from pydocker.images.changes import changed
from pydocker.images.store import ImageStore
from pydocker.layers.workers import Workers
from pydocker.model import digest
from pydocker.model import platform as platforms
from pydocker.model.digest import Digest
from pydocker.model.image import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    History,
    Image,
    ImageConfig,
    ImageDefaults,
    Manifest,
    RootFS,
)
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference


def import_(store: ImageStore, stream: Iterable[bytes], reference: Reference | None = None,
            changes: Sequence[str] = (), message: str = "Imported from -", platform: Platform | None = None) -> Image:
    """Make an image of the root file system's archive that `stream` is (in pieces of any size).

    Raises InvalidParameter for a reference with a digest or a wrong change, NotSupported for another system's platform,
    ArchiveError for what is no archive, PydockerError for a full disk.
    """
    if reference is not None and reference.digest is not None:
        raise InvalidParameter("cannot import digest reference")
    if reference is not None:
        new_name(reference)  # before the archive is read for nothing
    if platform is not None and platform.os != "linux":
        raise NotSupported(f'operating system "{platform.os[:20]}" is not supported')
    defaults = changed(ImageDefaults(), changes)
    try:
        store.make()
        with Workers(store.ceiling) as workers, Incoming(store, workers, Source(iter(stream))) as layer:
            layer.take()
            return _finish(store, layer, defaults, message, platform or platforms.host(), reference)
    except OSError as error:
        raise PydockerError(f"import: {os.strerror(error.errno or 0).lower()}") from error


def _finish(store: ImageStore, layer: Incoming, defaults: ImageDefaults, message: str, platform: Platform,
            reference: Reference | None) -> Image:
    result = layer.result()
    diff = Digest(f"sha256:{result.diff}")
    config = msgspec.json.encode(_config(defaults, diff, message, platform))
    manifest = msgspec.json.encode(Manifest(
        schema_version=2, media_type=OCI_MANIFEST, layers=(layer.descriptor,),
        config=Descriptor(media_type=OCI_CONFIG, digest=digest.of(config), size=len(config))))
    entry = Descriptor(media_type=OCI_MANIFEST, digest=digest.of(manifest), size=len(manifest))
    with collected(store), store.leasing([diff, layer.blob.digest, digest.of(config), entry.digest]):
        store.layers.settle(layer.draft, result, diff, ())
        store.blobs.commit(layer.blob)
        store.blobs.add(config)
        store.blobs.add(manifest)
        store.layers.sync()
        store.layers.commit(layer.draft, diff)
        return store.add(entry, [] if reference is None else [reference.with_default_tag()])


def _config(defaults: ImageDefaults, diff: Digest, message: str, platform: Platform) -> ImageConfig:
    now = time.time_ns()
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09}Z"
    return ImageConfig(
        architecture=platform.architecture, os=platform.os, variant=platform.variant, created=created, config=defaults,
        rootfs=RootFS(type="layers", diff_ids=(diff,)), history=(History(created=created, comment=message),))
