"""User namespaces: a root that is nobody on the host, and a container that works nevertheless."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runtime.linux.mountinfo import mountinfo
from runtime.spec import POSIXRlimit, User
from tests.root.runtime.conftest import Runtime

FIRST = 300000
MAP = [{"containerID": 0, "hostID": FIRST, "size": 65536}]
KINDS = {"mount": "mnt", "pid": "pid", "network": "net", "uts": "uts", "ipc": "ipc", "cgroup": "cgroup", "user": "user"}


def mapped(runtime: Runtime, *args: str, **process: Any) -> None:
    """A container with a user namespace, its root file system owned by the mapped root."""
    runtime.configure(*args, **process)
    with_maps(runtime)
    for path in (runtime.rootfs, *runtime.rootfs.rglob("*")):
        os.chown(path, FIRST, FIRST, follow_symlinks=False)


def with_maps(runtime: Runtime, **changes: Any) -> None:
    namespaces = [{"type": kind} for kind in KINDS]
    runtime.change(linux__namespaces=namespaces, linux__uidMappings=MAP, linux__gidMappings=MAP, **changes)


def running(runtime: Runtime) -> int:
    runtime.create()
    runtime("start", "c", check=True)
    return runtime.program()


def test_root_is_nobody_outside(runtime: Runtime) -> None:
    mapped(runtime, "sleep", "100")
    pid = running(runtime)
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.findall(r"^[UG]id:\s+(\d+)", status, re.MULTILINE) == [str(FIRST)] * 2
    for name in ("uid_map", "gid_map"):
        assert Path(f"/proc/{pid}/{name}").read_text().split() == ["0", str(FIRST), "65536"]
    assert Path(f"/proc/{pid}/setgroups").read_text() == "allow\n"
    for kind, name in KINDS.items():
        assert os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), kind


def test_the_other_namespaces_belong_to_it(runtime: Runtime) -> None:
    """Root inside may change what a namespace of its own holds, and nothing else."""
    mapped(runtime, "sh", "-c", "hostname other && hostname; ip link set lo mtu 1400 && echo net; "
                                "mount -t tmpfs t /tmp && echo mount; "
                                "echo 1 > /proc/sys/net/ipv4/ip_forward && echo sysctl; id -u")
    everything = [f"CAP_{name}" for name in ("SYS_ADMIN", "NET_ADMIN", "SETUID", "SETGID", "SYS_TIME")]
    runtime.change(process__capabilities=dict.fromkeys(("bounding", "effective", "permitted"), everything),
                   linux__readonlyPaths=[])
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    done = runtime.run()
    assert done.stdout.split() == ["other", "net", "mount", "sysctl", "0"], done.stderr
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


def test_what_is_seen_inside(runtime: Runtime) -> None:
    mapped(runtime, "sh", "-c", "touch /made; stat -c '%u %g' /made /dev /dev/null /dev/shm /dev/pts/ptmx; id; "
                                "echo x > /dev/null; cat /dev/null; echo own > /dev/stdout",
           user=User(additional_gids=(7,)))
    done = runtime.run()
    assert done.stdout.splitlines() == ["0 0"] * 5 + ["uid=0(root) gid=0 groups=7", "own"], done.stderr
    made = (runtime.rootfs / "made").stat()
    assert (made.st_uid, made.st_gid) == (FIRST, FIRST)


def test_devices(runtime: Runtime) -> None:
    """mknod is refused: they are mounts of nodes that were made outside, and no nodes of the host's."""
    mapped(runtime, "sh", "-c", "for d in null zero full random urandom tty mine; do stat -c '%t:%T %a' /dev/$d; done; "
                                "head -c 3 /dev/zero | wc -c; chmod 600 /dev/null; chown 5 /dev/zero; "
                                "mknod /tmp/n c 1 3 || stat -c %F /dev/fifo")
    mine = {"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1}
    runtime.change(linux__devices=[mine, {"path": "/dev/fifo", "type": "p", "fileMode": 0o600}])
    before = {name: os.stat(f"/dev/{name}") for name in ("null", "zero")}
    done = runtime.run()
    assert done.stdout.splitlines() == ["1:3 666", "1:5 666", "1:7 666", "1:8 666", "1:9 666", "5:0 666", "1:3 640",
                                        "3", "fifo"], done.stderr
    for name, was in before.items():
        now = os.stat(f"/dev/{name}")
        assert (now.st_mode, now.st_uid, now.st_ino) == (was.st_mode, was.st_uid, was.st_ino)


def test_mounts_and_masks(runtime: Runtime) -> None:
    mapped(runtime, "sleep", "100")
    pid = running(runtime)
    found = {mount.target: mount for mount in mountinfo(pid)}
    types = {"/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/mqueue": "mqueue"}
    assert {target: found[target].fstype for target in types} == types
    assert f"gid={FIRST + 5}" in found["/dev/pts"].super_options
    assert found["/"].root.endswith("/bundle/rootfs") and "ro" in found["/proc/sys"].options
    covered = [mount for mount in found.values() if mount.root == "/null" and mount.target.startswith("/proc")]
    assert covered and all("ro" in mount.options for mount in covered)
    assert not [mount.target for mount in found.values() if "shared:" in " ".join(mount.propagation)]
    assert all(mount.target.startswith(("/proc", "/sys", "/dev")) or mount.target == "/" for mount in found.values())


def test_sources_that_only_the_hosts_root_may_enter(runtime: Runtime) -> None:
    """The root file system, too: neither is walked to by the mapped root."""
    closed = runtime.directory / "closed"
    (closed / "volume").mkdir(parents=True)
    (closed / "volume/file").write_text("content")
    (closed / "single").write_text("one")
    mapped(runtime, "sh", "-c", "cat /volume/file /single; touch /volume/x; touch /read-only/y")
    shutil.move(runtime.rootfs, closed / "rootfs")
    (closed / "volume").chmod(0o777)
    closed.chmod(0o700)
    runtime.change(root={"path": str(closed / "rootfs")}, mounts=[
        {"destination": "/proc", "type": "proc"},
        {"destination": "/volume", "source": str(closed / "volume"), "options": ["rbind"]},
        {"destination": "/single", "source": str(closed / "single"), "options": ["bind", "ro"]},
        {"destination": "/read-only", "source": str(closed / "volume"), "options": ["bind", "ro", "rprivate"]}])
    done = runtime.run()
    assert done.stdout == "contentone" and "/read-only/y: Read-only file system" in done.stderr
    assert (closed / "volume/x").stat().st_uid == FIRST
    shutil.rmtree(closed)


def test_what_the_host_forbids_stays_forbidden(runtime: Runtime) -> None:
    """Root inside may remount; but not what is read-only, nosuid, nodev on the host, or for this container."""
    host = runtime.directory / "host"
    host.mkdir()
    volume = runtime.directory / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,nosuid,nodev,noexec", "tmpfs", str(host)], check=True)
    try:
        words = [f"mount -o remount,bind,{word} {place} 2>/dev/null && echo {word} {place}"
                 for place in ("/host", "/volume") for word in ("rw", "suid", "rw,suid,dev,exec")]
        mapped(runtime, "sh", "-c", "; ".join([*words, "umount /host && echo still a mount; mount"]))
        runtime.change(
            process__capabilities={name: ["CAP_SYS_ADMIN"] for name in ("bounding", "effective", "permitted")},
            mounts=[{"destination": "/proc", "type": "proc"},
                    {"destination": "/host", "source": str(host), "options": ["rbind"]},
                    {"destination": "/volume", "source": str(volume), "options": ["bind", "ro", "nosuid"]}])
        found = runtime.run().stdout
    finally:
        subprocess.run(["umount", str(host)], check=True)
    assert found.startswith("still a mount\n") and " on /volume type " in found


def test_limits_and_scores_come_from_outside(runtime: Runtime) -> None:
    mapped(runtime, "sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep -c . /proc/keys; true",
           oom_score_adj=777, rlimits=(POSIXRlimit(type="RLIMIT_NOFILE", soft=100, hard=200),
                                       POSIXRlimit(type="RLIMIT_NPROC", soft=9, hard=9)))
    assert runtime.run().stdout.split() == ["100", "200", "777", "0"]


def test_another_user(runtime: Runtime) -> None:
    """A pipe is given to the user by its number on the host, so that it can be opened again by name."""
    mapped(runtime, "sh", "-c", "id -u; id -G; echo again > /dev/stdout; grep -E 'CapEff|CapPrm' /proc/self/status",
           user=User(uid=1000, gid=1001, additional_gids=(5,)))
    done = runtime.run()
    assert done.stdout.split() == ["1000", "1001", "5", "again", "CapPrm:", "0" * 16, "CapEff:", "0" * 16], done.stderr


def test_cgroups(runtime: Runtime) -> None:
    mapped(runtime, "sh", "-c", "cat /proc/self/cgroup; grep cgroup /proc/self/mountinfo")
    lines = runtime.run().stdout.splitlines()
    groups = [line for line in lines if " " not in line]
    mounts = [line for line in lines if " - cgroup" in line]
    assert {line.split(":")[2] for line in groups} == {"/"}
    assert mounts and all(" ro," in line for line in mounts)


def test_exec(runtime: Runtime) -> None:
    mapped(runtime, "sleep", "100")
    pid = running(runtime)
    script = ("id -u; id -G; echo again > /dev/stdout; for n in user mnt net; do readlink /proc/self/ns/$n; done; "
              "ulimit -n")
    process = {"cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": {"uid": 4, "gid": 4,
               "additionalGids": [9]}, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 30, "hard": 40}]}
    file = runtime.directory / "process.json"
    file.write_text(json.dumps(process))
    links = [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("user", "mnt", "net")]
    done = runtime("exec", "--process", str(file), "c")
    assert done.stdout.split() == ["4", "4", "9", "again", *links, "30"], done.stderr
    done = runtime("exec", "c", "sh", "-c", "id -u; stat -c %u /proc/self/status; echo x > /dev/stdout")
    assert done.stdout.split() == ["0", "0", "x"]


