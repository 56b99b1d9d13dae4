"""Joining a running container: the step of `exec` in the place where `create` has Enter."""

import os
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux import namespaces as n
from runtime.linux.namespaces import KINDS, become_its_root
from runtime.process.entrance import bury, end, fork
from runtime.stage import Outside
from runtime.state import start_time
from runtime.step import Step


class Join(Step[Outside], frozen=True):
    """Fork a process into the namespaces of a running container."""

    why: ClassVar[str] = (
        "another process in the same container is one in the same namespaces; a pidfd names them all at once, and "
        "cannot come to mean another process meanwhile")
    manual: ClassVar[str] = "pidfd_open(2), setns(2)"
    pid: int
    start_time: int
    kinds: tuple[str, ...]

    def describe(self) -> str:
        return f"fork a process into the {', '.join(self.kinds)} namespaces of process {self.pid}"

    def shell(self) -> str:
        options = " ".join(f"--{KINDS[kind][1].replace('mnt', 'mount')}" for kind in self.kinds)
        return f"nsenter --target {self.pid} {options} \\"

    def apply(self, at: Outside) -> None:
        fork(at, lambda: self.enter)

    def enter(self) -> None:
        """In the entrance."""
        target = os.pidfd_open(self.pid)
        if start_time(self.pid) != self.start_time:
            raise StepFailed(f"process {self.pid}: no such process, the container has stopped")
        if "user" in self.kinds:
            os.setgroups(())
        n.setns(target, sum(KINDS[kind][0] for kind in self.kinds))
        os.close(target)
        if "user" in self.kinds:
            become_its_root()

    def undo(self, at: Outside) -> None:
        end(at.pid)
        at.reap()
        bury(at.pid)
