"""Waiting for what has to come, and not for a while: a deadline costs time only where the test fails anyway."""

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
