"""What the layers of an image do to each other: decided from what is in each of them, with nothing read from disk.

    layer 2    etc/old whiteout, etc/new          added 1, changed 0, removed 1
    layer 1    bin/sh, etc/old (10 bytes)         added 2                          wasted: 10 bytes, which nobody sees

A path that a layer hides and has itself is *changed*; one that it only hides is *removed*. Bytes are *wasted* in the
layer that has them, when none of a file's names is seen from the top of the stack any more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec


class File(msgspec.Struct, frozen=True, gc=False):
    """Anything but a directory. `inode` is the same for all names of a file within its layer; `size` in bytes."""

    inode: int
    size: int


class Listing(msgspec.Struct, frozen=True):
    """One layer: its `files` by path, its `directories`, what it `removes` of the layers below, and which directories
    are `opaque`: they hide all that is in them below. Paths are relative to the root, "" is the root itself."""

    files: Mapping[bytes, File]
    directories: Collection[bytes] = ()
    removes: Collection[bytes] = ()
    opaque: Collection[bytes] = ()


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One layer's part in the stack: numbers of files (and links, devices, …), and bytes."""

    size: int
    added: int
    changed: int
    removed: int
    wasted: int


class _Place:
    """A node of the tree that is seen from above: what is at a path, and what is below it."""

    __slots__ = ("below", "origin")

    def __init__(self) -> None:
        self.below: dict[bytes, _Place] = {}
        self.origin: tuple[int, int] | None = None  # (layer, inode)

    def files(self, path: bytes) -> Iterator[bytes]:
        """The paths of all files here and below."""
        if self.origin is not None:
            yield path
        for name, place in self.below.items():
            yield from place.files(path + b"/" + name if path else name)

    def origins(self) -> Iterator[tuple[int, int]]:
        if self.origin is not None:
            yield self.origin
        for place in self.below.values():
            yield from place.origins()


def shares(layers: Sequence[Listing]) -> tuple[Share, ...]:
    """Every layer's share, lowest first."""
    seen = _Place()
    counts = []
    for number, layer in enumerate(layers):
        hidden = _hide(seen, layer)
        for path, file in layer.files.items():
            _at(seen, path).origin = number, file.inode
        kept = hidden & layer.files.keys()
        counts.append((len(layer.files) - len(kept), len(kept), len(hidden) - len(kept)))
    visible = set(seen.origins())
    return tuple(
        Share(size=sum(sizes.values()), added=added, changed=changed, removed=removed,
              wasted=sum(size for inode, size in sizes.items() if (number, inode) not in visible))
        for number, (sizes, (added, changed, removed)) in enumerate(zip(map(_sizes, layers), counts, strict=True)))


def _sizes(layer: Listing) -> dict[int, int]:
    """A file counts once, however many names it has."""
    return {file.inode: file.size for file in layer.files.values()}


def _hide(seen: _Place, layer: Listing) -> set[bytes]:
    """Take away what the layer hides; the paths of the files among it."""
    hidden: set[bytes] = set()
    for path in layer.directories:  # over a file
        if (place := _find(seen, path)) is not None and place.origin is not None:
            hidden.add(path)
            place.origin = None
    for path in (*layer.opaque, *layer.removes, *layer.files):
        if (place := _find(seen, path)) is not None:
            hidden.update(place.files(path))
            place.below, place.origin = {}, None
    return hidden


def _find(top: _Place, path: bytes) -> _Place | None:
    place: _Place | None = top
    for name in filter(None, path.split(b"/")):
        place = place.below.get(name) if place is not None else None
    return place


def _at(top: _Place, path: bytes) -> _Place:
    place = top
    for name in path.split(b"/"):
        place = place.below.setdefault(name, _Place())
    return place
