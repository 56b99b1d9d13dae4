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
