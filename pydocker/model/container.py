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
from pydocker.model.image import Healthcheck
from pydocker.model.network import Endpoint, EndpointConfig, PortBinding
from pydocker.model.point import Point

ContainerId = NewType("ContainerId", str)  # 64 lower-case hexadecimal digits
ExecId = NewType("ExecId", str)  # the same

_INITIALISMS = {
    "cgroupns_mode": "CgroupnsMode", "container_id_file": "ContainerIDFile", "pids_limit": "PidsLimit",
    "nano_cpus": "NanoCpus", "readonly_rootfs": "ReadonlyRootfs", "oom_score_adj": "OomScoreAdj",
    "uts_mode": "UTSMode", "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
}


def docker_name(name: str) -> str:
    """`mem_limit` -> `MemLimit`, and Docker's own spelling where that rule is not enough."""
    return _INITIALISMS.get(name) or "".join(part.capitalize() for part in name.split("_"))


class HealthStatus(StrEnum):
    """What the health check says; `starting` until it has said something."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthResult(msgspec.Struct, frozen=True):
    """One probe: seconds since the epoch, exit code (-1: it took too long), the beginning of its output."""

    start: float
    end: float
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True):
    """What became of the health checks of the current run; `log` holds the last results, the newest last."""

    status: HealthStatus = HealthStatus.STARTING
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()


class Status(StrEnum):
    """Docker's words for where a container is in its life."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
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
    healthcheck: Healthcheck | None = None


class Ulimit(msgspec.Struct, frozen=True, rename="pascal"):
    """One resource limit, named as ulimit(1) users do: `nofile`, `nproc`."""

    name: str
    soft: int
    hard: int


class DeviceMapping(msgspec.Struct, frozen=True, rename="pascal"):
    """A device node of the host's, or a directory of them, and what may be done with it: `r`, `w`, `m` (mknod)."""

    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = ""


class WeightDevice(msgspec.Struct, frozen=True, rename="pascal"):
    """The share (10 to 1000) of one block device, by its path on the host."""

    path: str
    weight: int


class ThrottleDevice(msgspec.Struct, frozen=True, rename="pascal"):
    """The most bytes, or operations, a second on one block device."""

    path: str
    rate: int


class BindOptions(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a bind mount in its long form."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    idmap: bool = False  # ours: what the container's user writes belongs to the source's owner


class DriverConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Who makes a volume, and how."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a volume in its long form."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: DriverConfig = DriverConfig()
    subpath: str = ""


class ImageOptions(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of an image in its long form."""

    subpath: str = ""


class TmpfsOptions(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Of a tmpfs in its long form; `mode` are permission bits."""

    size_bytes: int = 0
    mode: int = 0


class AskedMount(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """A mount in its long form (`--mount`)."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions = BindOptions()
    volume_options: VolumeOptions = VolumeOptions()
    tmpfs_options: TmpfsOptions = TmpfsOptions()
    image_options: ImageOptions = ImageOptions()


class LogConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """A driver (`json-file`, `local`, `journald`, `none`), and its options."""

    type: str = "json-file"
    config: dict[str, str] = {}


class RestartPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    """`no`, `always`, `unless-stopped`, `on-failure` (so many times; 0: for ever)."""

    name: str = "no"
    maximum_retry_count: int = 0


class HostConfig(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """How the host runs it: limits in bytes, microseconds, 1e-9 CPUs; 0 means no limit (Engine API, `HostConfig`)."""

    network_mode: str = "default"
    auto_remove: bool = False
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    memory: int = 0
    memory_swap: int = 0  # memory + swap; -1 unlimited; 0: twice the memory, which a record then says
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
    masked_paths: tuple[str, ...] | None = None  # None: the usual ones; an empty one asks for none
    readonly_paths: tuple[str, ...] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    init: bool | None = None
    binds: tuple[str, ...] | None = None  # source:destination[:options]
    mounts: tuple[AskedMount, ...] | None = None
    tmpfs: dict[str, str] | None = None  # options by destination
    volumes_from: tuple[str, ...] | None = None  # container[:ro]
    volume_driver: str = ""
    devices: tuple[DeviceMapping, ...] | None = None
    device_cgroup_rules: tuple[str, ...] | None = None
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    blkio_weight: int = 0
    blkio_weight_device: tuple[WeightDevice, ...] | None = None
    blkio_device_read_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_bps: tuple[ThrottleDevice, ...] | None = None
    blkio_device_read_iops: tuple[ThrottleDevice, ...] | None = None
    blkio_device_write_iops: tuple[ThrottleDevice, ...] | None = None
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    userns_mode: str = ""
    cgroupns_mode: str = ""
    dns: tuple[str, ...] | None = None
    dns_search: tuple[str, ...] | None = None
    dns_options: tuple[str, ...] | None = None
    extra_hosts: tuple[str, ...] | None = None  # name:address
    links: tuple[str, ...] | None = None  # container:alias; in a record /container:/own name/alias
    port_bindings: dict[str, tuple[PortBinding, ...] | None] | None = None
    publish_all_ports: bool = False


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
    points: tuple[Point, ...] | None = None  # None: a record of an earlier version, which had no volumes
    networks: dict[str, EndpointConfig] = {}  # by their names, in the order of connection


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
    restarts: int = 0  # by its policy, since it was last started by hand
    health: Health | None = None
    stopped: bool = False  # by hand: its policy does not apply

    @property
    def running(self) -> bool:
        """It has a monitor, and processes: which a pause keeps from going on, and a restart from being there."""
        return self.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING)

    @property
    def paused(self) -> bool:
        return self.status is Status.PAUSED

    @property
    def restarting(self) -> bool:
        return self.status is Status.RESTARTING

    @property
    def dead(self) -> bool:
        """It was to be removed, and something of it could not be deleted: it can only be removed again."""
        return self.status is Status.DEAD


class Container(msgspec.Struct, frozen=True):
    """Both halves, as read at one moment; and where it is in its networks, while it runs."""

    record: Record
    state: State
    endpoints: tuple[Endpoint, ...] = ()


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
