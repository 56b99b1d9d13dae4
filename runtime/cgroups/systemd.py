"""The systemd driver (--systemd-cgroup): systemd makes the cgroup, and is told of the limits.

On a host that systemd manages, systemd takes itself for the only writer of the cgroup tree: it moves, limits and
removes what it does not know of, and shows nobody whose it is. So it is asked, over D-Bus, for a *scope*: a unit for
processes that somebody else started (systemd.scope(5)). `Delegate` says that what lies below the scope's cgroup is
ours; the limits are its properties (systemd.resource-control(5)), so that a `systemctl daemon-reload` writes the same
values again. Which files the kernel has beyond that is written directly, as without systemd.

`linux.cgroupsPath` names the scope as `slice:prefix:name`:

    machine-pods.slice:libpod:1234      the unit libpod-1234.scope in the slice machine-pods.slice, that is the cgroup
                                        /machine.slice/machine-pods.slice/libpod-1234.scope

Everything here decides; `busctl` acts. What a property is, and which an annotation can add, is in `properties`.
"""

import re
from collections.abc import Mapping

import msgspec

from runtime.cgroups.devices import MKNOD, READ, WRITE, Policy, Rule, container_rules, policy
from runtime.cgroups.memory import swap_alone
from runtime.cgroups.processor import DEFAULT_PERIOD, weight
from runtime.cgroups.properties import INFINITY, Property, annotated, bytes_, count, most, text, yes
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxCPU, LinuxMemory, LinuxResources

DEFAULT_SLICE = "system.slice"
LONGEST_LIST = 1 << 16  # bytes of a cpuset: more than every second processor of the largest machine


class Unit(msgspec.Struct, frozen=True):
    """A scope, by its name, and the slice that it is in."""

    name: str
    slice: str = DEFAULT_SLICE

    @property
    def path(self) -> str:
        """Its cgroup, counted from the root of the tree."""
        return f"{expanded(self.slice).rstrip('/')}/{self.name}"


def unit(path: str) -> Unit:
    """The scope that `slice:prefix:name` means; an empty slice is system.slice. Raises InvalidSpec."""
    parts = path.split(":")
    if len(parts) != 3:
        raise InvalidSpec('$.linux.cgroupsPath: expected cgroupsPath to be of format "slice:prefix:name" for systemd '
                          f'cgroups, got "{path}" instead')
    slice, prefix, name = parts
    if name.endswith(".slice"):
        raise InvalidSpec(f"$.linux.cgroupsPath: {name}: a slice holds units, and no processes of its own")
    whole = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    if not name or not re.fullmatch(r"[A-Za-z0-9:_.\\@-]{1,255}", whole, re.ASCII):
        raise InvalidSpec(f"$.linux.cgroupsPath: invalid unit name: {whole}")
    found = Unit(whole, slice or DEFAULT_SLICE)
    expanded(found.slice)
    return found


def expanded(slice: str) -> str:
    """The cgroup of a slice, whose dashes are its levels: a-b.slice is /a.slice/a-b.slice; -.slice is the root."""
    name = slice.removesuffix(".slice")
    parts = name.split("-")
    if slice == "-.slice":
        return "/"
    if name == slice or not all(parts) or not re.fullmatch(r"[A-Za-z0-9:_.\\@-]{1,249}", name, re.ASCII):
        raise InvalidSpec(f"$.linux.cgroupsPath: invalid slice name: {slice}")
    return "".join(f"/{'-'.join(parts[:count])}.slice" for count in range(1, len(parts) + 1))


def properties(unit: Unit, id: str, resources: LinuxResources, annotations: Mapping[str, str], *,
               version: int) -> tuple[Property, ...]:
    """All of a new scope but its process. `version` is that of cgroups, for the names of the limits."""
    accounting = ("Memory", "CPU", "IO" if version == 2 else "BlockIO", "Tasks")
    return (text("Description", f"libcontainer container {id}"), text("Slice", unit.slice), yes("Delegate"),
            *(yes(f"{what}Accounting") for what in accounting), Property("DefaultDependencies", "b", ("false",)),
            *annotated(annotations), *devices(resources), *limits(resources, version=version))


def limits(resources: LinuxResources, *, version: int) -> tuple[Property, ...]:
    """The limits that systemd knows, in its words."""
    memory, cpu = resources.memory or LinuxMemory(), resources.cpu or LinuxCPU()
    block = resources.block_io
    limit = resources.pids.limit if resources.pids else 0
    own = _v2(memory, cpu) if version == 2 else (*bytes_("MemoryLimit", memory.limit), *count("CPUShares", cpu.shares))
    blkio = count("BlockIOWeight", block.weight) if block and version == 1 else ()
    return (*own, *quota(cpu), *blkio, *bytes_("TasksMax", limit), *cpuset("AllowedCPUs", cpu.cpus),
            *cpuset("AllowedMemoryNodes", cpu.mems), *(unified(resources) if version == 2 else ()))


