"""Who hears that iptables-legacy's rules may have changed, and looks."""

import os
from pathlib import Path
from typing import Any

from pydocker.monitor.guard import Guard
from pydocker.monitor.loop import Loop
from runtime.linux import inotify


class Looks:
    """In the firewall's place: how often somebody looked."""

    def __init__(self) -> None:
        self.count = 0

    def mend(self, since: float) -> bool:
        self.count += 1
        return True


def test_who_alone_was_told_looks_before_it_ends(tmp_path: Path) -> None:
    (lock := tmp_path / "lock").touch()
    watch, loop, looks = inotify.watch(lock, inotify.IN_CLOSE_NOWRITE), Loop(), Looks()
    firewall: Any = looks
    guard = Guard(loop, firewall, legacy=os.dup(watch))
    lock.read_bytes()
    loop.turn()
    assert looks.count == 0  # whoever changes rules may not have come to an end
    guard.close()
    assert looks.count == 1
    another = Guard(loop, firewall, legacy=watch)
    another.close()
    assert looks.count == 1  # nothing happened to look at
