"""What a container uses, as its cgroup counts it."""

import os
from typing import Any

import msgspec

from runtime.cgroups import v1, v2
from runtime.cgroups.branch import read

NEVER_REACHED = 1 << 62  # v1 writes "no limit" as the largest number of pages, in bytes


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """None is: nobody counts. Memory in bytes, processor time in nanoseconds; `*_limit` None is also: no limit."""

    memory: int | None = None
    memory_limit: int | None = None
    cpu: int | None = None
    pids: int | None = None
    pids_limit: int | None = None


def stats(first: tuple[v1.Branch, ...], second: v2.Branch | None) -> Stats:
    """The figures of v1's controllers, and v2's for what v1 does not have. Raises StepFailed."""
    known = _of_v2(second) if second else {}
    for branch in first:
        for name in branch.controllers:
            known |= V1.get(name, _nothing)(branch)
    return Stats(**known)


def oom_kills(first: tuple[v1.Branch, ...], second: v2.Branch | None) -> int:
    """The kernel's count of killed processes (v1 since Linux 4.13); 0 where nobody counts."""
    branch = next((branch for branch in first if "memory" in branch.controllers), None)
    if branch:
        return _keyed(read(branch.directory, "memory.oom_control")).get("oom_kill", 0)
    if second and _has(second, "memory.events"):
        return _keyed(read(second.directory, "memory.events")).get("oom_kill", 0)
    return 0


def _nothing(branch: v1.Branch) -> dict[str, int | None]:
    return {}


def _memory(branch: v1.Branch) -> dict[str, int | None]:
    memory: Any = branch.controller("memory")
    limit = memory.limit_in_bytes
    return {"memory": memory.usage_in_bytes, "memory_limit": limit if limit < NEVER_REACHED else None}


def _cpuacct(branch: v1.Branch) -> dict[str, int | None]:
    return {"cpu": branch.controller("cpuacct").usage}


def _pids(branch: v1.Branch | v2.Branch) -> dict[str, int | None]:
    return {"pids": int(read(branch.directory, "pids.current")), "pids_limit": _number(branch, "pids.max")}


V1 = {"memory": _memory, "cpuacct": _cpuacct, "pids": _pids}


def _of_v2(branch: v2.Branch) -> dict[str, int | None]:
    """cpu.stat is in every v2 cgroup, the others where the controller is."""
    known: dict[str, int | None] = {"cpu": _keyed(read(branch.directory, "cpu.stat")).get("usage_usec", 0) * 1000}
    if _has(branch, "memory.current"):
        known["memory"] = int(read(branch.directory, "memory.current"))
        known["memory_limit"] = _number(branch, "memory.max")
    if _has(branch, "pids.current"):
        known |= _pids(branch)
    return known


def _has(branch: v2.Branch, file: str) -> bool:
    return os.path.exists(os.path.join(branch.directory, file))


def _number(branch: v1.Branch | v2.Branch, file: str) -> int | None:
    text = read(branch.directory, file).strip()
    return None if text == "max" else int(text)


def _keyed(text: str) -> dict[str, int]:
    """Lines of a word and a number."""
    return {key: int(value) for key, value in (line.split() for line in text.splitlines())}
