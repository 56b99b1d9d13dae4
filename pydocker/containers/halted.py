"""A monitor that somebody has stopped (SIGSTOP): it answers nobody and records nothing until it goes on (SIGCONT).

Who ends the container lets it go on: the signal reaches the container without it, the end is its to record. Everybody
else is told: to stop it may have been meant.
"""

import os
import signal
from pathlib import Path

from pydocker.errors import Unavailable
from pydocker.monitor import pids
from pydocker.monitor.launch import LOCK


def go_on(run: Path) -> None:
    """Wake the monitor whose run directory this is, if it is stopped."""
    if pid := _stopped(run):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if _stopped(run) == pid:  # still the one that has signed: the descriptor is of no later process
                signal.pidfd_send_signal(fd, signal.SIGCONT)
        finally:
            os.close(fd)


def refuse(run: Path, doing: str) -> None:
    """Unavailable if it is stopped."""
    if pid := _stopped(run):
        raise Unavailable(f"{doing}: its monitor, process {pid}, is stopped: kill -CONT {pid} lets it go on")


def _stopped(run: Path) -> int:
    """The monitor's pid, 0 if it is not stopped, or there is none."""
    try:
        pid = pids.signer(run / LOCK)
        return pid if pid and pids.is_stopped(pid) else 0
    except (FileNotFoundError, ProcessLookupError):
        return 0
