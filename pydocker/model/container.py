"""A container as the engine knows it: what was asked (`Record`, written once) and what became of it (`State`).

`Config` and `HostConfig` carry Docker's own field names in JSON, because they *are* the two halves of the Engine
API's create request; in Python they have Python's. The same types are what `config.json` holds, so a field exists in
one place.

    Record   containers/<id>/config.json   written by the engine under the container's lock, then left alone
    State    containers/<id>/state.json    written by the container's monitor while it lives, by the engine when not
"""

from enum import StrEnum
from typing import NewType

import msgspec

from pydocker.model.digest import Digest

ContainerId = NewType("ContainerId", str)  # 64 lower-case hexadecimal digits
ExecId = NewType("ExecId", str)  # the same

_INITIALISMS = {
    "cgroupns_mode": "CgroupnsMode", "container_id_file": "ContainerIDFile", "pids_limit": "PidsLimit",
    "nano_cpus": "NanoCpus", "readonly_rootfs": "ReadonlyRootfs", "oom_score_adj": "OomScoreAdj",
}


def docker_name(name: str) -> str:
    """`mem_limit` -> `MemLimit`, and Docker's own spelling where that rule is not enough."""
    return _INITIALISMS.get(name) or "".join(part.capitalize() for part in name.split("_"))


class Status(StrEnum):
    """Docker's words for where a container is in its life."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


class Config(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """What runs: the part of a create request that an image can preset (Engine API, `ContainerConfig`)."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = True
    attach_stderr: bool = True
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    image: str = ""
    labels: dict[str, str] = {}
    working_dir: str = ""
    stop_signal: str | None = None
    stop_timeout: int | None = None  # seconds
    exposed_ports: dict[str, dict[str, str]] = {}
    volumes: dict[str, dict[str, str]] = {}


class Ulimit(msgspec.Struct, frozen=True, rename="pascal"):
    """One resource limit, named as ulimit(1) users do: `nofile`, `nproc`."""

    name: str
    soft: int
    hard: int


class LogConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """`json-file` (options max-size, max-file) or `none`."""

    type: str = "json-file"
    config: dict[str, str] = {}


class HostConfig(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """How the host runs it: limits in bytes, microseconds, 1e-9 CPUs; 0 means no limit (Engine API, `HostConfig`)."""

    network_mode: str = "default"
    auto_remove: bool = False
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    memory: int = 0
    memory_swap: int = 0  # memory + swap; -1 unlimited; 0: twice the memory, as Docker
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] | None = None
    oom_score_adj: int = 0
    cap_add: tuple[str, ...] | None = None
    cap_drop: tuple[str, ...] | None = None
    privileged: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] | None = None
    group_add: tuple[str, ...] | None = None
    sysctls: dict[str, str] | None = None
    shm_size: int = 0  # 0: 64 MiB
    runtime: str = ""
    cgroup_parent: str = ""
    annotations: dict[str, str] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One container's `config.json`: everything that was decided when it was created.

    `config` is complete (image defaults merged in); `argv` is entrypoint + command; `created` is in seconds since 1970.
    """

    id: ContainerId
    name: str
    created: float
    image: Digest  # of the image's config: what Docker calls the image id
    image_name: str  # as the user typed it
    platform: str
    argv: tuple[str, ...]
    config: Config
    host: HostConfig
    layers: tuple[Digest, ...]  # chain ids, lowest first


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One container's `state.json`. Times are seconds since the epoch, 0.0: never.

    `start_time` is the init process's own (field 22 of /proc/<pid>/stat): with it, a reused pid is told apart.
    """

    status: Status = Status.CREATED
    pid: int = 0
    start_time: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: float = 0.0
    finished: float = 0.0

    @property
    def running(self) -> bool:
        return self.status is Status.RUNNING


class Container(msgspec.Struct, frozen=True):
    """Both halves, as read at one moment."""

    record: Record
    state: State


class ExecConfig(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """The body of `POST /containers/{id}/exec`."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    tty: bool = False
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] = ()
    privileged: bool = False
    user: str = ""
    working_dir: str = ""


class ExecSession(msgspec.Struct, frozen=True, kw_only=True):
    """One exec session; `exit_code` is None until it has ended."""

    id: ExecId
    container: ContainerId
    config: ExecConfig
    running: bool = False
    pid: int = 0
    exit_code: int | None = None
