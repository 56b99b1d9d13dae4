"""Routes that measure and prune (`/system/df`, `/…/prune`), and what they answer. Loaded by the commands that ask."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pydocker.client import answers
from pydocker.client.api import Client, decoded


class ImagesPruned(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /images/prune`; bytes, as in all of these."""

    images_deleted: tuple[answers.Removed, ...] | None = None
    space_reclaimed: int = 0


class ContainersPruned(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /containers/prune`."""

    containers_deleted: tuple[str, ...] | None = None
    space_reclaimed: int = 0


class NetworksPruned(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /networks/prune`."""

    networks_deleted: tuple[str, ...] | None = None


class VolumesPruned(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /volumes/prune`."""

    volumes_deleted: tuple[str, ...] | None = None
    space_reclaimed: int = 0


class BuildsPruned(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /build/prune`."""

    caches_deleted: tuple[str, ...] | None = None
    space_reclaimed: int = 0


class VolumeUse(msgspec.Struct, frozen=True, rename="pascal"):
    """-1: not counted."""

    size: int = -1
    ref_count: int = -1


class Volume(msgspec.Struct, frozen=True, rename="pascal"):
    """One volume of `GET /system/df`."""

    name: str
    usage_data: VolumeUse | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True, rename={
        "id": "ID", "type": "Type", "size": "Size", "created": "CreatedAt", "last_used": "LastUsedAt",
        "count": "UsageCount", "shared": "Shared", "in_use": "InUse"}):
    """One piece of build cache of `GET /system/df`; times in RFC 3339."""

    id: str
    type: str = ""
    size: int = 0
    created: str = ""
    last_used: str | None = None
    count: int = 0
    shared: bool = False
    in_use: bool = False


class Usage(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /system/df`."""

    layers_size: int = 0
    images: tuple[answers.ImageSummary, ...] | None = None
    containers: tuple[answers.ContainerSummary, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    build_cache: tuple[Build, ...] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One finding of a check."""

    subject: str
    problem: str
    remedy: str
    mendable: bool
    mended: bool


class Checked(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a check has looked at."""

    images: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    layers: int = 0
    layer_bytes: int = 0
    unverified: int = 0
    containers: int = 0
    volumes: int = 0
    problems: int = 0
    mended: int = 0


class Line(NamedTuple):
    """One line of a check's stream."""

    status: str
    error: str
    detail: answers.ProgressDetail | None
    aux: Verdict | Checked | None


class _Line(msgspec.Struct, frozen=True, kw_only=True, rename={"detail": "progressDetail"}):
    status: str = ""
    error: str = ""
    detail: answers.ProgressDetail | None = None
    aux: dict[str, object] | None = None


def check(client: Client, *, repair: bool) -> Iterator[Line]:
    """Begin a check; the lines of its stream as they come."""
    with client.send("POST", "/system/check", {"repair": repair or None}) as response:
        rest = b""
        for piece in response.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (_line(line) for line in lines if line.strip())


def _line(text: bytes) -> Line:
    found = decoded(text, _Line)
    aux: Verdict | Checked | None = None
    if found.aux is not None:
        aux = msgspec.convert(found.aux, Verdict) if "Subject" in found.aux else msgspec.convert(found.aux, Checked)
    return Line(status=found.status, error=found.error, detail=found.detail, aux=aux)


def prune_images(client: Client, filters: str | None) -> ImagesPruned:
    return decoded(client.post("/images/prune", {"filters": filters}), ImagesPruned)


def usage(client: Client) -> Usage:
    """How much of the disk is whose."""
    return client.get("/system/df", Usage)


def prune_containers(client: Client, filters: str | None) -> ContainersPruned:
    return decoded(client.post("/containers/prune", {"filters": filters}), ContainersPruned)


def prune_networks(client: Client, filters: str | None) -> NetworksPruned:
    return decoded(client.post("/networks/prune", {"filters": filters}), NetworksPruned)


def prune_volumes(client: Client, filters: str | None) -> VolumesPruned:
    return decoded(client.post("/volumes/prune", {"filters": filters}), VolumesPruned)


def prune_builds(client: Client, filters: str | None, *, all: bool) -> BuildsPruned:
    return decoded(client.post("/build/prune", {"filters": filters, "all": all or None}), BuildsPruned)
