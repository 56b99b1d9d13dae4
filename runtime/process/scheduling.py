"""Who gets the processor and the disk, and on which processors; and the personality.

All of it is inherited by what the program starts, and survives execve. Raising a priority is a privilege of the host's
(CAP_SYS_NICE, CAP_SYS_ADMIN), which the root of a user namespace has not: so it is set from outside.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux import scheduling
from runtime.spec import CPUAffinity, LinuxPersonality, Process, Scheduler
from runtime.stage import Inside, Outside
from runtime.step import Step

Complaint = tuple[str, str]

HIGHEST_CPU = 8191  # NR_CPUS of the largest kernels; bounds what a list of CPUs can cost us (CVE-2018-20699)
CHRT = {"SCHED_OTHER": "other", "SCHED_FIFO": "fifo", "SCHED_RR": "rr", "SCHED_BATCH": "batch", "SCHED_IDLE": "idle",
        "SCHED_DEADLINE": "deadline"}


class SetScheduler(Step[Outside], frozen=True):
    """The policy by which the kernel chooses who runs."""

    why: ClassVar[str] = (
        "from outside, as a real-time policy and a nice value below 0 need the host's CAP_SYS_NICE; in the cgroup, as "
        "that is where real time is granted")
    manual: ClassVar[str] = "sched_setattr(2), sched(7)"
    scheduler: Scheduler

    def describe(self) -> str:
        one = self.scheduler
        parts = (f"nice {one.nice}" if one.nice else "", f"priority {one.priority}" if one.priority else "",
                 *(f"{name} {value} ns" for name, value in self.times() if value), *one.flags)
        return f"schedule by {', '.join((one.policy, *filter(None, parts)))}"

    def times(self) -> tuple[tuple[str, int], ...]:
        one = self.scheduler
        return ("runtime", one.runtime), ("deadline", one.deadline), ("period", one.period)

    def shell(self) -> str:
        one = self.scheduler
        times = "".join(f" --sched-{name} {value}" for name, value in self.times() if value)
        reset = " --reset-on-fork" if "SCHED_FLAG_RESET_ON_FORK" in one.flags else ""
        words = f"chrt --{CHRT.get(one.policy, 'other')}{reset}{times} --pid {one.priority} $$"
        return f"{words}; renice -n {one.nice} -p $$ >/dev/null" if one.nice else words

    def apply(self, at: Outside) -> None:
        one = self.scheduler
        flags = sum(scheduling.FLAGS[flag] for flag in set(one.flags))
        with failing(self, at):
            scheduling.sched_setattr(at.pid, scheduling.POLICIES[one.policy], flags, one.nice, one.priority,
                                     (one.runtime, one.deadline, one.period))


class SetIOPriority(Step[Outside], frozen=True):
    """Whose reads and writes come first."""

    why: ClassVar[str] = "from outside, as the real-time class needs the host's CAP_SYS_ADMIN or CAP_SYS_NICE"
    manual: ClassVar[str] = "ioprio_set(2)"
    kind: str
    priority: int

    def describe(self) -> str:
        return f"set the I/O priority to {self.kind} {self.priority}"

    def shell(self) -> str:
        number = scheduling.IO_CLASSES[self.kind]
        return f"ionice --class {number} {f'--classdata {self.priority} ' if number < 3 else ''}--pid $$"

    def apply(self, at: Outside) -> None:
        with failing(self, at):
            scheduling.ioprio_set(at.pid, scheduling.IO_CLASSES[self.kind], self.priority)


class SetPersonality(Step[Inside], frozen=True):
    """What uname(2) tells of the machine."""

    why: ClassVar[str] = "a 32-bit system in a container would build for the machine that it sees"
    manual: ClassVar[str] = "personality(2)"
    domain: str

    def describe(self) -> str:
        return f"set the personality to {self.domain}"

    def shell(self) -> str:
        return f"setarch {'linux32' if self.domain == 'LINUX32' else 'linux64'} \\"

    def apply(self, at: Inside) -> None:
        scheduling.personality(scheduling.PERSONALITIES[self.domain])


class SetAffinity(Step[Outside], frozen=True):
    """On which processors the new process of `exec` may run."""

    why: ClassVar[str] = (
        "before it is in the container's cgroup: moving there must not take time on processors that belong to others; "
        "and after it, when the cgroup's own set has had its say")
    manual: ClassVar[str] = "sched_setaffinity(2), cpuset(7)"
    cpus: tuple[int, ...]

    def describe(self) -> str:
        return f"run on the processors {listed(self.cpus)}"

    def shell(self) -> str:
        return f"taskset --cpu-list --pid {listed(self.cpus)} $$"

    def apply(self, at: Outside) -> None:
        with failing(self, at):
            os.sched_setaffinity(at.pid, self.cpus)


@contextmanager
def failing(step: Step[Outside], at: Outside) -> Iterator[None]:
    """A failure, told; if the process has ended, that is why, and it says more."""
    try:
        yield
    except OSError as error:
        at.hear()
        code = errno.errorcode.get(error.errno or 0, str(error.errno))
        raise StepFailed(step.located(f"{step.describe()}: {str(error.strerror).lower()} "
                                      f"({step.manual.split(',')[0]}, {code})")) from error


def listed(cpus: tuple[int, ...]) -> str:
    return ",".join(map(str, cpus))


def processors(words: str) -> tuple[int, ...]:
    """`0-3,7` as numbers, ascending. Raises ValueError."""
    found: set[int] = set()
    for part in words.split(","):
        first, dash, last = (word.strip(" ") for word in part.partition("-"))
        bounds = (first, last if dash else first)
        if not all(word.isascii() and word.isdigit() and len(word) < 6 for word in bounds):
            raise ValueError(f"{part!r} is no processor, and no range of them")
        low, high = map(int, bounds)
        if not low <= high <= HIGHEST_CPU:
            raise ValueError(f"{part!r}: expected ascending numbers up to {HIGHEST_CPU}")
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def priorities(process: Process, path: str) -> Iterator[Step[Outside]]:
    """The steps, in order."""
    if process.scheduler is not None:
        yield SetScheduler(process.scheduler, member=f"{path}.scheduler")
    if process.io_priority is not None:
        yield SetIOPriority(process.io_priority.class_, process.io_priority.priority, member=f"{path}.ioPriority")


def affinity(words: str) -> tuple[SetAffinity, ...]:
    return (SetAffinity(processors(words)),) if words else ()


def of_priorities(process: Process, path: str) -> Iterator[Complaint]:
    """What is wrong with a process's scheduler, ioPriority and execCPUAffinity."""
    if process.scheduler is not None:
        yield from of_scheduler(process.scheduler, f"{path}.scheduler")
    if process.io_priority is not None:
        if process.io_priority.class_ not in scheduling.IO_CLASSES:
            yield f"{path}.ioPriority.class", f"invalid io priority class: {process.io_priority.class_}"
        if not 0 <= process.io_priority.priority <= 7:
            yield f"{path}.ioPriority.priority", "expected a number from 0 to 7"
    if process.exec_cpu_affinity is not None:
        yield from of_affinity(process.exec_cpu_affinity, f"{path}.execCPUAffinity")


