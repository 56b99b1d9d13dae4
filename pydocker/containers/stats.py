"""`stats`: what a container uses now, as its cgroup counts it, and what the whole machine has used meanwhile.

The share of a processor is a quotient of two differences: the container's time and the machine's, between two samples.
So the machine's time (proc_stat(5)) is read with each.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pydocker.containers import bundle
from pydocker.model.container import Record
from pydocker.network.sandbox import real
from runtime import cgroups
from runtime.cgroups.stats import Stats
from runtime.errors import Fault

_NANOSECONDS_A_TICK = 10**9 // os.sysconf("SC_CLK_TCK")
_COUNTED = 7  # user nice system idle iowait irq softirq: as Docker, which leaves out what is stolen or a guest's


class Traffic(msgspec.Struct, frozen=True):
    """Of one interface, since it was made (netdevice(7), struct rtnl_link_stats)."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One reading. `system`: nanoseconds of all processors together; `machine_memory`: bytes, the most there is."""

    taken: float
    system: int
    processors: int
    machine_memory: int
    figures: Stats
    traffic: Mapping[str, Traffic] = {}  # by interface; nothing where the container has the host's, or another's


def sample(record: Record, pid: int = 0) -> Sample | None:
    """The container's figures of this moment; None when it has no cgroup (any more): it does not run."""
    try:
        figures = cgroups.open(bundle.cgroup(record)).stats()
    except (Fault, OSError):
        return None
    system, processors = machine(Path("/proc/stat").read_text())
    return Sample(taken=time.time(), system=system, processors=processors,
                  machine_memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), figures=figures,
                  traffic=_traffic(pid) if pid and real(record) else {})


def _traffic(pid: int) -> Mapping[str, Traffic]:
    """In the network of a process, which /proc shows to everybody (proc_pid_net(5))."""
    try:
        return traffic(Path(f"/proc/{pid}/net/dev").read_text())
    except OSError:  # it has ended
        return {}


def traffic(dev: str) -> Mapping[str, Traffic]:
    """From the lines of /proc/PID/net/dev; loopback is nobody's traffic."""
    found = {}
    for line in dev.splitlines()[2:]:
        name, _, text = line.partition(":")
        numbers = [int(number) for number in text.split()]
        if name.strip() != "lo":
            found[name.strip()] = Traffic(*numbers[:4], *numbers[8:12])
    return found


def machine(stat: str) -> tuple[int, int]:
    """The time of all processors in nanoseconds, and how many there are, from the lines of /proc/stat."""
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    total = next(line for line in lines if line[0] == "cpu")
    return sum(map(int, total[1:1 + _COUNTED])) * _NANOSECONDS_A_TICK, len(lines) - 1
