"""What a container uses, as its cgroup counts it, in the shape that `runc events --stats` prints.

containerd and others decode these names (runc's types/events.go), so both versions of cgroups answer in the same ones,
which are v1's: v2's swap is given as memory and swap together, its `io.stat` as blkio's tables. As Go writes it, a
number that may be left out is left out when it is 0; the members without a default here are always there. `psi` is
pressure stall information (kernel Documentation/accounting/psi.rst), which only v2 has for a cgroup.

Units are the kernel's: bytes, nanoseconds, operations. `UNLIMITED` is how v2's word "max" is written.
"""

import msgspec

UNLIMITED = 2**64 - 1


class Pressure(msgspec.Struct, frozen=True):
    """The share of the last 10, 60, 300 seconds that tasks waited, in percent; and all of it, in microseconds."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total: int = 0


class Pressures(msgspec.Struct, frozen=True):
    """`some`: at least one task waited; `full`: all did."""

    some: Pressure = Pressure()
    full: Pressure = Pressure()


class CpuUsage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Nanoseconds on a processor."""

    total: int = 0
    percpu: tuple[int, ...] = ()
    percpu_kernel: tuple[int, ...] = ()
    percpu_user: tuple[int, ...] = ()
    kernel: int
    user: int


class Throttling(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Periods with a quota, those in which it was used up, and the nanoseconds that tasks then had to wait."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class Cpu(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    usage: CpuUsage
    throttling: Throttling
    psi: Pressures | None = None


class CpuSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """v1's cpuset; on v2 all is 0."""

    cpus: tuple[int, ...] = ()
    cpu_exclusive: int
    mems: tuple[int, ...] = ()
    mem_hardwall: int
    mem_exclusive: int
    memory_migrate: int
    memory_spread_page: int
    memory_spread_slab: int
    memory_pressure: int
    sched_load_balance: int
    sched_relax_domain_level: int


class MemoryEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Bytes; `max` is the most that was ever used, `failcnt` how often the limit was hit."""

    limit: int
    usage: int = 0
    max: int = 0
    failcnt: int


class Memory(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`swap` is memory and swap together; `raw` is memory.stat."""

    cache: int = 0
    usage: MemoryEntry
    swap: MemoryEntry
    kernel: MemoryEntry
    kernel_tcp: MemoryEntry = msgspec.field(name="kernelTCP")
    raw: dict[str, int] = msgspec.field(default_factory=dict)
    psi: Pressures | None = None


class Pids(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tasks; a limit of 0 is none."""

    current: int = 0
    limit: int = 0


class BlkioEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number of one block device."""

    major: int = 0
    minor: int = 0
    op: str = ""
    value: int = 0


Table = tuple[BlkioEntry, ...]


class Blkio(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """Bytes, operations, nanoseconds and sectors by device and operation."""

    io_service_bytes_recursive: Table = ()
    io_serviced_recursive: Table = ()
    io_queue_recursive: Table = ()
    io_service_time_recursive: Table = ()
    io_wait_time_recursive: Table = ()
    io_merged_recursive: Table = ()
    io_time_recursive: Table = ()
    sectors_recursive: Table = ()
    psi: Pressures | None = None


class Hugetlb(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Bytes in huge pages of one size."""

    usage: int = 0
    max: int = 0
    failcnt: int


class Nothing(msgspec.Struct, frozen=True):
    """An empty object."""


NO_ENTRY = MemoryEntry(limit=0, failcnt=0)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """All figures. What nobody counts is 0 (runc's way), so a host without a controller has the same shape."""

    cpu: Cpu = Cpu(usage=CpuUsage(kernel=0, user=0), throttling=Throttling())
    cpuset: CpuSet = CpuSet(cpu_exclusive=0, mem_hardwall=0, mem_exclusive=0, memory_migrate=0, memory_spread_page=0,
                            memory_spread_slab=0, memory_pressure=0, sched_load_balance=0, sched_relax_domain_level=0)
    memory: Memory = Memory(usage=NO_ENTRY, swap=NO_ENTRY, kernel=NO_ENTRY, kernel_tcp=NO_ENTRY)
    pids: Pids = Pids()
    blkio: Blkio = Blkio()
    hugetlb: dict[str, Hugetlb] = msgspec.field(default_factory=dict)
    intel_rdt: Nothing = Nothing()
    network_interfaces: None = None


def keyed(text: str) -> dict[str, int]:
    """Lines of a word and a number: memory.stat, cpu.stat, memory.events."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def number(text: str) -> int:
    """The content of a file with one number; "max" is UNLIMITED, no file ("") is 0."""
    return UNLIMITED if text.strip() == "max" else int(text or 0)


def listed(text: str) -> tuple[int, ...]:
    """A kernel's list of numbers and ranges: `0-2,7`."""
    ends = (part.partition("-") for part in text.strip().split(",") if part)
    return tuple(one for low, _, high in ends for one in range(int(low), int(high or low) + 1))


def pids(current: str, limit: str) -> Pids:
    return Pids(number(current), 0 if limit.strip() == "max" else number(limit))
