"""What the server answers, as far as the commands look into it. Unknown fields are other commands' business.

A document that is only shown (`inspect`, `info`) stays what it is: `Json`.
"""

from typing import TypeAlias

import msgspec

# Recursive, which mypy knows and msgspec does not: decode to `object`, narrow to this.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def _id_names(name: str) -> str:
    return {"id": "Id", "image_id": "ImageID", "parent_id": "ParentId"}.get(name) or "".join(
        part.capitalize() for part in name.split("_"))


class Created(msgspec.Struct, frozen=True, rename=_id_names):
    """`POST /containers/create`, and exec's create."""

    id: str
    warnings: tuple[str, ...] | None = None


class Port(msgspec.Struct, frozen=True, rename={"ip": "IP", "private": "PrivatePort", "public": "PublicPort",
                                                "type": "Type"}):
    """One line of the PORTS column."""

    private: int
    type: str = "tcp"
    public: int = 0
    ip: str = ""


class Mount(msgspec.Struct, frozen=True, rename="pascal"):
    """One mount of a container; a volume has a name, a bind mount a source."""

    source: str = ""
    name: str = ""
    driver: str = ""


class Networks(msgspec.Struct, frozen=True, rename="pascal"):
    """The networks a container is in, by name."""

    networks: dict[str, object] | None = None


class ContainerSummary(msgspec.Struct, frozen=True, kw_only=True, rename=_id_names):
    """One element of `GET /containers/json`. `created` in seconds since the epoch; sizes in bytes."""

    id: str
    names: tuple[str, ...] | None = None
    image: str = ""
    image_id: str = ""
    command: str = ""
    created: int = 0
    state: str = ""
    status: str = ""
    ports: tuple[Port, ...] | None = None
    labels: dict[str, str] | None = None
    mounts: tuple[Mount, ...] | None = None
    network_settings: Networks | None = None
    size_rw: int = 0
    size_root_fs: int = 0


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True, rename=_id_names):
    """One element of `GET /images/json`. `size` in bytes; `created` in seconds since the epoch."""

    id: str
    repo_tags: tuple[str, ...] | None = None
    repo_digests: tuple[str, ...] | None = None
    created: int = 0
    size: int = 0
    containers: int = -1
    shared_size: int = -1
    labels: dict[str, str] | None = None
    manifests: tuple["Manifest", ...] | None = None


class ManifestSize(msgspec.Struct, frozen=True, rename="pascal"):
    """In bytes: what is stored compressed, and that with what is unpacked."""

    content: int = 0
    total: int = 0


class ManifestPlatform(msgspec.Struct, frozen=True):
    """The platform of one form of an image."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


class ManifestData(msgspec.Struct, frozen=True, rename="pascal"):
    """What only a manifest that is an image has; `containers` are ids."""

    platform: ManifestPlatform = ManifestPlatform()
    containers: tuple[str, ...] | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename={
        "id": "ID", "available": "Available", "kind": "Kind", "size": "Size", "data": "ImageData"}):
    """One of `Manifests` of an image, with `manifests=1`."""

    id: str
    available: bool = False
    kind: str = ""
    size: ManifestSize = ManifestSize()
    data: ManifestData | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, rename=_id_names):
    """One element of `GET /images/{name}/history`."""

    id: str
    created: int = 0
    created_by: str = ""
    size: int = 0
    comment: str = ""


class LayerShare(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "ID", "diff_id": "DiffID",
        "created_by": "CreatedBy", "size": "Size", "wasted": "Wasted", "added": "Added", "changed": "Changed",
        "removed": "Removed"}):
    """One element of `GET /pydocker/images/{name}/layers`, lowest first. Sizes in bytes, else numbers of files."""

    id: str
    diff_id: str
    size: int
    wasted: int
    added: int
    changed: int
    removed: int
    created_by: str = ""


class Failure(msgspec.Struct, frozen=True, rename="pascal"):
    """An error that came after the headers."""

    message: str = ""


class Waited(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /containers/{id}/wait`."""

    status_code: int
    error: Failure | None = None


