"""`explain --format sh`, executed: the same container as `run` makes, seen from inside and from outside."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime

KINDS = ("mnt", "net", "uts", "pid", "ipc", "cgroup", "user", "time")
# What the program tells of its own world; then it waits, to be looked at from outside.
PROGRAM = """
for file in mountinfo cgroup limits uid_map gid_map oom_score_adj; do echo "== $file"; cat /proc/self/$file; done
echo "== pid $$"
echo "== status"
grep -E '^(Cap|Uid|Gid|Groups|NoNewPrivs|Seccomp:|NSsid|NSpgid|Umask|SigIgn|SigBlk)' /proc/self/status
echo "== names"; hostname; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname
echo "== environment"; env
echo "== directory"; pwd
echo "== descriptors"; for fd in /proc/self/fd/*; do echo ${fd##*/}; done
echo "== interfaces"; cat /proc/net/dev | grep -o '^ *[a-z0-9]*:'
echo "== devices"; ls -ln /dev /dev/pts | grep -v '^total'; ls -ln /sys/fs/cgroup
echo "== end"
read line
"""
# What counts what happened, and not what was set; and what depends on the moment.
COUNTED = re.compile(r"usage|stat|current|procs|tasks|events|threads|failcnt|numa|peak|pressure|oom_control|_serviced|"
                     r"_bytes_recursive|\.io_|blkio\.(?!weight|throttle\.[rw])|effective|hierarchical|time_|kill")


class Seen(dict[str, Any]):
    """What was found out about a container."""


@contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and what its container said, while that waits."""
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    assert process.stdin and process.stdout and process.stderr
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if line == "== end\n":
            break
    else:
        raise AssertionError(f"{process.wait(60)}: {''.join(said)} {process.stderr.read()}")
    try:
        yield process, "".join(said)
    finally:
        process.stdin.close()
        rest = process.stdout.read(), process.stderr.read()
        assert process.wait(60) in (0, 1), rest
        assert rest == ("", "")
        process.stdout.close()
        process.stderr.close()


def look(command: list[str], cgroup: str) -> Seen:
    seen = Seen()
    with running(command) as (_, said):
        seen["inside"] = normal(said)
        found = directories(cgroup)
        pids = {pid for directory in found for pid in (directory / "cgroup.procs").read_text().split()}
        # The program: nobody but who waits for it is there, too, outside of its pid namespace.
        (init,) = [pid for pid in pids if namespace(pid, "pid") == "another"]
        seen["namespaces"] = {kind: namespace(init, kind) for kind in KINDS}
        seen["mountinfo"] = normal(Path(f"/proc/{init}/mountinfo").read_text())
        seen["values"] = {f"{directory}/{file}": value for directory in found
                          for file, value in values(directory).items()}
        seen["name"] = Path(f"/proc/{init}/comm").read_text()
        seen["number of processes"] = len(pids)
    return seen


def directories(cgroup: str) -> list[Path]:
    """Its directories in all hierarchies: v1's, or the one of v2."""
    places = [*Path("/sys/fs/cgroup").glob(f"*{cgroup}"), Path(f"/sys/fs/cgroup{cgroup}")]
    return sorted(place for place in places if place.is_dir())


def namespace(pid: str, kind: str) -> str:
    """The host's, one that somebody else has, or one of its own."""
    link = os.readlink(f"/proc/{pid}/ns/{kind}")
    return "the host's" if link == os.readlink(f"/proc/self/ns/{kind}") else "another"


def values(directory: Path) -> dict[str, str]:
    found = {}
    for file in sorted(directory.iterdir()):
        if file.is_file() and not COUNTED.search(file.name):
            try:
                found[file.name] = file.read_text()
            except OSError:
                continue  # for writing only
    return found


def normal(text: str) -> str:
    """Without what a new container has of its own: mount ids, device numbers, peer groups, moments."""
    text = re.sub(r"^\d+ \d+ \d+:\d+ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b(shared|master|propagate_from):\d+", r"\1:N", text)
    return re.sub(r" [A-Z][a-z]{2} +\d+ +\d\d:\d\d(?::\d\d)?( \d{4})? ", " ", text)


# The bundles.

def plain(runtime: Runtime) -> None:
    """As Docker asks for it."""


