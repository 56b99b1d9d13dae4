"""How much of the disk is whose: what `system df` counts, in bytes of file content.

    image       compressed blobs (content) and unpacked layers; what several images have in common is told for each,
                and counted once in the sum
    volume      everything in it
    container   everything in its directory: its writable layer, its log, its records
"""

import msgspec

from pydocker.model.container import Container
from pydocker.model.image import Descriptor, Image
from pydocker.model.volume import Volume


class Bytes(msgspec.Struct, frozen=True):
    """Of blobs, and of unpacked layers."""

    content: int = 0
    unpacked: int = 0

    @property
    def total(self) -> int:
        return self.content + self.unpacked


class ImageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One image. `shared` is the part of `size` that other images need as well; `containers` are the ids of its own.

    `manifests`: each manifest with the bytes of its own blobs, as one image may have come in two forms.
    """

    image: Image
    size: Bytes
    shared: Bytes
    containers: tuple[str, ...]
    manifests: tuple[tuple[Descriptor, int], ...]


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One container; `image` is the unpacked size of the layers below it."""

    container: Container
    size: int
    image: int


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One volume; `size` -1: it is another file system, and was not mounted to be measured."""

    name: str
    volume: Volume
    size: int
    containers: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `layers`: the bytes of all images, what they share counted once."""

    images: tuple[ImageUsage, ...] = ()
    layers: int = 0
    containers: tuple[ContainerUsage, ...] = ()
    volumes: tuple[VolumeUsage, ...] = ()