class ContainerState(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a container's state that decides whether one can attach to it."""

    status: str = ""
    pid: int = 0
    running: bool = False
    paused: bool = False
    restarting: bool = False


class ContainerConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a container's configuration that decides how its streams look."""

    tty: bool = False
    open_stdin: bool = False


class HostPart(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a container's host configuration that decides what to wait for."""

    auto_remove: bool = False


class ContainerDetail(msgspec.Struct, frozen=True, kw_only=True, rename=_id_names):
    """`GET /containers/{id}/json`, as far as attaching needs it."""

    id: str
    state: ContainerState
    config: ContainerConfig
    host_config: HostPart = HostPart()


class PortBinding(msgspec.Struct, frozen=True, rename="pascal"):
    """An address of the host that leads to a container's port."""

    host_ip: str = ""
    host_port: str = ""


class PublishedPorts(msgspec.Struct, frozen=True, rename="pascal"):
    """By `80/tcp`; None: exposed, and not published."""

    ports: dict[str, tuple[PortBinding, ...] | None] | None = None


class Published(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /containers/{id}/json`, as far as `port` needs it."""

    network_settings: PublishedPorts = PublishedPorts()


class Actor(msgspec.Struct, frozen=True, rename={"id": "ID", "attributes": "Attributes"}):
    """Whom an event happened to."""

    id: str = ""
    attributes: dict[str, str] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, rename={
        "type": "Type", "action": "Action", "actor": "Actor", "time_nano": "timeNano"}):
    """One line of `GET /events`; the moment in seconds, and in nanoseconds, since the epoch."""

    type: str = ""
    action: str = ""
    actor: Actor = Actor()
    time: int = 0
    time_nano: int = 0


class CpuUsage(msgspec.Struct, frozen=True, rename={"total": "total_usage", "each": "percpu_usage"}):
    """Nanoseconds: in all, and on each processor (cgroup v1)."""

    total: int = 0
    each: tuple[int, ...] | None = None


class Cpu(msgspec.Struct, frozen=True, rename={"usage": "cpu_usage", "system": "system_cpu_usage",
                                               "online": "online_cpus"}):
    """Processor time of the container, and (nanoseconds, too) of the whole machine."""

    usage: CpuUsage = CpuUsage()
    system: int = 0
    online: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Bytes; `stats` is the cgroup's memory.stat."""

    usage: int = 0
    limit: int = 0
    stats: dict[str, int] | None = None


class BlockEntry(msgspec.Struct, frozen=True):
    """Bytes read from, or written to, a device."""

    op: str = ""
    value: int = 0


class Blkio(msgspec.Struct, frozen=True, rename={"bytes": "io_service_bytes_recursive"}):
    bytes: tuple[BlockEntry, ...] | None = None


class Pids(msgspec.Struct, frozen=True):
    current: int = 0


class Traffic(msgspec.Struct, frozen=True):
    """Bytes that came in and went out by one interface."""

    rx_bytes: int = 0
    tx_bytes: int = 0


class Sample(msgspec.Struct, frozen=True, kw_only=True, rename={
        "cpu": "cpu_stats", "cpu_before": "precpu_stats", "memory": "memory_stats", "blkio": "blkio_stats",
        "pids": "pids_stats"}):
    """One line of `GET /containers/{id}/stats`."""

    id: str = ""
    name: str = ""
    cpu: Cpu = Cpu()
    cpu_before: Cpu = Cpu()
    memory: Memory = Memory()
    blkio: Blkio = Blkio()
    pids: Pids = Pids()
    networks: dict[str, Traffic] | None = None


class Updated(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /containers/{id}/update`."""

    warnings: tuple[str, ...] | None = None


class Top(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /containers/{id}/top`: ps's columns, and a row of cells for each process."""

    titles: tuple[str, ...] = ()
    processes: tuple[tuple[str, ...], ...] = ()


class ExecDetail(msgspec.Struct, frozen=True, rename="pascal"):
    """`GET /exec/{id}/json`. `exit_code` is None while it runs."""

    running: bool = False
    exit_code: int | None = None


class Removed(msgspec.Struct, frozen=True, rename="pascal"):
    """One element of `DELETE /images/{name}`: one of the two is set."""

    untagged: str = ""
    deleted: str = ""


class ProgressDetail(msgspec.Struct, frozen=True):
    """Bytes done, and bytes in all (0: not known)."""

    current: int = 0
    total: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True, rename={"detail": "progressDetail"}):
    """One line of a pull's or an import's stream."""

    status: str = ""
    id: str = ""
    error: str = ""
    stream: str = ""
    detail: ProgressDetail | None = None


class LoggedIn(msgspec.Struct, frozen=True, rename="pascal"):
    """`POST /auth`. `identity_token`: to be kept instead of the password, where there is one."""

    status: str = ""
    identity_token: str = ""


class SearchResult(msgspec.Struct, frozen=True):
    """One element of `GET /images/search`."""

    name: str = ""
    description: str | None = None
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class FileChange(msgspec.Struct, frozen=True, rename="pascal"):
    """One line of `diff`; `kind` is 0 (modified), 1 (added) or 2 (deleted)."""

    path: str
    kind: int
