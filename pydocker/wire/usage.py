"""`GET /system/df` (Engine API, SystemDataUsageResponse)."""

import time

from pydocker.model.usage import ContainerUsage, ImageUsage, Usage, VolumeUsage
from pydocker.paths import Paths
from pydocker.wire import containers, images, volumes

Shape = dict[str, object]


def usage(found: Usage, paths: Paths) -> Shape:
    """All kinds of things. Build cache is there, and empty, as long as the engine has none."""
    return {
        "LayersSize": found.layers, "Images": [_image(one) for one in found.images],
        "Containers": [_container(one) for one in found.containers],
        "Volumes": [_volume(one, paths) for one in found.volumes], "BuildCache": [], "BuilderSize": 0,
    }


def _image(found: ImageUsage) -> Shape:
    """An image with what it takes of the disk, compressed and unpacked, where a list has only its unpacked size."""
    return {**images.summary(found.image), "Size": found.size.total, "VirtualSize": found.size.total,
            "SharedSize": found.shared.total, "Containers": len(found.containers)}


def _volume(found: VolumeUsage, paths: Paths) -> Shape:
    return volumes.used(volumes.shape(found.name, found.volume, paths), found.size, found.containers)


def _container(found: ContainerUsage) -> Shape:
    return {**containers.summary(found.container, time.time()), **sizes(found)}


def sizes(found: ContainerUsage) -> Shape:
    """In bytes: what the container has written, and that together with what it was made from."""
    return {"SizeRw": found.size, "SizeRootFs": found.size + found.image}
