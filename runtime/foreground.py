"""Waiting for a process of a container as a shell waits for a command: signals passed on, its exit code returned.

The process was made by a process of ours that has ended; as a subreaper we are the one that adopts it (prctl(2)), and
can wait for it.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

from runtime.console import console_pair, receive_master, relay
from runtime.linux.prctl import set_child_subreaper

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGCONT)


def attended(terminal: bool, begin: Callable[[int], int], go: Callable[[], None]) -> int:
    """Make the process by `begin(console)`, which returns its pid, let it `go`, wait; returns the exit code."""
    set_child_subreaper()
    if not terminal:
        pid = begin(-1)
        go()
        return wait(pid)
    ours, theirs = console_pair()
    pid = begin(theirs)
    master = receive_master(ours)
    go()
    try:
        relay(master)
    finally:
        os.close(master)
    return wait(pid)


def wait(pid: int) -> int:
    """Its exit code, 128 and the signal's number if one killed it."""
    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    with ExitStack() as restored:
        for number in PASSED_ON:
            restored.callback(signal.signal, number, signal.signal(number, pass_on))
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