@pytest.mark.parametrize("place", ["/proc/{pid}/ns/{name}", "{directory}/ns-{name}"])
def test_a_pod(runtime: Runtime, place: str) -> None:
    """Another container in the same namespaces, all by path; its own maps (podman writes a dummy) do not matter."""
    mapped(runtime, "sleep", "100")
    pid = running(runtime)
    shared = {kind: name for kind, name in KINDS.items() if kind not in ("mount", "cgroup")}
    paths = {kind: place.format(pid=pid, name=name, directory=runtime.directory) for kind, name in shared.items()}
    pinned = [path for path in paths.values() if not path.startswith("/proc")]
    runtime.configure("sh", "-c", "id -u; ps | grep -c 'sleep 10[0]'; stat -c %u /dev/null; "
                                  "for n in user net uts ipc pid; do readlink /proc/self/ns/$n; done")
    dummy = [{"containerID": 0, "hostID": 0, "size": 1}]
    runtime.change(linux__namespaces=[{"type": "mount"}, {"type": "cgroup"},
                                      *({"type": kind, "path": path} for kind, path in paths.items())],
                   linux__uidMappings=dummy, linux__gidMappings=dummy, linux__cgroupsPath=runtime.cgroup + "-2",
                   hostname="")
    try:
        for kind, path in paths.items():
            if pinned:
                Path(path).touch()
                subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/{shared[kind]}", path], check=True)
        done = runtime("run", "--bundle", str(runtime.bundle), "c2")
    finally:
        for path in pinned:
            subprocess.run(["umount", path], check=True)
    expected = [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("user", "net", "uts", "ipc", "pid")]
    assert done.stdout.split() == ["0", "1", "0", *expected], done.stderr


