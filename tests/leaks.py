"""What a test left behind on the host: an oracle that shares no code with what it judges.

Everything is read from the kernel and the disk, before a test and after it, and compared:

    mounts       /proc/self/mountinfo; new, changed and vanished ones. `isolate_mounts` gives the test session a mount
                 namespace of its own, with shared propagation as on a systemd host: what a bug would leak onto the host
                 shows up here, and neither harms the machine nor gets mixed up with what others do on it.
    cgroups      directories in every hierarchy whose path carries the session's token
    processes    alive, and of this session: started with its marker in the environment, or in its mount namespace,
                 or with a mount that comes from its directories (a container's init has the image's environment only)
    namespaces   network namespaces that such a process holds, or a mount (`ip netns add` makes one)
    files        names below the roots of the test's engines; the contents of unpacked layers count as one thing

A process may need a moment to leave, so `settled` looks again until nothing is left or its patience ends.
"""

import ctypes
import errno
import fcntl
import functools
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARKER = "PYDOCKER_TEST_SESSION"
OUTSIDE = "PYDOCKER_TEST_OUTSIDE"  # the machine's own network, by a name that its children can use, too
PATIENCE = 60.0

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
MS_REC, MS_PRIVATE, MS_SHARED = 0x4000, 1 << 18, 1 << 20


@dataclass(frozen=True)
class Scope:
    """What belongs to this test session: `token` is in the names of its cgroups and directories, and in the marker."""

    token: str
    directories: tuple[Path, ...]
    """Where its engines and its tests keep their files."""
    mount_namespace: str
    """The one that `isolate_mounts` made: whoever is in it is of this session."""
    roots: tuple[Path, ...] = ()
    """The engines' data and run roots, which are compared by name."""


Snapshot = dict[str, frozenset[str]]


def isolate_mounts() -> str:
    """Give the calling process, and what it starts from now on, its own copy of the mount table (needs root).

    Returns the name of the new namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    calls: tuple[tuple[str, Callable[[], int]], ...] = (
        ("unshare(CLONE_NEWNS)", lambda: libc.unshare(CLONE_NEWNS)),
        ("make / private", lambda: libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)),
        ("make / shared", lambda: libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_SHARED), None)),
    )
    for name, call in calls:
        if call() != 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return os.readlink("/proc/self/ns/mnt")


def isolate_network() -> None:
    """Give the calling process, and what it starts from now on, a network with nothing but loopback (needs root).

    It forwards IPv4, as a machine on which engines have run. (A new one has the machine's own setting for that:
    kernel, Documentation/admin-guide/sysctl/net.rst, devconf_inherit_init_net.) See `outside`.
    """
    os.environ.setdefault(OUTSIDE, f"/proc/{os.getpid()}/fd/{os.open('/proc/self/ns/net', os.O_RDONLY | os.O_CLOEXEC)}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"unshare(CLONE_NEWNET): {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any:
        up = struct.pack("16sh22x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(any, SIOCSIFFLAGS, up)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def outside() -> tuple[str, ...]:
    """What a command line begins with that has to reach somebody on the machine's own network: a mirror, say."""
    return ("nsenter", f"--net={os.environ[OUTSIDE]}") if OUTSIDE in os.environ else ()


