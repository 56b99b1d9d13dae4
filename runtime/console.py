"""The caller's terminal as the container's: for `run` and `exec` in the foreground, where nobody else holds the master.

The caller's terminal is switched to raw: what is typed goes through byte by byte, Ctrl-C too, and the container's own
terminal makes signals of it. Sizes follow SIGWINCH.
"""

import array
import fcntl
import os
import signal
import socket
import termios
import tty
from select import POLLERR, POLLHUP, POLLIN, poll
from types import FrameType


def console_pair() -> tuple[socket.socket, int]:
    """Our end, and the one to be given to the process inside, which sends the terminal's master through it."""
    ours, theirs = socket.socketpair()
    return ours, theirs.detach()


def receive_master(ours: socket.socket) -> int:
    """The terminal's master side."""
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
    return descriptors[0]


def relay(master: int, outside: tuple[int, int] = (0, 1)) -> None:
    """Copy both ways until the container's side is closed, and close ours. The caller's terminal is then as before."""
    read_from, write_to = outside
    saved = termios.tcgetattr(read_from) if os.isatty(read_from) else None
    previous = signal.signal(signal.SIGWINCH, lambda number, frame: resize(read_from, master, frame))
    try:
        resize(read_from, master)
        if saved is not None:
            tty.setraw(read_from)
        copy(master, read_from, write_to)
    finally:
        os.close(master)
        signal.signal(signal.SIGWINCH, previous)
        if saved is not None:
            termios.tcsetattr(read_from, termios.TCSADRAIN, saved)


def resize(source: int, master: int, frame: FrameType | None = None) -> None:
    """Give the container's terminal the size of ours."""
    if os.isatty(source):
        size = array.array("H", [0, 0, 0, 0])
        fcntl.ioctl(source, termios.TIOCGWINSZ, size)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def copy(master: int, read_from: int, write_to: int) -> None:
    """Until the last process has closed the slave: reading the master then says EIO."""
    ready = poll()
    ready.register(master, POLLIN)
    ready.register(read_from, POLLIN)
    while True:
        for descriptor, event in ready.poll():
            if descriptor == master:
                try:
                    content = os.read(master, 1 << 16)
                except OSError:
                    return
                if not content:
                    return
                write_all(write_to, content)
            elif event & (POLLIN | POLLHUP | POLLERR):
                content = os.read(read_from, 1 << 16)
                if content:
                    write_all(master, content)
                else:
                    ready.unregister(read_from)


def write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content):]