def of_scheduler(scheduler: Scheduler, path: str) -> Iterator[Complaint]:
    policy = scheduler.policy
    if policy not in scheduling.POLICIES:
        yield f"{path}.policy", f"invalid scheduler policy: {policy}"
    for number, flag in enumerate(scheduler.flags):
        if flag not in scheduling.FLAGS:
            yield f"{path}.flags[{number}]", f"invalid scheduler flag: {flag}"
    if not -20 <= scheduler.nice <= 19:
        yield f"{path}.nice", "expected a number from -20 to 19"
    real_time = policy in ("SCHED_FIFO", "SCHED_RR")
    if real_time and not 1 <= scheduler.priority <= 99:
        yield f"{path}.priority", f"{policy} needs a priority from 1 to 99"
    if not real_time and scheduler.priority:
        yield f"{path}.priority", "scheduler.priority can only be specified for SchedFIFO or SchedRR policy"
    times = (scheduler.runtime, scheduler.deadline, scheduler.period)
    if policy != "SCHED_DEADLINE" and any(times):
        yield path, "scheduler runtime/deadline/period can only be specified for SchedDeadline policy"
    if policy == "SCHED_DEADLINE" and not 0 < scheduler.runtime <= scheduler.deadline:
        yield f"{path}.runtime", "SCHED_DEADLINE needs a runtime, and a deadline that is not before it"
    if max(times) >= 2**63:
        yield path, "expected nanoseconds below 2^63"


def of_affinity(affinity: CPUAffinity, path: str) -> Iterator[Complaint]:
    for field, words in (("initial", affinity.initial), ("final", affinity.final)):
        try:
            processors(words or "0")
        except ValueError as error:
            yield f"{path}.{field}", str(error)


def of_personality(personality: LinuxPersonality, path: str) -> Iterator[Complaint]:
    if personality.domain not in scheduling.PERSONALITIES:
        yield f"{path}.domain", f"invalid personality domain {personality.domain}"
    if personality.flags:
        yield f"{path}.flags", "additional personality flags are not defined by the specification"
