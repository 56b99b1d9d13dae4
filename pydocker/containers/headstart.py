"""A head start for the slowest part of a start: the kernel's first move of a process between cgroups.

A move takes cgroup_threadgroup_rwsem for writing. While nobody has done so lately, its readers (every fork and exit on
the machine) take a shortcut, which the first writer has to revoke, and that takes an RCU grace period: 7 to 20 ms. For
the next 20 ms or so, every further move costs 0.03 ms (kernel/locking/percpu-rwsem.c; measured on Linux 6.18).

So as soon as a container is created or about to be started, this process is moved into the cgroup in which it is
anyway, by a thread of its own: the grace period passes while the client is still talking to us.
"""

import contextlib
import os
import threading

from runtime.cgroups import Layout, read_layout


class HeadStart:
    """Knows which file to write to; without any cgroups it does nothing."""

    def __init__(self, layout: Layout | None = None) -> None:
        layout = layout or read_layout()
        own = [f"{tree.mountpoint}{tree.own}/cgroup.procs" for tree in (layout.v2, *layout.v1) if tree and tree.own]
        self._path = own[0] if own else None
        self._busy = threading.Lock()

    def give(self) -> None:
        """Begin, and return at once. One at a time is enough."""
        if self._path is not None and self._busy.acquire(blocking=False):
            threading.Thread(target=self._move, name="head start").start()

    def _move(self) -> None:
        """Write 0, which is whoever writes (cgroups(7)). A refusal comes after the waiting, and is as good."""
        try:
            with contextlib.suppress(OSError):
                fd = os.open(self._path or "", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(fd, b"0")
                finally:
                    os.close(fd)
        finally:
            self._busy.release()
