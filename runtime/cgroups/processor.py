"""Processors: a share of them (in relation to others), so much time in each period, and which ones (cpuset)."""

import math
import re

from runtime.cgroups.settings import NO_LIMIT_V2, Setting, row
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxCPU, LinuxResources

DEFAULT_PERIOD = 100_000  # microseconds; the kernel's own
LEAST, MOST = 2, 262144  # shares


def cpu_v1(resources: LinuxResources) -> tuple[Setting, ...]:
    cpu = resources.cpu or LinuxCPU()
    return (
        *row("cpu.idle", "cpu", "cpu.idle", cpu.idle),
        *row("cpu.shares", "cpu", "cpu.shares", _shares(cpu)),
        # The period first: the quota is checked against it.
        *row("cpu.period", "cpu", "cpu.cfs_period_us", cpu.period or None),
        *row("cpu.quota", "cpu", "cpu.cfs_quota_us", cpu.quota or None),
        *row("cpu.burst", "cpu", "cpu.cfs_burst_us", cpu.burst, optional=True),  # since Linux 5.14
        *row("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", cpu.realtime_period or None),
        *row("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", cpu.realtime_runtime or None),
    )


def _shares(cpu: LinuxCPU) -> int | None:
    """The kernel would silently take the nearest end of the scale. An idle cgroup has no share, and takes none."""
    if not cpu.shares or cpu.idle:
        return None
    if not LEAST <= cpu.shares <= MOST:
        word, end = ("minimum", LEAST) if cpu.shares < LEAST else ("maximum", MOST)
        raise InvalidSpec(f"$.linux.resources.cpu.shares: the {word} allowed cpu-shares is {end}")
    return cpu.shares


def cpu_v2(resources: LinuxResources) -> tuple[Setting, ...]:
    cpu = resources.cpu or LinuxCPU()
    # An idle cgroup has no weight, and the kernel refuses to set one.
    shares = None if cpu.idle else cpu.shares
    return (
        *row("cpu.idle", "cpu", "cpu.idle", cpu.idle),
        *row("cpu.shares", "cpu", "cpu.weight", weight(shares) if shares else None),
        *row("cpu", "cpu", "cpu.max", _cpu_max(cpu)),
        *row("cpu.burst", "cpu", "cpu.max.burst", cpu.burst, optional=True),
    )


def weight(shares: int) -> int:
    """v2's cpu.weight for v1's cpu.shares, so that the ends and the defaults of both scales meet.

    2 becomes 1, 1024 becomes 100, 262144 becomes 10000, and between them it is a parabola of the logarithms. The older
    straight line made 39 of the default 1024, less than what every service of systemd has. (opencontainers/cgroups,
    ConvertCPUSharesToCgroupV2Value.)
    """
    if shares <= LEAST:
        return 1
    if shares >= MOST:
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
    return (*row("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus.strip()),
            *row("cpu.mems", "cpuset", "cpuset.mems", cpu.mems.strip()))