def snapshot(scope: Scope) -> Snapshot:
    """Everything that is there now, kind by kind, in words fit for a failure message."""
    processes = tuple(own_processes(scope))
    return {
        "mount": frozenset(mounts()),
        "cgroup": frozenset(cgroups(scope.token)),
        "process": frozenset(processes),
        "network namespace": frozenset(network_namespaces(processes)),
        "file": frozenset(name for root in scope.roots for name in files(root)),
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is new, and which mounts and files are gone. (A process may end, a cgroup with it.)"""
    left = [f"{kind} left behind: {name}" for kind in before for name in sorted(after[kind] - before[kind])]
    lost = [f"{kind} lost: {name}" for kind in ("mount", "file") for name in sorted(before[kind] - after[kind])
            if not (kind == "mount" and place_removed(name))]
    return left + lost


def place_removed(mount: str) -> bool:
    """Whether the mount went with the directory that it was on: rmdir(2) takes it away in all other namespaces, too.

    So ends what a daemon of this machine has mounted for its own containers.
    """
    return not os.path.lexists(mount.partition(" (")[0])


def settled(before: Snapshot, scope: Scope, patience: float = PATIENCE) -> list[str]:
    """The differences that stay, looked for again for up to `patience` seconds."""
    deadline = time.monotonic() + patience
    while found := differences(before, snapshot(scope)):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def mounts() -> Iterator[str]:
    """One line a mount: where, what of which file system, flags, propagation; without the ids, which change."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        id_, _, _, root, point, flags, *propagation = head.split()
        kind, source, *_ = tail.split()
        shared = ",".join(sorted(word.partition(":")[0] for word in propagation))
        yield f"{point} ({kind} {source} {root} {flags} {shared}, id {id_})"


def remove_tree(path: Path, *, ignore_errors: bool = False) -> None:
    """rmtree, which would go on in whatever is mounted below, and empty that: it may be the host's."""
    place = os.path.realpath(path)
    left = [mount for mount in mounts() if f"{mount.partition(' (')[0]}/".startswith(f"{place}/")]
    assert not left, f"{place} is not removed, as something is still mounted there: {left}"
    shutil.rmtree(path, ignore_errors=ignore_errors)


def hierarchies() -> Iterator[Path]:
    """The mount points of every cgroup file system, v1 and v2."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        if tail.split()[0] in ("cgroup", "cgroup2"):
            yield Path(head.split()[4])


def cgroups(token: str) -> Iterator[str]:
    """Everything of the session's but its parent cgroup itself, which stays from the first container to the last."""
    for hierarchy in hierarchies():
        for directory, names, _ in os.walk(hierarchy):
            below = token in directory
            yield from (f"{directory}/{name}" for name in names if below or (token in name and token != name))


def remove_parents(token: str) -> None:
    """Remove the session's parent cgroups, empty as they have to be by now."""
    for hierarchy in hierarchies():
        for directory, names, _ in os.walk(hierarchy):
            if token in names:
                remove_cgroup(os.path.join(directory, token))


def remove_cgroup(path: str | Path) -> None:
    """A process that has ended leaves its cgroup a moment later: until then it is busy."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:  # who made it was about to remove it
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def end(before: Snapshot, scope: Scope) -> None:
    """Take away what is new: processes, mounts below the session's directories, cgroups.

    For what was told already, and would be in the way of whatever comes next. What cannot be killed is left there.
    """
    deadline = time.monotonic() + PATIENCE
    while found := {*own_processes(scope)} - before["process"]:
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(int(process.split()[0]), signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for mount in {*mounts()} - before["mount"]:
        if mount.startswith(tuple(f"{directory}/" for directory in scope.directories)):
            subprocess.run(["umount", "--lazy", mount.partition(" (")[0]], check=False)
    for cgroup in sorted({*cgroups(scope.token)} - before["cgroup"], reverse=True):
        with suppress(OSError):
            remove_cgroup(cgroup)


def own_processes(scope: Scope) -> Iterator[str]:
    """`pid name command`, for every live process of the session but its own and those that lead to it."""
    lineage = frozenset(ancestors(os.getpid()))
    others = lineage | kernel_threads()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid not in others and _alive(pid) and _ours(pid, scope):
            yield f"{pid} {_read(pid, 'comm').decode(errors='replace').strip()} {_command(pid)}".rstrip()


@functools.cache
def kernel_threads() -> frozenset[int]:
    """Those that were there at the first look: children of kthreadd, process 2. Most of an idle machine's processes."""
    if _read(2, "comm") != b"kthreadd\n":  # we are in a pid namespace
        return frozenset()
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return frozenset(pid for pid in pids if _read(pid, "stat").rpartition(b")")[2].split()[1:2] == [b"2"])


def ancestors(pid: int) -> Iterator[int]:
    """The process and its parents, up to the first."""
    while pid > 0:
        yield pid
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        pid = int(fields[1]) if fields else 0


def network_namespaces(processes: tuple[str, ...]) -> Iterator[str]:
    """Those of the session's processes, and those pinned by a mount, which is how `ip netns` names them."""
    here = _link(os.getpid(), "ns/net")
    for process in processes:
        name = _link(int(process.split()[0]), "ns/net")
        if name not in ("", here):
            yield name
    yield from (mount for mount in mounts() if " net:[" in mount)


def files(root: Path) -> Iterator[str]:
    """Every name below a root; an unpacked layer (`layers/<chain>/diff`) is one name, whatever is in it.

    So is the runtime's cache of compiled seccomp filters, which stay for the next container.
    """
    for directory, names, plain in os.walk(root):
        yield from (os.path.join(directory, name) for name in (*names, *plain))
        one = "diff" if Path(directory).parent.name == "layers" else "@seccomp"
        names[:] = [name for name in names if name != one]


def _ours(pid: int, scope: Scope) -> bool:
    marked = f"{MARKER}={scope.token}".encode() in _read(pid, "environ").split(b"\0")
    if marked or _link(pid, "ns/mnt") == scope.mount_namespace:
        return True
    table = _read(pid, "mountinfo")
    return any(os.fsencode(directory) in table for directory in scope.directories)


def _alive(pid: int) -> bool:
    state = _read(pid, "stat").rpartition(b")")[2].split()[:1]
    return state not in ([], [b"Z"], [b"X"])


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")[:160]


def _read(pid: int, name: str) -> bytes:
    """A file of /proc/PID; empty when the process is gone meanwhile, or is not to be looked at."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""
