"""`image prune`: which names go with the images that nobody uses; decided before anything is touched."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pydocker.images.catalog import Catalog
from pydocker.images.graph import Parts
from pydocker.images.removal import Removed
from pydocker.model.digest import Digest
from pydocker.model.image import Image


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken away, and how many bytes of the disk that gave back."""

    removed: tuple[Removed, ...]
    freed: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the catalog, what is told, and which manifests go."""

    catalog: Catalog
    removed: tuple[Removed, ...]
    manifests: frozenset[Digest]


def decide(catalog: Catalog, going: Mapping[Digest, tuple[Image, Sequence[Digest]]]) -> Decision:
    """Take these images (by id, with their manifests) out of the catalog, with all of their names."""
    removed: list[Removed] = []
    manifests: set[Digest] = set()
    for id, (image, its) in going.items():
        removed += [("Untagged", name) for name in (*image.names, *image.digests)]
        removed.append(("Deleted", id))
        manifests.update(its)
    for manifest in manifests:
        catalog = catalog.without_manifest(manifest)
    return Decision(catalog=catalog, removed=tuple(removed), manifests=frozenset(manifests))


def layers_removed(images: Iterable[Image], going: Parts) -> list[Removed]:
    """The layers among `going`, each image's uppermost first, as Docker tells them."""
    chains = dict.fromkeys(chain for image in images for chain in reversed(image.layers) if chain in going.layers)
    return [("Deleted", str(chain)) for chain in chains]
