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