def podman(runtime: Runtime) -> None:
    """As podman asks: read-only files of its own, slave propagation, limits, an OOM score, sysctls."""
    (runtime.directory / "hosts").write_text("127.0.0.1 localhost\n")
    mounts = json.loads((runtime.bundle / "config.json").read_text())["mounts"]
    mounts += [{"destination": "/etc/hosts", "type": "bind", "source": str(runtime.directory / "hosts"),
                "options": ["bind", "rprivate", "ro", "nosuid", "nodev"]},
               {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
               {"destination": "/shared", "type": "bind", "source": str(runtime.directory),
                "options": ["rbind", "rshared"]}]
    runtime.change(mounts=mounts, domainname="example.org", linux__rootfsPropagation="slave", process__oomScoreAdj=100,
                   process__rlimits=[{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024},
                                     {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                   process__env=["PATH=/bin", "container=podman", "WITH=a space and 'quotes' $(and) \"more\""],
                   linux__sysctl={"net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "9000"})


def host_network(runtime: Runtime) -> None:
    namespaces = [{"type": kind} for kind in ("mount", "uts", "pid", "ipc")]
    runtime.change(linux__namespaces=namespaces)


def read_only(runtime: Runtime) -> None:
    """The root, with a tmpfs that is read-only, binds with options of all kinds, and links in the way."""
    shared = runtime.directory / "shared dir"
    (shared / "below").mkdir(parents=True)
    (runtime.rootfs / "run/deep").mkdir(parents=True)
    (runtime.rootfs / "var").mkdir()
    (runtime.rootfs / "var/run").symlink_to("/run")
    (runtime.rootfs / "etc/dangling").symlink_to("../run/deep/file")
    mounts = json.loads((runtime.bundle / "config.json").read_text())["mounts"]
    mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "size=1m"]},  # noqa: S108
               {"destination": "/var/run/shared", "type": "bind", "source": str(shared),
                "options": ["rbind", "ro", "noatime", "rnosuid", "rprivate"]},
               {"destination": "/var/run/again", "type": "bind", "source": str(shared), "options": ["bind", "noexec"]},
               {"destination": "/etc/dangling", "type": "bind", "source": "/etc/hostname", "options": ["bind", "ro"]}]
    runtime.change(mounts=mounts, root__readonly=True, process__cwd="/var/run/shared/below")


def user(runtime: Runtime) -> None:
    """Not root, with groups, an ambient capability, and no way up."""
    sets = ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]
    runtime.change(process__user={"uid": 1000, "gid": 100, "additionalGids": [7, 8], "umask": 0o77},
                   process__noNewPrivileges=True, process__capabilities={
                       "bounding": sets, "permitted": sets, "inheritable": sets[:1], "effective": sets[:1],
                       "ambient": sets[:1]})


def nothing_left(runtime: Runtime) -> None:
    """No capability at all, none of the cgroup's own mounts, and more limits."""
    runtime.change(process__capabilities={}, linux__resources={
        "memory": {"limit": 32 << 20, "reservation": 16 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000},
        "pids": {"limit": 32}, "devices": [{"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}]})


def joined(runtime: Runtime) -> None:
    """Namespaces of another process: network, hostname, queues."""
    pid = runtime.background("sleep", "600")
    runtime.cgroup += "-joined"
    runtime.configure("sh", "-c", PROGRAM)
    kinds = [{"type": kind} for kind in ("mount", "pid", "cgroup")]
    kinds += [{"type": kind, "path": f"/proc/{pid}/ns/{file}"}
              for kind, file in (("network", "net"), ("ipc", "ipc"), ("uts", "uts"))]
    runtime.change(linux__namespaces=kinds, hostname="joined")


def hooks(runtime: Runtime) -> None:
    """One of each place that a script has: they tell what they saw, and mount something."""
    log = runtime.directory / "log"
    (runtime.rootfs / "hooked").mkdir()
    runtime.change(hooks={
        "createRuntime": [{"path": "/bin/sh", "timeout": 5, "env": [f"LOG={log}"], "args": [
            "sh", "-c", "{ cat; echo; readlink /proc/self/ns/mnt; } >> $LOG; exec 2>>$LOG; test -d $PWD/rootfs"]}],
        "createContainer": [{"path": "/bin/sh", "env": ["PATH=/usr/bin"], "args": [
            "sh", "-c", "mount -t tmpfs hook ./hooked; cat > ./hooked/state; pwd >> ./hooked/state"]}],
        "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /hooked/start; id >> /hooked/start"]}],
        "poststop": [{"path": "/bin/sh", "env": [f"LOG={log}"], "args": ["sh", "-c", "cat >> $LOG"]}]})
    runtime.change(process__args=["sh", "-c", "cat /hooked/*\n" + PROGRAM])


def user_namespace(runtime: Runtime) -> None:
    """Root inside is user 100000 outside."""
    for directory in (runtime.directory.parent, runtime.directory, runtime.bundle):
        directory.chmod(0o711)
    subprocess.run(["chown", "-R", "100000:100000", runtime.rootfs], check=True)
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = ("user", "mount", "pid", "network", "uts", "ipc", "cgroup")
    runtime.change(linux__namespaces=[{"type": kind} for kind in kinds], linux__uidMappings=maps,
                   linux__gidMappings=maps)


def user_namespace_and_volumes(runtime: Runtime) -> None:
    """From where the mapped root cannot go, and with times that it could not set."""
    private = runtime.directory / "private"
    (private / "shared").mkdir(parents=True)
    (private / "file").touch()
    private.chmod(0o700)
    user_namespace(runtime)
    mounts = json.loads((runtime.bundle / "config.json").read_text())["mounts"]
    mounts += [{"destination": "/shared", "type": "bind", "source": str(private / "shared"),
                "options": ["rbind", "strictatime", "rnodev", "rslave"]},
               {"destination": "/file", "type": "bind", "source": str(private / "file"), "options": ["bind", "ro"]}]
    runtime.change(mounts=mounts)


def priorities(runtime: Runtime) -> None:
    """What is set from outside while the host's tools are there; and a tmpfs to which a link leads."""
    (runtime.rootfs / "far/below").mkdir(parents=True)
    (runtime.rootfs / "etc/link").symlink_to("../far")
    (runtime.rootfs / "etc/other").symlink_to("/far/below")
    mounts = json.loads((runtime.bundle / "config.json").read_text())["mounts"]
    mounts += [{"destination": "/etc/link", "type": "tmpfs", "options": ["tmpcopyup", "noexec"]},
               {"destination": "/etc/other", "type": "tmpfs"},
               {"destination": "/etc/other", "type": "tmpfs", "options": ["remount", "size=1m", "nodev"]}]
    runtime.change(mounts=mounts, process__scheduler={"policy": "SCHED_BATCH", "nice": 5},
                   process__ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 7})
    runtime.change(process__args=["sh", "-c", "grep -E 'policy|prio' /proc/self/sched\n" + PROGRAM])


BUNDLES: tuple[Callable[[Runtime], None], ...] = (plain, podman, host_network, read_only, user, nothing_left, joined,
                                                       hooks, user_namespace,
                                                       user_namespace_and_volumes, priorities)


def compared(runtime: Runtime) -> tuple[Seen, Seen]:
    bundle = ["--bundle", str(runtime.bundle)]
    script, log = runtime.directory / "script", runtime.directory / "log"
    script.write_text(runtime("explain", *bundle, "--format", "sh", "again", check=True).stdout)
    told = look(["bash", str(script)], runtime.cgroup)
    heard = [numberless(line) for line in log.read_text().splitlines()] if log.exists() else []
    log.unlink(missing_ok=True)
    assert not directories(runtime.cgroup), "the script leaves its cgroup"
    done = look([*COMMAND, "--root", str(runtime.root), "run", *bundle, "again"], runtime.cgroup)
    if log.exists():
        told["log"], done["log"] = heard, [numberless(line) for line in log.read_text().splitlines()]
        assert len(heard) == 3 and '"pid":N' in heard[0]
    return told, done


def unordered(seen: Seen) -> Seen:
    """With a user namespace the runtime makes some mounts before the others, to attach them later, which no command
    of util-linux can; and the process that waits for the end of a script (unshare --fork) is in the cgroup."""
    lines = [sorted(seen[aspect].splitlines()) for aspect in ("inside", "mountinfo")]
    return Seen(seen, inside=lines[0], mountinfo=lines[1], **{"number of processes": 0})


def numberless(line: str) -> str:
    return re.sub(r'"pid":\d+', '"pid":N', line)


@pytest.mark.parametrize("change", BUNDLES, ids=lambda change: change.__name__)
def test_the_script_makes_the_same_container(runtime: Runtime,
                                             change: Callable[[Runtime], None]) -> None:
    runtime.configure("sh", "-c", PROGRAM)
    change(runtime)
    told, done = compared(runtime)
    if "user_namespace" in change.__name__:
        told, done = unordered(told), unordered(done)
    for aspect in done:
        assert told[aspect] == done[aspect], aspect
    assert done["namespaces"]["mnt"] == "another" and len(done["values"]) > 10


@pytest.mark.parametrize("kind", ("shared", "rshared"))
def test_what_no_script_can_do_is_said_and_not_tried(runtime: Runtime, kind: str) -> None:
    """What mount(8) attaches where mounts spread to the host, the host would have, too, and keep."""
    runtime.configure("true")
    runtime.change(linux__rootfsPropagation=kind)
    script = runtime.directory / "script"
    script.write_text(runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", check=True).stdout)
    before = Path("/proc/self/mountinfo").read_text()
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("rootfsPropagation shared: ") and not done.stdout
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_script_that_gives_more_says_so(runtime: Runtime) -> None:
    """setpriv(1) cannot set the permitted set, which matters for root without new privileges."""
    runtime.configure("true")
    some = {"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]}
    for change, said in (({}, True), ({"noNewPrivileges": False}, False), ({"user": {"uid": 5, "gid": 5}}, False)):
        runtime.configure("true")
        runtime.change(**{f"process__{name}": value for name, value in
                          {"noNewPrivileges": True, "capabilities": some, **change}.items()})
        told = runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", check=True).stdout
        assert ("no word for the permitted set" in told) is said
