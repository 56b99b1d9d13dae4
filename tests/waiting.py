"""Waiting for what has to come, and not for a while: a deadline costs time only where the test fails anyway."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0  # seconds; a machine may have much else to do


def wait_until(holds: Callable[[], object], pause: float = 0.02) -> None:
    """Return when it holds, looked at again every `pause` seconds. Fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{holds} does not come to hold"
        time.sleep(pause)


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal by now (proc_pid_status(5), SigCgt)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & 1 << number - 1)
    return False


def rests(pid: int) -> bool:
    """Whether the process does not come to run for a while: a frozen one may still be on its way off the processor."""
    before = ran(pid)
    time.sleep(0.1)
    return ran(pid) == before


def ran(pid: int) -> str:
    """The time on a processor of a process so far (proc_pid_schedstat)."""
    return Path(f"/proc/{pid}/schedstat").read_text()


def stop(pid: int) -> None:
    """SIGSTOP, and return when the process has stopped: it has to be scheduled for that (proc_pid_stat(5), state)."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 0.001)
