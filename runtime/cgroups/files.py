"""From what is asked for (`linux.resources`) to what is written into which file: decided here, and purely.

The same wish has another file name in v1 and v2, and sometimes another scale:

    wish                    v1                               v2
    memory                  memory.limit_in_bytes            memory.max
    memory and swap         memory.memsw.limit_in_bytes      memory.swap.max: the swap alone, so memory is subtracted
    memory kept             memory.soft_limit_in_bytes       memory.low
    share of the CPUs       cpu.shares 2..262144, 1024 std   cpu.weight 1..10000, 100 std: see `weight()`
    CPU time a period       cpu.cfs_quota_us, _period_us     cpu.max "quota period"
    tasks                   pids.max                         pids.max
    share of the disks      blkio.weight 10..1000            io.weight 1..10000

Each controller has one function per version that returns its settings in the order of writing. A controller that is
missing, or a limit that the kernel lacks, is an error that names the field. Only what no v2 host has, or no kernel any
more, is ignored with a warning (`ignored`), since whoever calls a runtime asks for it all the same (runc is silent
about most of it). Absent fields write nothing; so does a 0 where the specification's Go types cannot tell it from
"absent" (memory, swap, shares, quota, period, pids, weights).

Sources: kernel Documentation/admin-guide/cgroup-v1/*.rst and cgroup-v2.rst; runtime-spec config-linux.md.
"""

from collections.abc import Callable, Collection

from runtime.cgroups.memory import UNSET, memory_v1, memory_v2
from runtime.cgroups.processor import cpu_v1, cpu_v2, cpuset
from runtime.cgroups.settings import Setting
from runtime.cgroups.traffic import blkio_v1, hugetlb, io_v2, net_cls, net_prio, pids, rdma, unified
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxResources

Settings = tuple[Setting, ...]
Function = Callable[[LinuxResources], Settings]


def files(resources: LinuxResources, version: int, controllers: Collection[str] | None = None) -> Settings:
    """All settings in the files of one cgroup version, or those of the given controllers only.

    The device rules are not among them: see `devices` and `program`. Raises InvalidSpec for what the version lacks.
    """
    table = {1: V1, 2: V2}[version]
    return tuple(setting for controller, function in table.items() if controllers is None or controller in controllers
                 for setting in function(resources))


def placed(resources: LinuxResources, first: Collection[str], second: Collection[str]) -> tuple[Settings, Settings]:
    """The settings of a hybrid host: (for v1, for v2), each controller where the host has it.

    `first` and `second` name the controllers of either version. Raises InvalidSpec if something was asked for that
    neither has: a missing controller is fine only as long as nobody wants it.
    """
    for wish, (v1, v2) in HOMES.items():
        if _asked(resources, wish) and v1 not in first and v2 not in second and (first or v2):
            raise InvalidSpec(f"$.linux.resources.{wish}: this kernel has no cgroup controller {v1} mounted")
    if resources.unified and first:
        raise InvalidSpec("$.linux.resources.unified: this host's controllers are cgroup v1's")
    missing_in_first = {v2 for v1, v2 in HOMES.values() if v1 not in first}
    return files(resources, 1, first), files(resources, 2, missing_in_first & set(second) | {"unified"})


def ignored(resources: LinuxResources, first: Collection[str]) -> tuple[str, ...]:
    """Warnings about what was asked for and is not to be had; `first` are the host's v1 controllers."""
    memory = resources.memory or LinuxMemory()
    warnings = [KERNEL_MEMORY] if (memory.kernel or 0) > 0 or (memory.kernel_tcp or 0) > 0 else []
    warnings += [f"linux.resources.{wish} is ignored: cgroup v2 has nothing like it"
                 for wish, (controller, asked) in ONLY_V1.items() if controller not in first and asked(resources)
                 and not (first and wish == "network")]  # beside v1 it is an error
    return tuple(warnings)


KERNEL_MEMORY = "Kernel memory settings are ignored and will be removed"  # runc's words


def _memory(resources: LinuxResources) -> LinuxMemory:
    return resources.memory or LinuxMemory()


def _cpu(resources: LinuxResources) -> LinuxCPU:
    return resources.cpu or LinuxCPU()


def _block(resources: LinuxResources) -> LinuxBlockIO:
    return resources.block_io or LinuxBlockIO()


# What only v1 has: the controller there, and whether it was asked for.
ONLY_V1: dict[str, tuple[str, Callable[[LinuxResources], object]]] = {
    "memory.swappiness": ("memory", lambda asked: _memory(asked).swappiness not in (None, UNSET)),
    "memory.disableOOMKiller": ("memory", lambda asked: _memory(asked).disable_oom_killer),
    "cpu.realtimePeriod": ("cpu", lambda asked: _cpu(asked).realtime_period),
    "cpu.realtimeRuntime": ("cpu", lambda asked: _cpu(asked).realtime_runtime),
    "blockIO.leafWeight": ("blkio", lambda asked: _block(asked).leaf_weight or any(
        device.leaf_weight for device in _block(asked).weight_device)),
    "network": ("net_cls", lambda asked: net_cls(asked) or net_prio(asked)),
}

# Which controllers serve which field of the resources, in v1 and in v2.
HOMES = {
    "memory": ("memory", "memory"),
    "cpu": ("cpu", "cpu"),
    "cpu.cpus": ("cpuset", "cpuset"),
    "pids": ("pids", "pids"),
    "blockIO": ("blkio", "io"),
    "hugepageLimits": ("hugetlb", "hugetlb"),
    "network.classID": ("net_cls", ""),
    "network.priorities": ("net_prio", ""),
    "rdma": ("rdma", "rdma"),
}


def _asked(resources: LinuxResources, wish: str) -> bool:
    """Whether v1, which has a file for nearly everything, would write something for this wish."""
    return bool(V1[HOMES[wish][0]](resources))


V1: dict[str, Function] = {
    "cpuset": cpuset,
    "cpu": cpu_v1,
    "memory": memory_v1,
    "pids": pids,
    "blkio": blkio_v1,
    "hugetlb": hugetlb("hugetlb.{}.limit_in_bytes"),
    "net_cls": net_cls,
    "net_prio": net_prio,
    "rdma": rdma,
}
V2: dict[str, Function] = {
    "cpuset": cpuset,
    "cpu": cpu_v2,
    "memory": memory_v2,
    "pids": pids,
    "io": io_v2,
    "hugetlb": hugetlb("hugetlb.{}.max"),
    "rdma": rdma,
    "unified": unified,
}
