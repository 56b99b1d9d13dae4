"""What a process is not to have of its caller, the session, and what it has of it: standard input, output and error."""

import os
import stat
from typing import ClassVar

from runtime.stage import Inside
from runtime.step import Step


class NewSession(Step[Inside], frozen=True):
    """Leave the caller's session and its terminal."""

    why: ClassVar[str] = "signals typed at the caller's terminal are not for the container, nor is the terminal"
    manual: ClassVar[str] = "setsid(2)"

    def describe(self) -> str:
        return "begin a new session"

    def shell(self) -> str:
        return "setsid \\"

    def apply(self, at: Inside) -> None:
        os.setsid()


class OwnOutputs(Step[Inside], frozen=True):
    """Pipes on 0, 1 and 2 are given to the container's user."""

    why: ClassVar[str] = "a program that is not root reopens /dev/stdout by path, which needs the pipe to be its own"
    manual: ClassVar[str] = "fchown(2)"
    uid: int

    def describe(self) -> str:
        return f"give the pipes of standard input, output and error to user {self.uid}"

    def shell(self) -> str:
        return ("for fd in 0 1 2; do if [ -p /dev/fd/$fd ] || [ -S /dev/fd/$fd ]; then "
                f"chown {self.uid} /proc/self/fd/$fd; fi; done")

    def apply(self, at: Inside) -> None:
        for descriptor in (0, 1, 2):
            # Sockets and pipes only: a file or a terminal of the host belongs to whoever opened it.
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.fchown(descriptor, self.uid, -1)