def test_a_mount_namespace_of_a_name_that_is_not_copied(runtime: Runtime) -> None:
    """Another one's mount namespace, bound to a file: such names are missing in a copy of the mounts."""
    mapped(runtime, "sleep", "100")
    pid = running(runtime)
    holder = runtime.directory / "holder"
    holder.mkdir()
    # Only where mounts do not spread can one of a mount namespace be.
    subprocess.run(["mount", "-t", "tmpfs", "holder", holder], check=True)
    try:
        subprocess.run(["mount", "--make-private", holder], check=True)
        (holder / "mnt").touch()
        if subprocess.run(["mount", "--bind", f"/proc/{pid}/ns/mnt", holder / "mnt"], check=False).returncode:
            pytest.skip("the kernel refused to bind the mount namespace: one in thirty times on Linux 6.18, by EINVAL")
        runtime.configure("sh", "-c", "readlink /proc/self/ns/mnt; stat -c %u /dev/null; echo > /dev/null && echo open")
        runtime.change(linux__namespaces=[
            *({"type": kind} for kind in ("pid", "network", "ipc")), {"type": "mount", "path": str(holder / "mnt")},
            {"type": "user", "path": f"/proc/{pid}/ns/user"}], linux__cgroupsPath=runtime.cgroup + "-2", hostname="")
        done = runtime("run", "--bundle", str(runtime.bundle), "c2")
    finally:
        subprocess.run(["umount", "-R", holder], check=True)
    assert done.stdout.split() == [os.readlink(f"/proc/{pid}/ns/mnt"), "0", "open"], done.stderr


