"""What refers to what, as one value, so that whatever is removed is exactly what nothing refers to.

    name ──> manifest ──> config                           blobs/
                    ├───> compressed layers                blobs/
                    └───> chain ids ──────────> unpacked   layers/  <── containers (also of an image that is gone)
    lease ──> whatever a pull or an import in progress is about to need, of either kind

Content-addressed things cannot refer to each other in a circle, so "referred to" needs no marking: it is the union of
what the roots (names, containers, leases) need. Everything here is pure.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from pydocker.model.digest import Digest


class Parts(msgspec.Struct, frozen=True):
    """Things on disk, of both kinds: a blob and a layer may have the same digest, and are two things."""

    blobs: frozenset[Digest] = frozenset()
    layers: frozenset[Digest] = frozenset()

    def __or__(self, other: "Parts") -> "Parts":
        return Parts(self.blobs | other.blobs, self.layers | other.layers)

    def __sub__(self, other: "Parts") -> "Parts":
        return Parts(self.blobs - other.blobs, self.layers - other.layers)


def union(all_: Iterable[Parts]) -> Parts:
    """Everything together."""
    parts = tuple(all_)
    return Parts(frozenset().union(*(one.blobs for one in parts)), frozenset().union(*(one.layers for one in parts)))


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """All references at one moment. `images`: what each manifest of the catalog needs, itself included."""

    images: Mapping[Digest, Parts]
    containers: Mapping[str, tuple[Digest, ...]]  # id -> chain ids
    leased: frozenset[Digest] = frozenset()

    def needed(self) -> Parts:
        """Everything that something refers to."""
        stacks = frozenset().union(*self.containers.values())
        return union(self.images.values()) | Parts(self.leased, self.leased | stacks)

    def without(self, manifests: Collection[Digest]) -> "Graph":
        """The graph once these images are gone."""
        left = {name: parts for name, parts in self.images.items() if name not in manifests}
        return msgspec.structs.replace(self, images=left)

    def only(self, manifests: Collection[Digest]) -> Parts:
        """What goes with these images: what they need, and nothing else does."""
        going = union(parts for name, parts in self.images.items() if name in manifests)
        return going - self.without(manifests).needed()


def shared(images: Iterable[Parts]) -> Parts:
    """What more than one of these images needs (the images of one id count as one: give their union)."""
    blobs: Counter[Digest] = Counter()
    layers: Counter[Digest] = Counter()
    for parts in images:
        blobs.update(parts.blobs)
        layers.update(parts.layers)
    return Parts(frozenset(name for name, count in blobs.items() if count > 1),
                 frozenset(name for name, count in layers.items() if count > 1))
