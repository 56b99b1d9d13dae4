"""A monitor that somebody has stopped (SIGSTOP): it answers nobody and records nothing until it goes on (SIGCONT).

Who ends the container lets it go on: the signal reaches the container without it, the end is its to record. Everybody
else is told: to stop it may have been meant.
"""

import os
import signal

from pydocker.errors import Unavailable
from pydocker.model.container import Container
from pydocker.monitor import pids


def go_on(container: Container) -> None:
    """Wake its monitor, if that is stopped."""
    if pid := _stopped(container):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if _stopped(container) == pid:  # still its parent: the descriptor is of no later process
                signal.pidfd_send_signal(fd, signal.SIGCONT)
        finally:
            os.close(fd)


def refuse(container: Container, doing: str) -> None:
    """Unavailable if its monitor is stopped."""
    if pid := _stopped(container):
        raise Unavailable(f"{doing}: its monitor, process {pid}, is stopped: kill -CONT {pid} lets it go on")


def _stopped(container: Container) -> int:
    """The monitor's pid, 0 if it is not stopped, or there is none. It is the parent of the container's init process."""
    try:
        if not container.state.pid or pids.start_time(container.state.pid) != container.state.start_time:
            return 0
        monitor = pids.parent(container.state.pid)
        return monitor if pids.is_stopped(monitor) else 0
    except (FileNotFoundError, ProcessLookupError):
        return 0
