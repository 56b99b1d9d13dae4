"""The figures of cgroup v2, in v1's names."""

import os
from collections.abc import Callable

import msgspec

from runtime.cgroups.branch import members, read
from runtime.cgroups.stats import (
    NO_ENTRY,
    UNLIMITED,
    Blkio,
    BlkioEntry,
    Cpu,
    CpuUsage,
    Hugetlb,
    Memory,
    MemoryEntry,
    Pressures,
    Throttling,
    keyed,
    number,
    pids,
)
from runtime.errors import StepFailed

Read = Callable[[str], str]
MICROSECOND = 1000  # nanoseconds


def reader(directory: str) -> Read:
    """Reads the files of one cgroup; "" for one that is not there, or that the kernel was booted without (psi=0)."""
    def content(file: str) -> str:
        if not os.path.exists(os.path.join(directory, file)):
            return ""
        try:
            return read(directory, file)
        except StepFailed:
            if file.endswith(".pressure"):
                return ""
            raise

    return content


def figures(directory: str, sizes: tuple[str, ...]) -> dict[str, object]:
    """The members of Stats for the controllers that this cgroup has. Raises StepFailed if it is gone."""
    content = reader(directory)
    found: dict[str, object] = {"cpu": cpu(content)}
    if content("memory.stat") and content("memory.current"):
        found["memory"] = memory(content)
    current = content("pids.current") or str(len(members(directory)))
    found["pids"] = pids(current, content("pids.max"))
    if content("io.stat") or content("io.pressure"):
        found["blkio"] = io(content)
    huge = hugetlb(content, sizes)
    return found | ({"hugetlb": huge} if huge else {})


def cpu(content: Read) -> Cpu:
    """cpu.stat is in every v2 cgroup, also where the controller is v1's."""
    stat = keyed(content("cpu.stat"))
    usage = CpuUsage(total=stat.get("usage_usec", 0) * MICROSECOND, user=stat.get("user_usec", 0) * MICROSECOND,
                     kernel=stat.get("system_usec", 0) * MICROSECOND)
    throttling = Throttling(stat.get("nr_periods", 0), stat.get("nr_throttled", 0),
                            stat.get("throttled_usec", 0) * MICROSECOND)
    return Cpu(usage=usage, throttling=throttling, psi=pressure(content("cpu.pressure")))


def memory(content: Read) -> Memory:
    raw = keyed(content("memory.stat"))
    usage, limit = number(content("memory.current")), number(content("memory.max"))
    return Memory(cache=raw.get("file", 0), usage=MemoryEntry(limit=limit, usage=usage,
                                                              max=number(content("memory.peak")), failcnt=0),
                  swap=swap(content, usage, limit), kernel=NO_ENTRY, kernel_tcp=NO_ENTRY,
                  raw=dict(sorted(raw.items())), psi=pressure(content("memory.pressure")))


def swap(content: Read, usage: int, limit: int) -> MemoryEntry:
    """Memory and swap together, as v1 has it. Without swap accounting it is what memory alone is."""
    alone, most = number(content("memory.swap.current")), number(content("memory.swap.max"))
    both = UNLIMITED if UNLIMITED in (most, limit) else most + limit
    return MemoryEntry(limit=both, usage=alone + usage, failcnt=0)


FIELDS = {"rbytes": ("io_service_bytes_recursive", "Read"), "wbytes": ("io_service_bytes_recursive", "Write"),
          "rios": ("io_serviced_recursive", "Read"), "wios": ("io_serviced_recursive", "Write")}


def io(content: Read) -> Blkio:
    """io.stat: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6` for each device."""
    tables: dict[str, list[BlkioEntry]] = {"io_service_bytes_recursive": [], "io_serviced_recursive": []}
    for line in content("io.stat").splitlines():
        device, *items = line.split()
        major, _, minor = device.partition(":")
        for key, _, value in (item.partition("=") for item in items):
            if key in FIELDS:
                field, operation = FIELDS[key]
                tables[field].append(BlkioEntry(int(major), int(minor), operation, int(value)))
    return Blkio(**{field: tuple(rows) for field, rows in tables.items()}, psi=pressure(content("io.pressure")))


def pressure(text: str) -> Pressures | None:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same line for `full`; None without the file."""
    lines = {kind: {key: float(value) for key, _, value in (item.partition("=") for item in items)}
             for kind, *items in (line.split() for line in text.splitlines())}
    return msgspec.convert(lines, Pressures, strict=False) if lines else None


def hugetlb(content: Read, sizes: tuple[str, ...]) -> dict[str, Hugetlb]:
    return {size: Hugetlb(usage=number(content(f"hugetlb.{size}.current")),
                          failcnt=keyed(content(f"hugetlb.{size}.events")).get("max", 0))
            for size in sizes if content(f"hugetlb.{size}.current")}
