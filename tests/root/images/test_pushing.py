"""What happens to the images here while one is pushed."""

from collections.abc import Sequence

import pytest

from pydocker.images.progress import Progress
from pydocker.images.push import Pushed, push
from pydocker.images.store import ImageStore
from pydocker.model.reference import Reference, parse
from pydocker.registry.repository import Repository
from tests.peers.registry import Registry
from tests.root.images.conftest import Pull, Push
from tests.root.layers.archive import entry


def pushed(store: ImageStore, reference: Reference, before: list[str] | None = None) -> list[Pushed]:
    """Push it; `before` are images that are removed as soon as it has begun."""
    def open(neighbours: Sequence[str]) -> Repository:
        return Repository(reference, actions="pull,push", neighbours=neighbours)

    def tell(progress: Progress) -> None:
        while before:
            store.remove(before.pop(), force=True, users=lambda id: ())

    told: list[Pushed] = []
    push(store, open, reference, None, tell, told.append)
    return told


@pytest.mark.parametrize("removed", [True, False])
def test_an_image_that_is_removed_meanwhile_does_not_come_back(removed: bool, store: ImageStore, pulled: Pull,
                                                               push: Push, registry: Registry) -> None:
    image = pulled(push("gone:1", [entry("a", content=b"a")]))
    target = parse(registry.name(f"gone/there{int(removed)}:1"))
    store.tag(image, target)
    [told] = pushed(store, target, [image.id] if removed else [])
    store.collect()
    with Repository(target) as repository:
        assert repository.manifest("1").digest == told.digest
    if removed:
        assert (store.catalog().manifests, list(store.layers), list(store.blobs)) == ((), [], [])
    else:
        assert f"{target.familiar_name}@{told.digest}" in store.resolve(str(target)).digests


def test_a_damaged_image_of_the_same_registry_does_not_prevent_it(store: ImageStore, pulled: Pull, push: Push,
                                                                  registry: Registry) -> None:
    damaged = pulled(push("damaged:1", [entry("a", content=b"a")]))
    image = pulled(push("well:1", [entry("b", content=b"b")]))
    target = parse(registry.name("well/there:1"))
    store.tag(image, target)
    store.blobs.path(damaged.manifest.digest).write_text("{")
    [told] = pushed(store, target)
    assert told.digest == image.manifest.digest
