"""seccomp(2): a program in the kernel that looks at every system call of this process, and of all its descendants.

The program is classic BPF, instructions of eight bytes each; what it returns says what becomes of the call. Loading
one needs no_new_privs or CAP_SYS_ADMIN, and cannot be taken back.
"""

import ctypes

from runtime.linux.calls import syscall

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_LOG = 1 << 1  # 4.14
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1 << 2  # 4.17
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3  # 5.0
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5  # 5.19

RET_KILL_PROCESS = 0x80000000
RET_KILL_THREAD = 0x00000000
RET_TRAP = 0x00030000
RET_ERRNO = 0x00050000  # and the number in the lower 16 bits
RET_USER_NOTIF = 0x7FC00000
RET_TRACE = 0x7FF00000  # and a message for the tracer in the lower 16 bits
RET_LOG = 0x7FFC0000
RET_ALLOW = 0x7FFF0000

INSTRUCTION = 8  # bytes
MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def load(program: bytes, flags: int = 0) -> int:
    """Load the filter for this process. With NEW_LISTENER: a descriptor, close-on-exec; 0 otherwise. Raises OSError."""
    argument = Program(len(program) // INSTRUCTION, program)
    return syscall("seccomp", SECCOMP_SET_MODE_FILTER, flags, argument, path="seccomp filter")


def take_descriptor(pidfd: int, number: int) -> int:
    """A copy of another process's descriptor; needs the right to ptrace(2) it. pidfd_getfd(2), kernel 5.6."""
    return syscall("pidfd_getfd", pidfd, number, 0)
