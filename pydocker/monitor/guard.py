"""A monitor that looks after the firewall, as all those of containers in a network do: no server need be there.

When somebody changes rules, each is told; one of them looks whether ours are still what they should be, and writes them
again if not. The others see that somebody has looked since. Of iptables-legacy's rules one alone is told, and looks.
"""

import contextlib
import os
import select
import sys
import time

from pydocker.errors import PydockerError
from pydocker.monitor.loop import READ, Loop
from pydocker.network.firewalling import Firewall
from pydocker.network.rulewatch import RuleWatch

ONE_OF_ALL = READ | select.EPOLLEXCLUSIVE  # of the monitors that watch the same descriptor (epoll_ctl(2))
_PAUSE = 0.05  # seconds, for whoever changes rules to come to an end
_SPREAD = 0.05  # at most so much more, so that not all wake at once
_BUSY = 0.05  # until the next try, while somebody else writes
_FAILED = 2.0
_EVENTS = 4096  # bytes of inotify's, of which equal ones are told once


class Guard:
    """Of one monitor."""

    def __init__(self, loop: Loop, firewall: Firewall, rules: int = -1, legacy: int = -1) -> None:
        self._loop = loop
        self._firewall = firewall
        self._changed = 0.0
        self._pending = False
        self._rules = RuleWatch(rules)
        self._legacy = legacy
        self._alone = False  # whether it has been told of something that nobody else has
        loop.watch(self._rules.fileno(), READ, lambda events: self._told())
        if legacy >= 0:
            loop.watch(legacy, ONE_OF_ALL, lambda events: self._legacy_told())

    def _told(self) -> None:
        if self._rules.changed():
            self._look_soon()

    def _legacy_told(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._legacy, _EVENTS)
            self._alone = True
            self._look_soon()

    def _look_soon(self) -> None:
        self._changed = time.time()
        if not self._pending:
            self._pending = True
            self._loop.after(_PAUSE + os.urandom(1)[0] / 256 * _SPREAD, self._look)

    def _look(self) -> None:
        if self._rules.fileno() < 0:
            return
        try:
            self._pending = not self._firewall.mend(self._changed)
            self._alone &= self._pending
            again = _BUSY
        except (PydockerError, OSError) as error:
            print(f"mend the firewall: {error}", file=sys.stderr, flush=True)
            again = _FAILED
        if self._pending:
            self._loop.after(again, self._look)

    def fileno(self) -> int:
        return self._rules.fileno()

    def close(self) -> None:
        if self._alone:
            self._look()
        self._loop.forget(self._rules.fileno())
        self._rules.close()
        if self._legacy >= 0:
            self._loop.forget(self._legacy)
            os.close(self._legacy)
            self._legacy = -1
