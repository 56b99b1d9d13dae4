"""`GET /containers/{id}/stats` (Engine API, `ContainerStatsResponse`): one sample, and the processor's part of the one
before it, from which clients make a percentage.

The figures have v1's names on every host, and v2's where Docker has them so (`memory_stats.stats` is memory.stat as it
is). What nobody counts is left out, or 0, or empty.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pydocker.wire.times import rfc3339
from runtime.cgroups.stats import UNLIMITED, BlkioEntry, Cpu, Memory, Stats

Shape = dict[str, object]
_TABLES = ("io_service_bytes", "io_serviced", "io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time")


class Sample(Protocol):
    """One reading."""

    @property
    def taken(self) -> float: ...
    @property
    def system(self) -> int: ...
    @property
    def processors(self) -> int: ...
    @property
    def machine_memory(self) -> int: ...
    @property
    def figures(self) -> Stats: ...
    @property
    def traffic(self) -> Mapping[str, msgspec.Struct]: ...


def stats(id: str, name: str, now: Sample | None, before: Sample | None) -> Shape:
    """The document; without a sample, that of a container that does not run."""
    shape: Shape = {
        "read": rfc3339(now.taken if now else 0.0), "preread": rfc3339(before.taken if before else 0.0),
        "pids_stats": _pids(now.figures) if now else {}, "blkio_stats": _blkio(now.figures if now else None),
        "num_procs": 0, "storage_stats": {}, "cpu_stats": _cpu(now), "precpu_stats": _cpu(before),
        "memory_stats": _memory(now.figures.memory, now.machine_memory) if now else {},
    }
    networks: Shape = {"networks": msgspec.to_builtins(now.traffic)} if now and now.traffic else {}
    return {**shape, **networks, "name": f"/{name}", "id": id}


def _pids(figures: Stats) -> Shape:
    limit = {"limit": figures.pids.limit} if figures.pids.limit else {}
    return {"current": figures.pids.current, **limit}


def _cpu(of: Sample | None) -> Shape:
    if of is None:
        return {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
                "throttling_data": _throttling(None)}
    usage = of.figures.cpu.usage
    each: Shape = {"percpu_usage": usage.percpu} if usage.percpu else {}
    return {"cpu_usage": {"total_usage": usage.total, **each, "usage_in_kernelmode": usage.kernel,
                          "usage_in_usermode": usage.user},
            "system_cpu_usage": of.system, "online_cpus": of.processors, "throttling_data": _throttling(of.figures.cpu)}


def _throttling(cpu: Cpu | None) -> Shape:
    found = cpu.throttling if cpu else None
    return {"periods": found.periods if found else 0, "throttled_periods": found.throttled_periods if found else 0,
            "throttled_time": found.throttled_time if found else 0}


def _memory(memory: Memory, machine: int) -> Shape:
    entry = memory.usage
    most: Mapping[str, object] = {"max_usage": entry.max} if entry.max else {}
    failed: Mapping[str, object] = {"failcnt": entry.failcnt} if entry.failcnt else {}
    # No limit is the machine's, or v1's largest number of whole pages: either is more than there is.
    limit = machine if not entry.limit or entry.limit == UNLIMITED else min(entry.limit, machine)
    return {"usage": entry.usage, **most, "stats": memory.raw, **failed, "limit": limit}


def _blkio(figures: Stats | None) -> Shape:
    tables: Shape = {f"{name}_recursive": _table(getattr(figures.blkio, f"{name}_recursive") if figures else ())
                     for name in _TABLES}
    return {**tables, "sectors_recursive": _table(figures.blkio.sectors_recursive if figures else ())}


def _table(entries: tuple[BlkioEntry, ...]) -> list[Shape]:
    return [{"major": one.major, "minor": one.minor, "op": one.op, "value": one.value} for one in entries]
