"""Bringing up `lo`, by the oldest interface there is: ioctl(2) on a socket (netdevice(7)).

A new network namespace has a loopback interface, which is down: 127.0.0.1 does not answer before it is up.
"""

import fcntl
import os
import struct

from runtime.linux.calls import check, libc

AF_INET = 2
SOCK_DGRAM = 2
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
_IFREQ = struct.Struct("16sh22x")  # struct ifreq: the name, then a union whose first member here is the flags


def set_up(name: str) -> None:
    """The same as `ip link set NAME up`. Raises OSError."""
    # libc's socket(2), since importing Python's module for this one call would take 3 ms.
    control = check(libc.socket(AF_INET, SOCK_DGRAM | os.O_CLOEXEC, 0))
    try:
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(name.encode(), 0))
        flags: int = _IFREQ.unpack(answer)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags | IFF_UP))
    finally:
        os.close(control)
