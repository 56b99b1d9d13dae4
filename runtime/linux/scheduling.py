"""Who gets the processor, and the disk: sched_setattr(2), ioprio_set(2); and personality(2), a machine's name."""

import ctypes

from runtime.linux.calls import call, syscall

POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
            "SCHED_DEADLINE": 6}
FLAGS = {"SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
         "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
         "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40}
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
PERSONALITIES = {"LINUX": 0x0000, "LINUX32": 0x0008}

IOPRIO_WHO_PROCESS = 1
IOPRIO_CLASS_SHIFT = 13


class Attributes(ctypes.Structure):
    """struct sched_attr, as of Linux 3.14: a newer kernel takes what is missing for zero."""

    _fields_ = [("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64),
                ("nice", ctypes.c_int32), ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64),
                ("deadline", ctypes.c_uint64), ("period", ctypes.c_uint64)]


def sched_setattr(pid: int, policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int]) -> None:
    """A process's policy; `times` are runtime, deadline and period in nanoseconds. sched_setattr(2)."""
    attributes = Attributes(ctypes.sizeof(Attributes), policy, flags, nice, priority, *times)
    syscall("sched_setattr", pid, attributes, 0)


def ioprio_set(pid: int, number: int, priority: int) -> None:
    """A process's class, and its priority in it, 0 the first. ioprio_set(2)."""
    syscall("ioprio_set", IOPRIO_WHO_PROCESS, pid, number << IOPRIO_CLASS_SHIFT | priority)


def personality(domain: int) -> None:
    """personality(2): LINUX32 makes uname(2) tell the 32-bit machine."""
    call("personality", domain)