def test_a_terminal(runtime: Runtime) -> None:
    mapped(runtime, "sleep", "100")
    running(runtime)
    done = subprocess.run(["script", "-qec", " ".join([*runtime_words(runtime), "exec", "-t", "c", "sh", "-c",
                                                       "'tty; stat -c %u /dev/pts/0'"]), "/dev/null"],
                          capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == ["/dev/pts/0", "0"]


def runtime_words(runtime: Runtime) -> list[str]:
    from tests.root.runtime.conftest import COMMAND

    return [*COMMAND, "--root", str(runtime.root)]


@pytest.mark.parametrize(("change", "words"), [
    ({"linux__uidMappings": []}, "User namespaces enabled, but no uid mappings found."),
    ({"linux__uidMappings": [{"containerID": 0, "hostID": 5, "size": 9}] * 2}, "`$.linux.uidMappings[1]`"),
    ({"linux__uidMappings": [{"containerID": 0, "hostID": 5, "size": 0}]}, "`$.linux.uidMappings[0].size`"),
    ({"linux__gidMappings": [{"containerID": 0, "hostID": 2**32 - 1, "size": 2}]}, "`$.linux.gidMappings[0].size`"),
    ({"process__user": {"uid": 70000, "gid": 0}}, "uid 70000 is not mapped"),
    ({"linux__uidMappings": [{"containerID": 1, "hostID": 5, "size": 9}], "process__user": {"uid": 1, "gid": 0}},
     "user or group 0 is not mapped there"),
    ({"linux__namespaces": [{"type": "mount"}], "hostname": ""}, "user namespace isn't enabled in the config"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "user", "path": "/no/such"}], "hostname": ""},
     "user namespace /no/such: no such file or directory"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "user", "path": "/proc/self/ns/net"}], "hostname": ""},
     "user namespace /proc/self/ns/net: this is a network namespace"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "ipc", "path": "/etc/passwd"}, {"type": "user"}],
      "hostname": ""}, "ipc namespace /etc/passwd: not a namespace"),
])
def test_what_cannot_be_is_named(runtime: Runtime, change: dict[str, Any], words: str) -> None:
    runtime.configure("true")
    with_maps(runtime)
    runtime.change(**change)
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_no_pivot(runtime: Runtime) -> None:
    mapped(runtime, "sh", "-c", "cat /proc/self/mountinfo; ls /; readlink /proc/1/root")
    done = runtime("run", "--no-pivot", "--bundle", str(runtime.bundle), "c")
    lines = done.stdout.splitlines()
    assert lines[-1] == "/" and {"bin", "etc", "proc"} <= set(lines), done.stderr
    assert {line.split()[4] for line in lines if " - proc proc" in line} >= {"/proc", "/proc/sys"}


def test_nobody_inside_sees_the_hosts_null(runtime: Runtime) -> None:
    """Standard input is the host's /dev/null: its inode is not the container's to change (runc 1.1.5 gives it away)."""
    mapped(runtime, "sh", "-c", "chmod 600 /dev/stdin; chown 0 /proc/self/fd/0; chmod 600 /proc/keys; cat /proc/keys")
    before = os.stat("/dev/null")
    runtime.run()
    now = os.stat("/dev/null")
    assert (stat.S_IMODE(now.st_mode), now.st_uid) == (stat.S_IMODE(before.st_mode), before.st_uid)


def test_the_script_makes_the_same(runtime: Runtime) -> None:
    """explain --format sh, executed: what its user namespace, its mounts and its clocks are."""
    mapped(runtime, "sh", "-c", "id; hostname; cat /proc/self/uid_map /proc/self/timens_offsets /proc/self/cgroup; "
                                "grep -c . /proc/mounts; find /dev -type c | sort; ip -o link show lo | grep -c UP")
    for path in (runtime.directory.parent, runtime.directory, runtime.bundle):
        path.chmod(0o755)  # mount(8) walks the path as the mapped root
    runtime.change(linux__timeOffsets={"boottime": {"secs": 500_000}},
                   linux__namespaces=[{"type": kind} for kind in (*KINDS, "time")])
    script = runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", "c", check=True).stdout
    made = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert made.stdout == runtime.run().stdout and "500000" in made.stdout, made.stderr


def test_no_word_breaks_out_of_the_script(runtime: Runtime) -> None:
    """A config.json is a stranger's file: none of its lines ends the text of a stage, and is a command."""
    mapped(runtime, "true")
    script = runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", "c", check=True).stdout
    made = runtime.directory / "made"
    ends = [word for word in script.split() if word.startswith("END_OF_")]
    words = "\n".join(["/x", *dict.fromkeys(ends), f"touch {made}", ""])
    runtime.change(linux__namespaces=[{"type": kind, **({"path": words} if kind == "network" else {})}
                                      for kind in KINDS], process__args=["true", words], domainname=f"\n{ends[0]}\n")
    script = runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", "c", check=True).stdout
    assert str(made) in script
    subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert not made.exists()
