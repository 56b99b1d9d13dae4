"""One mount of a container, decided: what `-v`, `--mount`, `--tmpfs`, an image's VOLUME and `--volumes-from` become."""

import msgspec

from pydocker.model.digest import Digest


class Making(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a volume that is not there yet is to be made."""

    driver: str = ""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class Point(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mount. `mode` is what was written, for inspect; `create`: a missing source becomes a directory.

    `name` is a volume's, or an image's reference; `anonymous`: nobody gave the volume its name, so it may go with its
    last container. `copy`: an empty volume is filled from the image. `source` of a volume is where its data lies.
    """

    kind: str  # bind, volume, tmpfs or image
    destination: str
    source: str = ""
    readonly: bool = False
    mode: str = ""
    propagation: str = ""
    recursive: bool = True
    readonly_below: bool = True
    create: bool = False
    options: tuple[str, ...] = ()  # of a tmpfs
    short: bool = False  # a tmpfs of --tmpfs, which lists do not show
    idmap: bool = False
    name: str = ""
    anonymous: bool = False
    copy: bool = True
    subpath: str = ""
    making: Making = Making()
    image: Digest | None = None
    layers: tuple[Digest, ...] = ()  # the image's chain ids, lowest first


def told(points: tuple[Point, ...]) -> list[dict[str, object]]:
    """As inspect shows them."""
    return [_told(point) for point in points]


def _told(point: Point) -> dict[str, object]:
    named: dict[str, object] = {"Name": point.name} if point.name else {}
    driver = {"Driver": "local"} if point.kind == "volume" else {}
    propagation = (point.propagation or "rprivate") if point.kind == "bind" else ""
    return {"Type": point.kind, **named, "Source": point.source, "Destination": point.destination, **driver,
            "Mode": point.mode, "RW": not point.readonly, "Propagation": propagation}
