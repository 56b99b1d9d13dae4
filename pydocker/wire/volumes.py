"""Volumes as the Engine API shows them (Volume, VolumeListResponse)."""

from collections.abc import Mapping

import msgspec

from pydocker.model.volume import DRIVER, Volume
from pydocker.paths import Paths
from pydocker.wire.times import whole

Shape = dict[str, object]


class CreateBody(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of `POST /volumes/create`. (Clients of API 1.42 and later send a null for what is Swarm's.)"""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}
    cluster_volume_spec: Mapping[str, object] = {}


def shape(name: str, volume: Volume, paths: Paths) -> Shape:
    """One volume."""
    return {"CreatedAt": whole(volume.created), "Driver": DRIVER, "Labels": volume.labels or None,
            "Mountpoint": str(paths.volume_data(name)), "Name": name, "Options": volume.options or None,
            "Scope": "local"}


def used(shape: Shape, size: int, containers: int) -> Shape:
    """The same in `GET /system/df`. -1: it was not measured."""
    return {**shape, "UsageData": {"Size": size, "RefCount": containers}}
