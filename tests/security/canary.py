"""The host, before an attack and after it. Whatever differs is what the attack got.

Everything is read from the kernel and the disk; nothing is asked of the runtime. The mount table, cgroups, processes
and network namespaces come from tests/leaks.py; here are the things that only an attacker goes at.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests import leaks

Snapshot = dict[str, frozenset[str]]

# A parameter of the kernel that no namespace separates, and that does no harm: attacks that write one write this.
HARMLESS = "kernel/printk_ratelimit_burst"
# Counters and random numbers, and what the kernel lowers by itself when it has much to do; and what a desktop or
# another engine may change at any time lies below net, not here.
VOLATILE = ("kernel/hung_task_detect_count", "kernel/hung_task_warnings", "kernel/perf_event_max_sample_rate",
            "kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "fs/dentry-state", "fs/file-nr", "fs/inode-",
            "fs/aio-nr", "kernel/sched", "vm/stat_refresh", "vm/compact", "vm/drop_caches", "fs/quota/")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")
AGENTS = ("release_agent", "notify_on_release")


def snapshot(scope: leaks.Scope, directory: Path, files: tuple[Path, ...]) -> Snapshot:
    """All of it; `directory` is where the canary lives, `files` are the runtime's own."""
    return {
        **leaks.snapshot(scope),
        "canary": frozenset(tree(directory)),
        "sysctl": frozenset(sysctls()),
        "device": frozenset(devices()),
        "cgroup agent": frozenset(agents()),
        "runtime's file": frozenset(digests(files)),
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is new or other, and of what has to stay, what is gone. (Processes and cgroups of before may end.)"""
    staying = before.keys() - {"process", "cgroup", "network namespace"}
    return [*(f"{kind}: now {one}" for kind in sorted(before) for one in sorted(after[kind] - before[kind])),
            *(f"{kind}: was {one}" for kind in sorted(staying) for one in sorted(before[kind] - after[kind])
              if not (kind == "mount" and leaks.place_removed(one)))]


def tree(directory: Path) -> Iterator[str]:
    """Names, kinds, modes, owners, times and contents."""
    for parent, names, plain in os.walk(directory):
        for path in (Path(parent), *(Path(parent, name) for name in plain),
                     *(Path(parent, name) for name in names if Path(parent, name).is_symlink())):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            yield (f"{path} {stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {status.st_dev} "
                   f"{status.st_mtime_ns} {content!r}")


def sysctls() -> Iterator[str]:
    """kernel.*, vm.*, fs.*: what belongs to no namespace (or to the host's own)."""
    for top in ("kernel", "vm", "fs"):
        for parent, _, names in os.walk(f"/proc/sys/{top}"):
            for path in (os.path.join(parent, name) for name in names):
                if not path.removeprefix("/proc/sys/").startswith(VOLATILE) and os.stat(path).st_mode & 0o400:
                    yield f"{path} = {quietly(path)}"


def devices() -> Iterator[str]:
    """The nodes that every process of the host uses."""
    for path in (f"/dev/{name}" for name in DEVICES if os.path.exists(f"/dev/{name}")):
        status = os.stat(path)
        yield f"{path} {stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {status.st_rdev:#x}"


def agents() -> Iterator[str]:
    """What the kernel executes on the host when a v1 cgroup becomes empty (CVE-2022-0492)."""
    for path in (hierarchy / name for hierarchy in leaks.hierarchies() for name in AGENTS):
        if path.exists():
            yield f"{path} = {quietly(path)}"


def digests(files: tuple[Path, ...]) -> Iterator[str]:
    for path in files:
        yield f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"


def quietly(path: str | Path) -> str:
    """The first line, or the reason why there is none."""
    try:
        return Path(path).read_bytes()[:400].decode(errors="replace").strip()
    except OSError as error:
        return str(error.strerror)
