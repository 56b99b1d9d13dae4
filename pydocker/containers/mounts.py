"""The mounts that were asked for, as an OCI spec has them, and what the host has to have for them."""

import os

from msgspec.structs import replace

from pydocker.errors import InvalidParameter
from pydocker.model.container import Record
from pydocker.model.digest import Digest
from pydocker.model.mount import of_record
from pydocker.model.point import Point
from pydocker.monitor.launch import Seen
from runtime.spec import Mount


def of_spec(point: Point) -> Mount:
    """For the runtime. A read-only bind mount is so with all that is mounted below it."""
    if point.kind == "tmpfs":
        return Mount(destination=point.destination, type="tmpfs", source="tmpfs", options=point.options)
    below = ("rro",) if point.recursive and point.readonly_below else ()
    readonly = ("ro", *below) if point.readonly else ()
    return Mount(destination=point.destination, type="bind", source=point.source,
                 options=("rbind" if point.recursive else "bind", point.propagation or "rprivate", *readonly))


def check_sources(points: tuple[Point, ...]) -> None:
    """What `--mount` binds has to be there when the container is created."""
    for point in points:
        if point.kind == "bind" and not point.create and not os.path.lexists(point.source):
            raise InvalidParameter(f'invalid mount config for type "bind": bind source path does not exist: '
                                   f"{point.source}")


def root_propagation(points: tuple[Point, ...]) -> str:
    """What the container's root has to be, so that mounts below a bind mount can spread as it was asked for."""
    asked = {point.propagation for point in points}
    if asked & {"shared", "rshared"}:
        return "shared"
    return "rslave" if asked & {"slave", "rslave"} else ""


def to_make(record: Record) -> tuple[str, ...]:
    """The sources that become directories where they are missing."""
    return tuple(point.source for point in of_record(record) if point.create)


def spreading(record: Record) -> tuple[tuple[str, str], ...]:
    """The sources between which and the container mounts are to spread, and how: shared, or slave."""
    return tuple((point.source, point.propagation.removeprefix("r")) for point in of_record(record)
                 if point.propagation.endswith(("shared", "slave")))


def idmaps(record: Record) -> tuple[str, ...]:
    """Where the source's owner is the container's user."""
    return tuple(point.destination for point in of_record(record) if point.idmap)


def anonymous(record: Record) -> list[str]:
    """Volumes that may go with it."""
    return [point.name for point in of_record(record) if point.kind == "volume" and point.anonymous]


def located(points: tuple[Point, ...], seen: tuple[Seen, ...]) -> tuple[Point, ...]:
    """With the sources that volumes and images have for the start that is to come."""
    places = {one.destination: one.place or one.source.data for one in seen}
    return tuple(replace(point, source=places[point.destination]) if point.destination in places else point
                 for point in points)


def images_of(record: Record) -> frozenset[Digest]:
    """Those that it needs: its own, and what it mounts."""
    return frozenset((record.image, *(point.image for point in of_record(record) if point.image)))


def layers_of(record: Record) -> tuple[Digest, ...]:
    """The chain ids of all of them."""
    return (*record.layers, *(layer for point in of_record(record) for layer in point.layers))
