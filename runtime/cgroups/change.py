"""Changing the limits of a cgroup in use: in an order that the kernel takes, and all of them or none.

The kernel keeps some pairs in order at every moment: memory <= memory and swap, quota >= burst, the quota's share of
its period within the parent's. Which of two has to go first depends on what stands there now, on whether a limit rises
or falls. So what was refused is tried once more after the others, and only then it is an error. To take a change back,
what the file said before is written into it.
"""

from collections.abc import Iterable
from contextlib import ExitStack

import msgspec

from runtime.cgroups.branch import read
from runtime.cgroups.steps import SetFirst, SetLimit
from runtime.errors import StepFailed
from runtime.spec.resources import LinuxMemory
from runtime.step import Step

# Files with a line for each device or interface, and how the kernel writes "none" for a line that is not there.
LINES = {"io.max": "rbps=max wbps=max riops=max wiops=max", "io.weight": "default", "io.bfq.weight": "default",
         "rdma.max": "hca_handle=max hca_object=max"}
PER_DEVICE = ("blkio.throttle.", "blkio.weight_device", "blkio.leaf_weight_device", "blkio.bfq.weight_device",
              "net_prio.ifpriomap")


def check_usage(memory: LinuxMemory, used: int) -> None:
    """v2's kernel would kill for a limit below what is in use; `checkBeforeUpdate` asks for an error instead."""
    for name, limit in (("memory+swap", memory.swap), ("memory", memory.limit)):
        if limit and 0 < limit <= used:
            raise StepFailed(f"rejecting {name} limit {limit} <= usage {used}")


def change(steps: Iterable[Step[object]]) -> ExitStack:
    """Apply the steps; what is returned takes them back. Raises StepFailed, when nothing is changed."""
    with ExitStack() as undo:
        refused = [step for step in steps if not taken(step, undo)]
        for step in refused:
            apply(step, undo)
        return undo.pop_all()


def taken(step: Step[object], undo: ExitStack) -> bool:
    try:
        apply(step, undo)
    except StepFailed:
        return False
    return True


def apply(step: Step[object], undo: ExitStack) -> None:
    limit = step.chosen() if isinstance(step, SetFirst) else step
    if limit is None:
        return
    before = earlier(limit) if isinstance(limit, SetLimit) else None
    limit.apply(None)
    undo.callback(limit.undo if before is None else before.apply, None)


def earlier(step: SetLimit) -> SetLimit | None:
    """The step that restores what is there now; None where the file says nothing (cpuset.cpus of v2, inherited)."""
    try:
        value = present(step.file, step.value, read(step.directory, step.file))
    except StepFailed:  # a file that is only written to, or none: then writing says so
        return None
    return msgspec.structs.replace(step, value=value) if value else None


def present(file: str, value: str, content: str) -> str:
    """What would have to be written to have again what the file says, as far as `value` changes it."""
    if file == "memory.oom_control":
        return content.split()[1]  # `oom_kill_disable 0` is its first line
    per_device = file in LINES or file.startswith(PER_DEVICE)
    if not per_device or " " not in value:
        words = content.split()
        # io.weight begins with `default 100`, which is written without the word just as well.
        return words[1] if words[:1] == ["default"] else content.strip()
    key = value.split()[0]
    line = next((line for line in content.splitlines() if line.split()[:1] == [key]), f"{key} {LINES.get(file, '0')}")
    return line.strip()