def _v2(memory: LinuxMemory, cpu: LinuxCPU) -> tuple[Property, ...]:
    swap = swap_alone(memory.limit, memory.swap)
    idle = (Property("CPUWeight", "t", ("0",), since=252),) if cpu.idle else ()
    return (*bytes_("MemoryMax", memory.limit), *bytes_("MemoryLow", memory.reservation),
            *((Property("MemorySwapMax", "t", (most(swap),)),) if swap is not None else ()),
            *(idle or count("CPUWeight", weight(cpu.shares) if cpu.shares else None)))


def quota(cpu: LinuxCPU) -> tuple[Property, ...]:
    """Microseconds for each second. systemd counts in whole percents: up, so that our own value fits below it."""
    if not cpu.quota and not cpu.period:
        return ()
    period = (Property("CPUQuotaPeriodUSec", "t", (str(cpu.period),), since=242),) if cpu.period else ()
    second = INFINITY
    if cpu.quota and cpu.quota > 0:
        second = -(-(cpu.quota * 1_000_000 // (cpu.period or DEFAULT_PERIOD)) // 10_000) * 10_000
    return (*period, Property("CPUQuotaPerSecUSec", "t", (str(second),)))


def cpuset(name: str, numbers: str) -> tuple[Property, ...]:
    """A list of numbers as the bits of bytes, the lowest first."""
    if not numbers.strip():
        return ()
    # At most five digits: no machine has more, and each number becomes a bit (CVE-2018-20699).
    wrong = not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*", numbers.strip(), re.ASCII)
    if wrong or len(numbers) > LONGEST_LIST:
        raise InvalidSpec(f"$.linux.resources.cpu: {numbers[:80]!r} is not a list of numbers and ranges")
    bits = 0
    for part in numbers.strip().split(","):  # range by range: a short list can name very many numbers very often
        low, _, high = part.partition("-")
        bits |= max(0, (2 << int(high or low)) - (1 << int(low)))
    content = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return (Property(name, "ay", (str(len(content)), *map(str, content)), since=244),)


UNIFIED = {"memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
           "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
           "cpu.weight": "CPUWeight"}


def unified(resources: LinuxResources) -> tuple[Property, ...]:
    """What systemd has a property for; all else is only in the file."""
    found: list[Property] = []
    for file, value in resources.unified.items():
        word = value.strip()
        if file in UNIFIED and re.fullmatch(r"max|[0-9]{1,20}", word, re.ASCII):
            found.append(Property(UNIFIED[file], "t", (most(word),)))
        elif file == "cpu.max" and re.fullmatch(r"(max|[0-9]{1,18})( +[0-9]{1,18})?", word, re.ASCII):
            first, _, period = word.partition(" ")
            found += quota(LinuxCPU(quota=-1 if first == "max" else int(first), period=int(period or DEFAULT_PERIOD)))
        elif file in ("cpuset.cpus", "cpuset.mems"):
            found += cpuset("AllowedCPUs" if file.endswith("cpus") else "AllowedMemoryNodes", word)
    return tuple(found)


ALL = READ | WRITE | MKNOD
OPEN = (Property("DevicePolicy", "s", ("auto",)), Property("DeviceAllow", "a(ss)", ("0",)))


def devices(resources: LinuxResources) -> tuple[Property, ...]:
    """A list of what is allowed, for a scope that is otherwise closed. What systemd has no words for (a list of what is
    forbidden) is left to our own program, or to v1's files, and systemd's part stays open."""
    try:
        parts = policy(container_rules(resources.devices))
    except InvalidSpec:
        return OPEN
    if any(part.allow and part.exceptions for part in parts.values()) or all(part.allow for part in parts.values()):
        return OPEN
    entries = [entry for kind, part in parts.items() for rule in allowed(kind, part)
               if (entry := allow(rule))]
    words = tuple(word for entry in entries for word in entry)
    return (Property("DevicePolicy", "s", ("strict",)),
            Property("DeviceAllow", "a(ss)", (str(len(entries)), *words)))


def allowed(kind: str, part: Policy) -> tuple[Rule, ...]:
    return (Rule(True, kind, None, None, ALL),) if part.allow else part.exceptions


def allow(rule: Rule) -> tuple[str, str] | None:
    """`/dev/char/1:3 rwm`, `char-136 rw`, `block-* m`; for "every major number, this minor one" there is no word."""
    group = {"c": "char", "b": "block"}[rule.type]
    access = "".join(letter for letter, bit in (("r", READ), ("w", WRITE), ("m", MKNOD)) if rule.access & bit)
    if rule.major is None:
        return (f"{group}-*", access) if rule.minor is None else None
    return (f"{group}-{rule.major}" if rule.minor is None else f"/dev/{group}/{rule.major}:{rule.minor}", access)
