"""Which manifest a reference stands for, and its config: chosen, verified, decoded, before any layer is fetched.

    reference ──> index ──> entry for the platform ──> manifest ──> config
           └───────────────────────────────────────────────┘

The digest under which a registry is asked for again (`name@sha256:…`) is that of the document it sent first.
"""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from pydocker.errors import NotFound, NotSupported, Unavailable
from pydocker.images.documents import MISMATCH, Layer, config_of
from pydocker.layers.store import chain_ids
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, ImageConfig, Index, Manifest
from pydocker.model.platform import Platform, candidates, choose, host, normalised
from pydocker.model.reference import Reference
from pydocker.registry import manifest as documents
from pydocker.registry.blob import Misled
from pydocker.registry.manifest import LONGEST, Fetched
from pydocker.registry.repository import Repository


class Chosen(NamedTuple):
    """One image of a registry. `answered` is the digest of the document that the reference itself stands for."""

    answered: Digest
    fetched: Fetched
    manifest: Manifest
    config: ImageConfig
    config_content: bytes

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Lowest first."""
        diff_ids = self.config.rootfs.diff_ids
        return tuple(map(Layer, chain_ids(diff_ids), diff_ids, self.manifest.layers))


def select(repository: Repository, wanted: Reference, platform: Platform | None) -> Chosen:
    """Fetch the documents of the image that `wanted` (which has a tag or a digest) names for `platform`.

    Raises NotFound, Unavailable for documents that contradict themselves, NotSupported for another system's image.
    """
    first = repository.manifest(wanted.digest or wanted.tag or "")
    fetched = first
    document = documents.decode(first)
    if isinstance(document, Index):
        entry = choose(document.manifests, platform or host())
        fetched = repository.manifest(entry.digest)
        if fetched.media_type != entry.media_type:
            raise Unavailable(f"manifest {entry.digest}: is {fetched.media_type}, its index says {entry.media_type}")
        document = documents.decode(fetched)
    if isinstance(document, Index):
        raise NotSupported(f"manifest {fetched.digest}: an index inside an index is not supported")
    content = _small_blob(repository, document.config)
    config = config_of(content)
    _check(config, document.layers, wanted, platform)
    return Chosen(first.digest, fetched, document, config, content)


def _small_blob(repository: Repository, descriptor: Descriptor) -> bytes:
    if descriptor.size > LONGEST:
        raise Unavailable(f"image config {descriptor.digest}: {descriptor.size} bytes, at most {LONGEST} are accepted")
    while True:
        with contextlib.suppress(Misled), repository.blob(descriptor) as pieces:  # ends: there are so many mirrors
            return b"".join(pieces)


def _check(config: ImageConfig, layers: Sequence[Descriptor], wanted: Reference, platform: Platform | None) -> None:
    if config.rootfs.type != "layers" or len(config.rootfs.diff_ids) != len(layers):
        raise Unavailable(MISMATCH)
    for diff_id in config.rootfs.diff_ids:
        digest.parse(diff_id)
    if config.os and config.os != "linux":
        raise NotSupported(f'image operating system "{config.os[:20]}" cannot be used on this platform')
    actual = normalised(config.os or "linux", config.architecture, config.variant)
    if platform is not None and actual not in tuple(candidates(platform)):
        raise NotFound(f"image with reference {wanted.familiar()} was found but does not match the specified platform: "
                       f"wanted {platform}, actual: {actual}")
