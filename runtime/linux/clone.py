"""clone3(2): a fork whose child begins somewhere else, in new namespaces and in another cgroup.

To be *moved* into a cgroup of v2, a process has to wait for the kernel: a move takes cgroup_threadgroup_rwsem for
writing, and after a while of silence that is an RCU grace period of 7 to 20 ms (kernel/locking/percpu-rwsem.c). To be
*made* there costs nothing (CLONE_INTO_CGROUP, Linux 5.7). v1 has no such flag, but a process with one thread that
writes 0, itself, into the file `tasks` needs no lock either (cgroup_procs_write_start, Linux 5.5).

Python must be told before and after, as `os.fork` does: its locks and its idea of the process are made anew
(PyOS_BeforeFork and the others are a part of its C API, for "any similar function that clones the current process").
The call is made without letting go of the interpreter lock, which in the child nobody could give back.
"""

import ctypes

from runtime.linux import calls
from runtime.linux.calls import NUMBERS

CLONE_INTO_CGROUP = 0x200000000
SIGCHLD = 17  # what the parent gets at the end, as from fork(2)


class CloneArgs(ctypes.Structure):
    """struct clone_args, as of Linux 5.7 (CLONE_ARGS_SIZE_VER2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
        "set_tid_size", "cgroup")]


# Found here and not in `fork`: the child would look for its own half again in each fork, in pages that it has to copy.
_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_before = ctypes.pythonapi.PyOS_BeforeFork
_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
_in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent


def fork(flags: int, cgroup: int = -1) -> int:
    """Like os.fork: 0 in the child, the child's pid in the parent. `cgroup` is a descriptor of v2's directory.

    Raises OSError (EBUSY: the cgroup passes controllers on, and takes no process; EAGAIN: its limit of processes).
    """
    arguments = CloneArgs(flags=flags, exit_signal=SIGCHLD)
    if cgroup >= 0:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    calls.note("clone3", arguments, ctypes.sizeof(arguments))
    number, size = ctypes.c_long(NUMBERS["clone3"]), ctypes.c_size_t(ctypes.sizeof(arguments))
    _before()
    pid: int = _syscall(number, ctypes.byref(arguments), size)
    if pid == 0:
        _in_child()
    else:
        _in_parent()
    return calls.check(pid)
