"""A head start for the move of exec's process into the container's cgroup (see `runtime.linux.headstart`).

As soon as an exec session is created, a thread of its own makes the kernel prepare: the grace period passes while the
client is still talking to us.
"""

import threading

from runtime.linux.headstart import move_where_we_are, own_cgroup_file


class HeadStart:
    """Knows which file to write to (by default this process's own cgroup.procs); without one it does nothing."""

    def __init__(self, path: str | None = None) -> None:
        self._path = own_cgroup_file() if path is None else path
        self._busy = threading.Lock()

    def give(self) -> None:
        """Begin, and return at once. One at a time is enough."""
        if self._path and self._busy.acquire(blocking=False):
            threading.Thread(target=self._move, name="head start").start()

    def _move(self) -> None:
        try:
            move_where_we_are(self._path)
        finally:
            self._busy.release()
