"""The OCI runtime at work on a new container, and who cleans up behind a monitor that was killed meanwhile.

The runtime's process dies with its monitor (prctl(2), PR_SET_PDEATHSIG), but a little later: a dying process gives up
its descriptors, monitor.lock among them, before its children are told. Who takes that lock at once and deletes would
be followed by one who still makes. So the runtime's process has a lock of its own, on the launch document, and is
waited for. It is a record lock (fcntl(2)): the container's process, a child, does not inherit it, and a runtime that
is executed keeps it.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

from pydocker.errors import PydockerError

_GLANCE = 0.002  # seconds between two tries


def take(launch: Path, fd: int) -> bool:
    """In the runtime's process: the lock, by a descriptor of the launch document. False: it is being cleaned up."""
    with contextlib.suppress(OSError):  # EAGAIN: somebody cleans up; ENOENT: and has
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(launch))
    return False


def forbid(launch: Path, patience: float) -> None:
    """In a process that cleans up: wait until no runtime is at work, and let none begin as long as this process lives.

    Raises PydockerError after `patience` seconds.
    """
    fd = os.open(launch, os.O_RDWR | os.O_CLOEXEC)  # never closed: that would give up the lock
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise PydockerError("its OCI runtime is still at work, though its monitor is gone") from error
        time.sleep(_GLANCE)
