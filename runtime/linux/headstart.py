"""A head start for the slowest part of exec: the kernel's first move of a process between cgroups.

A move takes cgroup_threadgroup_rwsem for writing. While nobody has done so lately, its readers (every fork and exit on
the machine) take a shortcut, which the first writer has to revoke, and that takes an RCU grace period: 7 to 20 ms. For
the next 20 ms or so, every further move costs 0.03 ms (kernel/locking/percpu-rwsem.c; measured on Linux 6.18).

A container's process mostly enters its cgroup without a move that waits (`linux.clone`); that of exec is moved. So
whoever is about to exec moves itself into the cgroup in which it is anyway, from another process or thread: the grace
period passes while there is something else to do.
"""

import os
from contextlib import suppress

from runtime.linux.descriptors import read, write


def own_cgroup_file() -> str:
    """The file cgroup.procs of a cgroup that this process is in; "" if there is none where hosts mount them.

    Any hierarchy will do, as all share the one lock.
    """
    for line in read("/proc/self/cgroup").decode(errors="surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        tree = controllers.removeprefix("name=") or "unified"
        for directory in ("/sys/fs/cgroup", f"/sys/fs/cgroup/{tree}"):
            file = f"{directory}{path.rstrip('/')}/cgroup.procs"
            if os.access(file, os.W_OK):
                return file
    return ""


def move_where_we_are(file: str) -> None:
    """Write 0, which is whoever writes (cgroups(7)). A refusal comes after the waiting, and is as good."""
    with suppress(OSError):
        write(file, b"0")


def give() -> int:
    """Begin in a forked process, and return its pid at once: to be waited for at the end."""
    pid = os.fork()
    if pid == 0:
        try:
            move_where_we_are(own_cgroup_file())
        finally:
            os._exit(0)
    return pid
