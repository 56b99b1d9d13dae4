"""namespaces(7): the flags, entering new ones (unshare(2)) and others' (setns(2)).

Two kinds do not move the caller itself, only the children that it forks afterwards: pid and time. A process that has
threads may neither make nor join a user namespace.
"""

import fcntl
import os

from runtime.linux.calls import call

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones. unshare(2)."""
    call("unshare", flags)


def setns(fd: int, nstype: int) -> None:
    """Enter the namespace that the descriptor stands for; `nstype` makes the kernel check its kind. setns(2).

    `fd` may be a pidfd: then `nstype` is a set of flags, and all of that process's namespaces are entered at once.
    """
    call("setns", fd, nstype)


NS_GET_NSTYPE = 0xB703


def kind(fd: int) -> int:
    """The CLONE_NEW… flag of the namespace that the descriptor stands for; 0 if it is none. ioctl_ns(2)."""
    try:
        return fcntl.ioctl(fd, NS_GET_NSTYPE)
    except OSError:  # ENOTTY: an ordinary file
        return 0


def sethostname(name: str) -> None:
    """sethostname(2)."""
    value = os.fsencode(name)
    call("sethostname", value, len(value))


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    value = os.fsencode(name)
    call("setdomainname", value, len(value))
