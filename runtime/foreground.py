"""Waiting for a process of a container as a shell waits for a command: signals passed on, its exit code returned.

The process was made by a process of ours that has ended; as a subreaper we are the one that adopts it (prctl(2)), and
can wait for it.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

from runtime.linux.prctl import set_child_subreaper

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
             signal.SIGCONT)


def attended(terminal: bool, begin: Callable[[int], int], go: Callable[[], None], *, adopting: bool = True) -> int:
    """Make the process by `begin(console)`, which returns its pid, let it `go`, wait; returns the exit code.

    Whatever the container leaves behind is adopted here, too, unless `adopting` is False.
    """
    set_child_subreaper()
    # What is sent before there is a process to pass it on to has to wait: we would die of it, and leave things behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    if terminal:
        from runtime.console import console_pair, receive_master, relay

        ours, theirs = console_pair()
    else:
        ours, theirs = None, -1
    pid = begin(theirs)
    if not adopting:
        set_child_subreaper(False)
    with ExitStack() as restored:
        for number in PASSED_ON:
            restored.callback(signal.signal, number, signal.signal(number, passing_on(pid)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        go()
        if ours is not None:
            relay(receive_master(ours))
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def passing_on(pid: int) -> Callable[[int, FrameType | None], None]:
    """A handler that sends the signal to the process, which is our child: its number is its own until we wait."""
    def handler(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    return handler
