"""What a process may use up by itself: rlimits, and how soon it is killed when memory runs out."""

import os
import resource
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux.descriptors import read, write
from runtime.stage import Inside, Outside
from runtime.step import Stage, Step

INFINITY = 2**64 - 1  # the specification's "no limit"; Python's is -1

LIMITS = {
    name: getattr(resource, name)
    for name in ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_MEMLOCK",
                 "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO",
                 "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK")
}


class Limit(Step[Stage], frozen=True):
    """One rlimit, of the process that becomes the container's."""

    name: str
    soft: int
    hard: int

    def describe(self) -> str:
        return f"set {self.name} to {worded(self.soft)} (soft), {worded(self.hard)} (hard)"

    def shell(self) -> str:
        option = self.name.removeprefix("RLIMIT_").lower()
        return f"prlimit --pid $$ --{option}={worded(self.soft)}:{worded(self.hard)}"


class SetLimit(Limit[Inside], frozen=True):
    """One rlimit."""

    why: ClassVar[str] = "while still root: raising a hard limit needs CAP_SYS_RESOURCE, which is about to go"
    manual: ClassVar[str] = "setrlimit(2)"

    def apply(self, at: Inside) -> None:
        wanted = (python(self.soft), python(self.hard))
        try:
            resource.setrlimit(LIMITS[self.name], wanted)
        except ValueError as error:  # Python's word for EPERM and EINVAL
            allowed = worded(resource.getrlimit(LIMITS[self.name])[1] & INFINITY)
            raise StepFailed(f"{self.describe()}: operation not permitted, as the hard limit is {allowed} and "
                             "CAP_SYS_RESOURCE is missing (setrlimit(2), EPERM)") from error


def python(value: int) -> int:
    """Python takes the kernel's unsigned 64 bits as signed ones: its "no limit" is -1."""
    return value - 2**64 if value >= 2**63 else value


def worded(value: int) -> str:
    return "unlimited" if value == INFINITY else str(value)


class SetOomScore(Step[Outside], frozen=True):
    """How soon the kernel kills the process when memory runs out."""

    why: ClassVar[str] = "written from outside, in the host's /proc: the one that is seen inside is the container's"
    manual: ClassVar[str] = "proc_pid_oom_score_adj(5)"
    value: int

    def describe(self) -> str:
        return f"set oom_score_adj to {self.value}"

    def shell(self) -> str:
        return (f"read -r score < /proc/self/oom_score_adj; "
                f"[ $score = {self.value} ] || echo {self.value} > /proc/self/oom_score_adj")

    def apply(self, at: Outside) -> None:
        # Writing the present value is refused, too, where CAP_SYS_RESOURCE is missing and the floor is higher.
        path = f"/proc/{at.pid}/oom_score_adj"
        try:
            if int(read(path)) != self.value:
                write(path, str(self.value).encode())
        except OSError as error:
            at.hear()
            raise StepFailed(self.located(f"{self.describe()}: {str(error.strerror).lower()} (write(2) to {path})")
                             ) from error


class SetUmask(Step[Inside], frozen=True):
    """Which permission bits new files do not get."""

    why: ClassVar[str] = "init worked with 0, so that modes were exact; the program gets its own, 022 by default"
    manual: ClassVar[str] = "umask(2)"
    value: int

    def describe(self) -> str:
        return f"set the umask to {self.value:04o}"

    def shell(self) -> str:
        return f"umask {self.value:04o}"

    def apply(self, at: Inside) -> None:
        os.umask(self.value)
