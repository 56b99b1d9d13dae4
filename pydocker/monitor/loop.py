"""One thread that waits for everything: descriptors, children, moments. epoll(7), a self-pipe for SIGCHLD, a heap of
timers.

Children are reaped here and nowhere else, all of them: as a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) the monitor is
the parent of whatever a container's processes leave behind. A child's pid cannot be reused before it is reaped, so
inside this process pids are as safe as pidfds.
"""

import contextlib
import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable

READ, WRITE, GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR

_LONGEST = 86400.0  # seconds of one wait: epoll_wait(2) takes an int, of milliseconds, which 25 days do not fit into
Ready = Callable[[int], None]  # gets the epoll events
Exited = Callable[[int], None]  # gets the wait status


class Loop:
    """Callbacks by descriptor, by child, by time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Ready] = {}
        self._children: dict[int, Exited] = {}
        self._unclaimed: dict[int, int] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._catch_sigchld()

    def _catch_sigchld(self) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.watch(reading, READ, lambda events: self._caught(reading))

    def watch(self, fd: int, events: int, ready: Ready) -> None:
        """Call `ready` whenever one of `events` (or GONE, always) is there. Calling again changes both."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = ready

    def forget(self, fd: int) -> None:
        """Stop watching; before the descriptor is closed. One that is not watched is fine."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def on_exit(self, pid: int, exited: Exited) -> None:
        """Call `exited` when the child ends; at the next turn, if it has ended already."""
        if pid in self._unclaimed:
            status = self._unclaimed.pop(pid)
            self.after(0, lambda: exited(status))
        else:
            self._children[pid] = exited

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` once, that much later."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), then))

    def _caught(self, pipe: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(pipe, 4096)
        self.reap()

    def reap(self) -> None:
        """Take in the children that have ended. Needed only for those that did before there was this loop."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended(*found)

    def _ended(self, pid: int, status: int) -> None:
        exited = self._children.pop(pid, None)
        if exited is not None:
            exited(status)
        else:
            # It may be a process that the runtime has only just made, and whose pid file nobody has read yet.
            self._unclaimed[pid] = status
            if len(self._unclaimed) > 1024:
                del self._unclaimed[next(iter(self._unclaimed))]

    def turn(self, *, wait: bool = True) -> None:
        """Wait for the next events (or only look), and handle them."""
        for fd, events in self._epoll.poll(self._timeout() if wait else 0):
            ready = self._watched.get(fd)  # an earlier callback of this turn may have forgotten it
            if ready is not None:
                ready(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _timeout(self) -> float:
        return min(max(0.0, self._timers[0][0] - time.monotonic()), _LONGEST) if self._timers else -1.0
