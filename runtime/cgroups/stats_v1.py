"""The figures of cgroup v1: each controller's files, read through cgroupspy."""

import os
from collections.abc import Callable, Mapping

import msgspec

from runtime.cgroups import v1
from runtime.cgroups.stats import (
    NO_ENTRY,
    Blkio,
    BlkioEntry,
    Cpu,
    CpuSet,
    CpuUsage,
    Hugetlb,
    Memory,
    MemoryEntry,
    Table,
    Throttling,
    keyed,
    listed,
    number,
    pids,
)

TICK = 10**9 // 100  # nanoseconds; USER_HZ is 100 on every architecture of today
Read = Callable[[str], str]  # a file's name to its content, "" if there is none


def reader(branch: v1.Branch, controller: str) -> Read:
    """Reads this controller's files, by their full names."""
    control = branch.controller(controller)

    def content(file: str) -> str:
        if not os.path.exists(os.path.join(branch.directory, file)):
            return ""
        return str(control.get_property(file.encode()))

    return content


def cpu(known: Mapping[str, Read]) -> Cpu:
    """From cpuacct (use) and cpu (throttling): two controllers, which may be in two hierarchies."""
    acct, quota = known.get("cpuacct", _nothing), keyed(known.get("cpu", _nothing)("cpu.stat"))
    ticks = keyed(acct("cpuacct.stat"))
    each = [tuple(map(int, line.split())) for line in acct("cpuacct.usage_all").splitlines()[1:]]
    usage = CpuUsage(total=number(acct("cpuacct.usage")), percpu=tuple(map(int, acct("cpuacct.usage_percpu").split())),
                     percpu_user=tuple(line[1] for line in each), percpu_kernel=tuple(line[2] for line in each),
                     user=ticks.get("user", 0) * TICK, kernel=ticks.get("system", 0) * TICK)
    return Cpu(usage=usage, throttling=Throttling(quota.get("nr_periods", 0), quota.get("nr_throttled", 0),
                                                  quota.get("throttled_time", 0)))


def cpuset(content: Read) -> CpuSet:
    one = {name: number(content(f"cpuset.{name}")) for name in (
        "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
        "memory_pressure", "sched_load_balance", "sched_relax_domain_level")}
    return CpuSet(cpus=listed(content("cpuset.cpus")), mems=listed(content("cpuset.mems")), **one)


def memory(content: Read) -> Memory:
    raw = keyed(content("memory.stat"))

    def entry(kind: str) -> MemoryEntry:
        if not content(f"memory.{kind}usage_in_bytes"):
            return NO_ENTRY  # swap and the kernel's own memory are optional in kernels
        value = {name: number(content(f"memory.{kind}{name}"))
                 for name in ("limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt")}
        return MemoryEntry(limit=value["limit_in_bytes"], usage=value["usage_in_bytes"],
                           max=value["max_usage_in_bytes"], failcnt=value["failcnt"])

    return Memory(cache=raw.get("cache", 0), usage=entry(""), swap=entry("memsw."), kernel=entry("kmem."),
                  kernel_tcp=entry("kmem.tcp."), raw=dict(sorted(raw.items())))


# Whose files count depends on the I/O scheduler. The first group counts whose first file has lines with a device.
BYTES_AND_COUNT = (("io_serviced_recursive", "io_serviced_recursive"),
                   ("io_service_bytes_recursive", "io_service_bytes_recursive"))
ALL = (("sectors_recursive", "sectors_recursive"), ("io_service_time_recursive", "io_service_time_recursive"),
       ("io_wait_time_recursive", "io_wait_time_recursive"), ("io_merged_recursive", "io_merged_recursive"),
       ("io_queue_recursive", "io_queued_recursive"), ("io_time_recursive", "time_recursive"), *BYTES_AND_COUNT)
GROUPS = (("blkio.bfq.", ALL), ("blkio.bfq.", BYTES_AND_COUNT), ("blkio.", ALL), ("blkio.throttle.", BYTES_AND_COUNT),
          ("blkio.throttle.", (("io_serviced_recursive", "io_serviced"),
                               ("io_service_bytes_recursive", "io_service_bytes"))))


def blkio(content: Read) -> Blkio:
    for prefix, fields in GROUPS:
        if table(content(prefix + fields[0][1])):
            tables = {field: table(content(prefix + file)) for field, file in fields}
            return msgspec.structs.replace(Blkio(), **tables)
    return Blkio()


def table(text: str) -> Table:
    """Lines like `8:0 Read 4096` or `8:0 7`; the sum at the end has no device and is left out."""
    rows = (line.replace(":", " ").split() for line in text.splitlines())
    return tuple(BlkioEntry(int(row[0]), int(row[1]), row[2] if len(row) == 4 else "", int(row[-1]))
                 for row in rows if len(row) >= 3)


def hugetlb(content: Read, sizes: tuple[str, ...]) -> dict[str, Hugetlb]:
    return {size: Hugetlb(usage=number(content(f"hugetlb.{size}.usage_in_bytes")),
                          max=number(content(f"hugetlb.{size}.max_usage_in_bytes")),
                          failcnt=number(content(f"hugetlb.{size}.failcnt")))
            for size in sizes if content(f"hugetlb.{size}.usage_in_bytes")}


def figures(branches: tuple[v1.Branch, ...], sizes: tuple[str, ...]) -> dict[str, object]:
    """The members of Stats that v1's controllers of this host know. Raises OSError if the cgroup is gone."""
    known = {name: reader(branch, name) for branch in branches for name in branch.controllers}
    found: dict[str, object] = {}
    if {"cpu", "cpuacct"} & {*known}:
        found["cpu"] = cpu(known)
    if content := known.get("pids"):
        found["pids"] = pids(content("pids.current"), content("pids.max"))
    if content := known.get("hugetlb"):
        found["hugetlb"] = hugetlb(content, sizes)
    for name, function in (("cpuset", cpuset), ("memory", memory), ("blkio", blkio)):
        if content := known.get(name):
            found[name] = function(content)
    return found


def _nothing(file: str) -> str:
    return ""
