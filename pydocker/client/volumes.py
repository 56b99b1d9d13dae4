"""Routes under `/volumes` (Engine API, "Volume"), and ours: rename, clone, export, import."""

from collections.abc import Iterable, Mapping

import msgspec

from pydocker.client.api import Client, Response, decoded, encoded, required


class Cluster(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a Swarm's volume that lists show."""

    group: str = ""
    availability: str = ""


class _ClusterVolume(msgspec.Struct, frozen=True, rename="pascal"):
    spec: Cluster = Cluster()


class Volume(msgspec.Struct, frozen=True, rename="pascal"):
    """One volume."""

    name: str
    driver: str = ""
    mountpoint: str = ""
    scope: str = ""
    labels: dict[str, str] | None = None
    cluster_volume: _ClusterVolume | None = None


class _Listed(msgspec.Struct, frozen=True, rename="pascal"):
    volumes: tuple[Volume, ...] | None = None


def _path(name: str) -> str:
    return f"/volumes/{required('volume', name)}"


def create(client: Client, body: Mapping[str, object]) -> Volume:
    return decoded(client.post("/volumes/create", None, body), Volume)


def inspect(client: Client, name: str) -> bytes:
    """The document as the server wrote it."""
    return client.send("GET", _path(name)).read()


def listed(client: Client, filters: str | None) -> tuple[Volume, ...]:
    return client.get("/volumes", _Listed, {"filters": filters}).volumes or ()


def update(client: Client, name: str, version: int, spec: Mapping[str, object]) -> None:
    """Of a Swarm's volume."""
    client.send("PUT", _path(name), {"version": version}, {"Spec": spec}).read()


def remove(client: Client, name: str, *, force: bool) -> None:
    client.send("DELETE", _path(name), {"force": force or None}).read()


def rename(client: Client, name: str, new: str) -> None:
    client.post(f"/pydocker{_path(name)}/rename", {"name": new})


def clone(client: Client, name: str, new: str) -> None:
    client.post(f"/pydocker{_path(name)}/clone", {"name": new})


def export(client: Client, name: str) -> Response:
    """Begin to export: the answer's body is the archive."""
    return client.send("GET", f"/pydocker{_path(name)}/export")


def import_(client: Client, name: str, labels: Mapping[str, str], content: Iterable[bytes]) -> None:
    query = {"labels": encoded(labels).decode() if labels else None}
    client.upload(f"/pydocker{_path(name)}/import", query, content).read()
