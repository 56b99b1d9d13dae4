"""Memory: v1 limits memory, and memory and swap together; v2 limits memory, and swap alone."""

from runtime.cgroups.settings import NO_LIMIT_V2, UNLIMITED, Setting, maximum, row
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxMemory, LinuxResources

UNSET = 2**64 - 1  # what a Go program makes of -1


def memory_v1(resources: LinuxResources) -> tuple[Setting, ...]:
    memory = resources.memory or LinuxMemory()
    _check_signs(memory)
    swap = memory.swap or None
    implied = memory.limit == UNLIMITED and swap is None
    if implied:
        swap = UNLIMITED  # memory without a limit must not stay bound by an older limit on both together
    _check_swap(memory.limit, swap)
    return (
        *row("memory.limit", "memory", "memory.limit_in_bytes", memory.limit or None),
        *row("memory.swap", "memory", "memory.memsw.limit_in_bytes", swap, optional=implied),
        *row("memory.reservation", "memory", "memory.soft_limit_in_bytes", memory.reservation or None),
        *row("memory.swappiness", "memory", "memory.swappiness", _swappiness(memory.swappiness)),
        *row("memory.disableOOMKiller", "memory", "memory.oom_control", memory.disable_oom_killer or None),
        *row("memory.useHierarchy", "memory", "memory.use_hierarchy", memory.use_hierarchy or None),
    )


def memory_v2(resources: LinuxResources) -> tuple[Setting, ...]:
    memory = resources.memory or LinuxMemory()
    _check_signs(memory)
    swap = swap_alone(memory.limit, memory.swap)
    return (
        *row("memory.limit", "memory", "memory.max", maximum(memory.limit or None)),
        # Without swap accounting there is nothing to allow, and nothing to forbid.
        *row("memory.swap", "memory", "memory.swap.max", swap, optional=swap in (NO_LIMIT_V2, "0")),
        *row("memory.reservation", "memory", "memory.low", maximum(memory.reservation or None)),
    )


def swap_alone(limit: int | None, swap: int | None) -> str | None:
    """v2's swap limit from v1's limit on memory and swap together."""
    if not swap:
        return NO_LIMIT_V2 if limit == UNLIMITED else None
    _check_swap(limit, swap)
    if swap == UNLIMITED:
        return NO_LIMIT_V2
    return str(swap - (limit or 0))


def _check_signs(memory: LinuxMemory) -> None:
    """-1 is the one number below 0 that means something."""
    for field, value in (("limit", memory.limit), ("reservation", memory.reservation), ("swap", memory.swap)):
        if value is not None and value < UNLIMITED:
            raise InvalidSpec(f"$.linux.resources.memory.{field}: {value} is no number of bytes, and -1 is no limit")


def _check_swap(limit: int | None, swap: int | None) -> None:
    """The two are one wish: a sum that is smaller than its part, or that has no part, cannot be had."""
    if not swap or swap == UNLIMITED:
        return
    if not limit or limit == UNLIMITED:
        raise InvalidSpec("$.linux.resources.memory.swap: a limit on swap needs a limit on memory")
    if swap < limit:
        raise InvalidSpec(f"$.linux.resources.memory.swap: {swap} is memory and swap together, and memory is {limit}")


def _swappiness(value: int | None) -> int | None:
    if value is None or value == UNSET:
        return None
    if value > 100:
        raise InvalidSpec(f"$.linux.resources.memory.swappiness: invalid memory swappiness value: {value} "
                          "(valid range is 0-100)")
    return value
