"""What the engine tells of images in `events.jsonl`: pull, push, tag, untag, delete, import, load, save, prune.

Docker names an image that was pulled or pushed by its name, and any other by its id.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydocker.errors import NotFound
from pydocker.events.journal import Journal
from pydocker.images.store import ImageStore
from pydocker.model.event import Kind
from pydocker.model.image import Image
from pydocker.model.reference import Reference

T = TypeVar("T")
Removed = Sequence[tuple[str, str]]


class ImageHappenings:
    """One method for each thing that happens."""

    def __init__(self, journal: Journal, store: ImageStore) -> None:
        self._journal = journal
        self._store = store

    def one(self, action: str, image: Image, name: str = "") -> None:
        """It happened to this image; without `name` it is called by its id."""
        self._journal.image(action, image.id, name or image.id, image.config.config.labels)

    def imported(self, image: Image, reference: Reference | None) -> None:
        """It came from an archive, and has got this name."""
        if reference is not None:
            self.one("tag", image, reference.familiar())
        self.one("import", image)

    def moved(self, action: str, reference: Reference) -> None:
        """It was pulled or pushed. What several tags name has no one image, and no labels."""
        try:
            labels = self._store.resolve(str(reference)).config.config.labels
        except NotFound:
            labels = None
        self._journal.image(action, reference.familiar(), reference.familiar_name, labels)

    def removed(self, images: Sequence[Image], removed: Removed) -> None:
        """These of the `images` (as they were before) have lost names, or are gone: each one's names come before it."""
        by_id = {str(image.id): image for image in images}
        untagged = 0
        for what, name in removed:
            if what == "Untagged":
                untagged += 1
            elif image := by_id.get(name):
                self._names_lost(image, untagged)
                self.one("delete", image)
                untagged = 0
        if untagged and len(images) == 1:
            self._names_lost(images[0], untagged)

    def _names_lost(self, image: Image, count: int) -> None:
        for _ in range(count):
            self.one("untag", image)

    def pruned(self, images: Sequence[Image], removed: Removed, freed: int) -> None:
        self.removed(images, removed)
        self._journal.pruned(Kind.IMAGE, freed)

    def loading(self, said: Iterator[T]) -> Iterator[T]:
        """What a load says; of every image that it says it has loaded, told here as well."""
        for line in said:
            yield line
            if isinstance(line, str) and line.startswith(("Loaded image: ", "Loaded image ID: ")):
                self.one("load", self._store.resolve(line.partition(": ")[2].strip()))

    def saving(self, names: Sequence[str], archive: Iterator[bytes]) -> Iterator[bytes]:
        """An archive's bytes; told at its end."""
        images = {}
        for name in names:
            with contextlib.suppress(NotFound):  # a name that is wrong is for the archive to tell
                image = self._store.resolve(name)
                images[image.id] = image
        yield from archive
        for image in images.values():
            self.one("save", image)
