"""`system df` and `container prune`: both measure containers, which `images` must not know.

What `df` says is what `du --apparent-size` finds: the content of every file below images/blobs, layers/*/diff,
volumes/*/_data and containers/, each inode once, and of the parts in tmp/ with which a broken pull will go on. Beside
these the data root holds only the engine's own notes (index.json, one record.json for each layer, locks, names,
events.jsonl), and what is being made.
"""

import contextlib
import logging
from collections.abc import Callable, Collection

from pydocker.containers import Containers
from pydocker.errors import Conflict, NotFound, PydockerError
from pydocker.images import usage
from pydocker.images.store import ImageStore
from pydocker.model.container import Container
from pydocker.model.usage import ContainerUsage, Usage, VolumeUsage
from pydocker.storage import measure
from pydocker.volumes.service import Volumes

_log = logging.getLogger(__name__)

CONTAINERS, IMAGES, VOLUMES = "container", "image", "volume"


def used(store: ImageStore, containers: Containers, kinds: Collection[str]) -> Usage:
    """Measure these kinds of things; what is not asked for counts nothing."""
    images = usage.images(store, containers.image_users) if IMAGES in kinds else []
    return Usage(
        images=tuple(images), layers=usage.total(store).total if IMAGES in kinds else 0,
        containers=tuple(_measured(store, container) for container in containers.list(all=True))
        if CONTAINERS in kinds else (),
        volumes=_volumes(containers.volumes) if VOLUMES in kinds else ())


def _volumes(volumes: Volumes) -> tuple[VolumeUsage, ...]:
    users, found = volumes.users(), []
    for name, volume in volumes.list():
        with contextlib.suppress(NotFound):  # it was removed just now
            found.append(VolumeUsage(name=name, volume=volume, size=volumes.size(name),
                                     containers=len(users.get(name, ()))))
    return tuple(found)


def prune_containers(store: ImageStore, containers: Containers,
                     wanted: Callable[[Container], bool]) -> tuple[list[str], int]:
    """Remove the containers that do not run and are `wanted` away: their ids, and the bytes freed."""
    removed, freed = [], 0
    for container in containers.list(all=True):
        if container.state.running or not wanted(container):
            continue
        size = measure.content(store.paths.container(container.record.id))
        try:
            containers.remove(container.record.id)
        except (NotFound, Conflict):  # somebody else removed it, or started it
            continue
        except PydockerError as error:  # it is dead; the others go all the same, as Docker's do
            _log.warning("%s", error)
            continue
        removed.append(str(container.record.id))
        freed += size
    return removed, freed


def written(store: ImageStore, container: Container) -> ContainerUsage:
    """What the container itself has written into its file system (`ps -s`): neither its log nor its volumes."""
    upper = store.paths.container(container.record.id) / "upper"
    return ContainerUsage(container=container, size=measure.content(upper), image=_image_size(store, container))


def _measured(store: ImageStore, container: Container) -> ContainerUsage:
    return ContainerUsage(container=container, size=measure.content(store.paths.container(container.record.id)),
                          image=_image_size(store, container))


def _image_size(store: ImageStore, container: Container) -> int:
    return sum(map(store.reader.layer_size, container.record.layers))
