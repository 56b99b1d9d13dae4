"""Processors: a share of them (in relation to others), so much time in each period, and which ones (cpuset)."""

import math
import re

from runtime.cgroups.settings import NO_LIMIT_V2, Setting, not_in_v2, row
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxCPU, LinuxResources

DEFAULT_PERIOD = 100_000  # microseconds; the kernel's own


def cpu_v1(resources: LinuxResources) -> tuple[Setting, ...]:
    cpu = resources.cpu or LinuxCPU()
    return (
        *row("cpu", "cpu.shares", cpu.shares or None),
        *row("cpu", "cpu.cfs_period_us", cpu.period or None),  # the period first: the quota is checked against it
        *row("cpu", "cpu.cfs_quota_us", cpu.quota or None),
        *row("cpu", "cpu.cfs_burst_us", cpu.burst),
        *row("cpu", "cpu.rt_period_us", cpu.realtime_period or None),
        *row("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime or None),
        *row("cpu", "cpu.idle", cpu.idle),
    )


def cpu_v2(resources: LinuxResources) -> tuple[Setting, ...]:
    cpu = resources.cpu or LinuxCPU()
    not_in_v2({"cpu.realtimePeriod": cpu.realtime_period, "cpu.realtimeRuntime": cpu.realtime_runtime})
    # An idle cgroup has no weight, and the kernel refuses to set one.
    shares = None if cpu.idle else cpu.shares
    return (
        *row("cpu", "cpu.idle", cpu.idle),
        *row("cpu", "cpu.weight", weight(shares) if shares else None),
        *row("cpu", "cpu.max", _cpu_max(cpu)),
        *row("cpu", "cpu.max.burst", cpu.burst),
    )


def weight(shares: int) -> int:
    """v2's cpu.weight for v1's cpu.shares, so that the ends and the defaults of both scales meet.

    2 becomes 1, 1024 becomes 100, 262144 becomes 10000, and between them it is a parabola of the logarithms. The older
    straight line made 39 of the default 1024, less than what every service of systemd has. (opencontainers/cgroups,
    ConvertCPUSharesToCgroupV2Value.)
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    level = math.log2(shares)
    return math.ceil(10 ** ((level * level + 125 * level) / 612 - 7 / 34))


def _cpu_max(cpu: LinuxCPU) -> str | None:
    if not cpu.quota and not cpu.period:
        return None
    quota = cpu.quota if cpu.quota and cpu.quota > 0 else NO_LIMIT_V2
    return f"{quota} {cpu.period or DEFAULT_PERIOD}"


def cpuset(resources: LinuxResources) -> tuple[Setting, ...]:
    cpu = resources.cpu or LinuxCPU()
    for field, value in (("cpus", cpu.cpus), ("mems", cpu.mems)):
        if not re.fullmatch(r"[0-9,\- \n]{0,4096}", value, re.ASCII):
            raise InvalidSpec(f"$.linux.resources.cpu.{field}: not a list of numbers and ranges")
    return (*row("cpuset", "cpuset.cpus", cpu.cpus.strip()), *row("cpuset", "cpuset.mems", cpu.mems.strip()))
