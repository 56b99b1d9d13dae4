"""The container's terminal: a pair from its own devpts. The slave becomes 0, 1 and 2; the master goes to the caller.

The slave is opened from the master by descriptor (TIOCGPTPEER), never by its name in /dev/pts, which is the
container's to change (CVE-2025-52565).
"""

import array
import fcntl
import os
import stat
import struct
import termios
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux.openat2 import is_device, openat2
from runtime.linux.sockets import send_descriptor
from runtime.stage import Inside
from runtime.step import Step

TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441
TIOCGPTN = 0x80045430
UNIX98_SLAVE_MAJOR = 136


class OpenTerminal(Step[Inside], frozen=True):
    """Open a pair, size it, send the master's descriptor to the console socket."""

    why: ClassVar[str] = (
        "from the container's own devpts: a terminal of the host would be one that the container can look up there; "
        "the master leaves by a socket, as the caller holds it for as long as the container lives")
    manual: ClassVar[str] = "pts(4), ioctl_tty(2) TIOCGPTPEER, unix(7) SCM_RIGHTS"
    height: int = 0
    width: int = 0
    uid: int = 0

    def describe(self) -> str:
        size = f" of {self.width}x{self.height}" if self.width else ""
        return f"open a terminal{size} for user {self.uid} and send its master to the console socket"

    def shell(self) -> str:
        return ":  # script(1) gives a terminal around the whole"

    def apply(self, at: Inside) -> None:
        master = openat2(at.root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        try:
            at.terminal = self.slave(master)
            name = f"/dev/pts/{struct.unpack('i', fcntl.ioctl(master, TIOCGPTN, bytes(4)))[0]}"
            send_descriptor(at.console_socket, name.encode(), master)
        finally:
            os.close(master)
            os.close(at.console_socket)

    def slave(self, master: int) -> int:
        if not is_device(master, 5, 2):
            raise StepFailed("/dev/pts/ptmx of the container is not the character device 5:2")
        fcntl.ioctl(master, TIOCSPTLCK, array.array("i", [0]))
        slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        status = os.fstat(slave)
        if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != UNIX98_SLAVE_MAJOR:
            raise StepFailed("the terminal's slave is not a pseudo-terminal")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.height, self.width, 0, 0))
        os.fchown(slave, self.uid, -1)
        return slave


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


class UseTerminal(Step[Inside], frozen=True):
    """The slave becomes the session's terminal, and standard input, output and error."""

    why: ClassVar[str] = "only the leader of a session without a terminal can take one, so this comes after setsid"
    manual: ClassVar[str] = "ioctl_tty(2) TIOCSCTTY"

    def describe(self) -> str:
        return "make the terminal the controlling one, and standard input, output and error"

    def shell(self) -> str:
        return "setsid --ctty \\"

    def script(self) -> str:
        return ":  # the caller's terminal stays the caller's"

    def apply(self, at: Inside) -> None:
        fcntl.ioctl(at.terminal, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(at.terminal, descriptor)
        os.close(at.terminal)


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
