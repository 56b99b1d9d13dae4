"""What `update` may change of a container: the body of `POST /containers/{id}/update`.

The fields are HostConfig's, and what they leave at 0 or empty stays as it is. `pids_limit` is the exception: 0 and -1
are "no limit", None is "as it is".
"""

import msgspec

from pydocker.model.container import RestartPolicy, docker_name
from pydocker.model.network import PortBinding


class Update(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """Bytes, microseconds, 1e-9 CPUs."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0
    restart_policy: RestartPolicy | None = None
    publish_add: dict[str, tuple[PortBinding, ...] | None] | None = None  # ours: ports, by `80/tcp`
    publish_remove: dict[str, tuple[PortBinding, ...] | None] | None = None  # null, or an empty one: all of that port
