"""What a container uses now: v1's figures where v1 has the controller, v2's for all others."""

import os

from runtime.cgroups import stats_v1, stats_v2, v1, v2
from runtime.cgroups.branch import read, refused
from runtime.cgroups.stats import Stats, keyed
from runtime.errors import StepFailed

UNITS = ((30, "GB"), (20, "MB"), (10, "KB"))


def stats(first: tuple[v1.Branch, ...], second: v2.Branch | None) -> Stats:
    """All figures. Raises StepFailed if the cgroup is gone."""
    for directory in (*(branch.directory for branch in first), *([second.directory] if second else [])):
        if not os.path.isdir(directory):
            raise StepFailed(f"cgroup {directory}: no such file or directory (open(2))")
    sizes = huge_pages()
    try:
        found = stats_v2.figures(second.directory, sizes) if second else {}
        return Stats(**(found | stats_v1.figures(first, sizes)))  # type: ignore[arg-type]
    except OSError as error:  # it went away meanwhile
        raise refused("read the figures of a cgroup", error) from error


def oom_kills(first: tuple[v1.Branch, ...], second: v2.Branch | None) -> int:
    """The kernel's count of killed processes (v1 since Linux 4.13); 0 where nobody counts."""
    branch = next((branch for branch in first if "memory" in branch.controllers), None)
    if branch:
        return keyed(read(branch.directory, "memory.oom_control")).get("oom_kill", 0)
    if second and os.path.exists(os.path.join(second.directory, "memory.events")):
        return keyed(read(second.directory, "memory.events")).get("oom_kill", 0)
    return 0


def huge_pages() -> tuple[str, ...]:
    """The sizes of huge pages, as the files of the controller are named: 2MB, 1GB."""
    try:
        names = os.listdir("/sys/kernel/mm/hugepages")
    except FileNotFoundError:
        return ()
    return tuple(size_name(int(name.removeprefix("hugepages-").removesuffix("kB")) << 10) for name in sorted(names))


def size_name(size: int) -> str:
    """A size in bytes with the largest unit that divides it (kernel, mm/hugetlb_cgroup.c: mem_fmt)."""
    shift, unit = next((one for one in UNITS if size >= 1 << one[0]), UNITS[-1])
    return f"{size >> shift}{unit}"
