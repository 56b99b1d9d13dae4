"""How many bytes the images are: each by itself, and all of them together, with what they share counted once."""

from collections.abc import Callable, Sequence

from pydocker.images import partial
from pydocker.images.graph import Parts, shared
from pydocker.images.store import ImageStore
from pydocker.model.digest import Digest
from pydocker.model.usage import Bytes, ImageUsage


def images(store: ImageStore, users: Callable[[Digest], Sequence[str]]) -> list[ImageUsage]:
    """Every image, newest first; `users` gives the ids of its containers."""
    catalog = store.catalog()
    known = store.by_id(catalog)
    common = shared(parts for _, parts in known.values())
    found = [ImageUsage(
        image=image, size=store.bytes_of(parts), containers=tuple(users(image.id)),
        shared=store.bytes_of(Parts(parts.blobs & common.blobs, parts.layers & common.layers)),
        manifests=tuple((entry, store.bytes_of(own).content) for entry, (described, own)
                        in store.reader.readable(catalog) if described.id == image.id),
    ) for image, parts in known.values()]
    return sorted(found, key=lambda usage: usage.image.config.created or "", reverse=True)


def total(store: ImageStore) -> Bytes:
    """Of everything that is there, also what only a container, a pull in progress or nobody needs; and of the parts
    with which a broken pull will go on."""
    whole = store.bytes_of(Parts(frozenset(store.blobs), frozenset(store.layers)))
    return Bytes(whole.content + partial.size(store.paths.temporary), whole.unpacked)
