"""namespaces(7): the flags, entering new ones (unshare(2)) and others' (setns(2)).

Two kinds do not move the caller itself, only the children that it forks afterwards: pid and time. A process that has
threads may neither make nor join a user namespace.
"""

import fcntl
import os

from runtime.errors import StepFailed
from runtime.linux.calls import call

CLONE_NEWTIME = 0x00000080
CLONE_FS = 0x00000200  # no namespace: root, working directory and umask, for this thread alone
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

KINDS = {  # the specification's name: flag, file in /proc/PID/ns, unshare(1)'s option
    "user": (CLONE_NEWUSER, "user", "--user"),
    "mount": (CLONE_NEWNS, "mnt", "--mount"),
    "uts": (CLONE_NEWUTS, "uts", "--uts"),
    "ipc": (CLONE_NEWIPC, "ipc", "--ipc"),
    "network": (CLONE_NEWNET, "net", "--net"),
    "pid": (CLONE_NEWPID, "pid", "--pid"),
    "cgroup": (CLONE_NEWCGROUP, "cgroup", "--cgroup"),
    "time": (CLONE_NEWTIME, "time", "--time"),
}


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones. unshare(2)."""
    call("unshare", flags)


def setns(fd: int, nstype: int) -> None:
    """Enter the namespace that the descriptor stands for; `nstype` makes the kernel check its kind. setns(2).

    `fd` may be a pidfd: then `nstype` is a set of flags, and all of that process's namespaces are entered at once.
    """
    call("setns", fd, nstype)


NS_GET_NSTYPE = 0xB703


def kind_of(fd: int) -> int:
    """The CLONE_NEW… flag of the namespace that the descriptor stands for; 0 if it is none. ioctl_ns(2)."""
    try:
        return fcntl.ioctl(fd, NS_GET_NSTYPE)
    except OSError:  # ENOTTY: an ordinary file
        return 0


def open_namespace(kind: str, path: str) -> int:
    """The namespace that a path stands for, which has to be of that kind. Raises StepFailed."""
    try:
        # Not blocking: the path may be a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise StepFailed(f"{kind} namespace {path}: {str(error.strerror).lower()} (open(2))") from error
    found = kind_of(descriptor)
    if found == KINDS[kind][0]:
        return descriptor
    os.close(descriptor)
    other = next((name for name, (flag, _, _) in KINDS.items() if flag == found), "")
    raise StepFailed(f"{kind} namespace {path}: {f'this is a {other} namespace' if other else 'not a namespace'} "
                     "(setns(2))")


def join(descriptor: int, flag: int, kind: str) -> None:
    """setns(2), and the descriptor is closed."""
    try:
        if flag == CLONE_NEWUSER:
            os.setgroups(())  # the host's groups would stay; and inside, setgroups(2) may be denied
        setns(descriptor, flag)
    except OSError as error:
        raise StepFailed(f"join the {kind} namespace: {str(error.strerror).lower()} (setns(2))") from error
    os.close(descriptor)


def become_its_root() -> None:
    """User and group 0 of the user namespace that was entered: until then the process is nobody there."""
    try:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError as error:
        raise StepFailed("become root in the user namespace: user or group 0 is not mapped there "
                         "(setresuid(2), EINVAL)") from error


def set_clocks(descriptor: int, offsets: tuple[tuple[str, int, int], ...]) -> None:
    """The new time namespace's offsets: they can be written until its first process is there, time_namespaces(7)."""
    rows = "".join(f"{clock} {seconds} {nanoseconds}\n" for clock, seconds, nanoseconds in offsets)
    try:
        os.write(descriptor, rows.encode())
    except OSError as error:
        told = rows.strip().replace("\n", ", ")
        raise StepFailed(f"set the clocks of the time namespace ({told}): {str(error.strerror).lower()} "
                         "(write(2) to /proc/self/timens_offsets)") from error
    os.close(descriptor)


def sethostname(name: str) -> None:
    """sethostname(2)."""
    value = os.fsencode(name)
    call("sethostname", value, len(value))


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    value = os.fsencode(name)
    call("setdomainname", value, len(value))
