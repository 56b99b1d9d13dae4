"""What a container is: looked at from inside by busybox, and from outside by /proc."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from runtime.linux.capabilities import NUMBERS, capget
from runtime.linux.mountinfo import mountinfo
from runtime.spec import LinuxCapabilities, POSIXRlimit, User
from runtime.spec.defaults import DEFAULT_CAPABILITIES
from tests.root.runtime.conftest import Runtime
from tests.waiting import wait_until

KINDS = ("mnt", "pid", "net", "uts", "ipc", "cgroup")


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_exit_code_is_the_programs(runtime: Runtime, code: int) -> None:
    assert runtime.run("sh", "-c", f"exit {code}").returncode == code


def test_killed_by_a_signal_is_128_and_its_number(runtime: Runtime) -> None:
    pid1_child = "sh -c 'kill -KILL $$'; exit $?"
    assert runtime.run("sh", "-c", pid1_child).returncode == 128 + 9


def test_namespaces_are_new(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100")
    for kind in KINDS:
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    assert os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user")


def test_namespaces_that_are_not_listed_are_shared(runtime: Runtime) -> None:
    runtime.configure("sleep", "100")
    runtime.change(linux__namespaces=[{"type": "mount"}], hostname="",
                   mounts=[{"destination": "/proc", "type": "proc"}])
    runtime.create()
    runtime("start", "c", check=True)
    pid = runtime.pid()
    for kind in set(KINDS) - {"mnt"}:
        assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}"), kind


def test_namespace_joined_by_path(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100")
    runtime.configure("sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/uts")
    runtime.change(linux__namespaces=[
        {"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"},
        {"type": "network", "path": f"/proc/{pid}/ns/net"}], linux__cgroupsPath=runtime.cgroup + "-2")
    done = runtime("run", "--bundle", str(runtime.bundle), "c2")
    joined, new = done.stdout.split()
    assert joined == os.readlink(f"/proc/{pid}/ns/net"), done.stderr
    assert new != os.readlink(f"/proc/{pid}/ns/uts")


def test_mount_namespace_joined_by_path(runtime: Runtime) -> None:
    """The root file system is mounted in it, and becomes its root, as with runc."""
    other = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "100"])
    try:
        link = f"/proc/{other.pid}/ns/mnt"
        wait_until(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")  # with its propagation changed
        runtime.configure("sh", "-c", "readlink /proc/self/ns/mnt; ls /")
        runtime.change(linux__namespaces=[{"type": "mount", "path": link}, {"type": "pid"}], hostname="")
        joined, *names = runtime.run().stdout.split()
        assert joined == os.readlink(link) and set(names) == {*os.listdir(runtime.rootfs)}
    finally:
        other.kill()
        other.wait()


def test_it_is_process_1_with_its_hostname_and_loopback(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "echo $$; hostname; ip -o addr show lo; ls /sys/class/net")
    first, hostname, *network = done.stdout.splitlines()
    assert (first, hostname) == ("1", "web")
    assert "127.0.0.1/8" in network[0] and network[-1] == "lo"


def test_environment_and_home(runtime: Runtime) -> None:
    lines = runtime.run("env", env=("PATH=/bin", "A=b c", "A=d")).stdout.splitlines()
    assert sorted(lines) == ["A=d", "HOME=/root", "PATH=/bin"]
    assert runtime.run("sh", "-c", "echo $HOME", env=("PATH=/bin", "HOME=/x")).stdout == "/x\n"


def test_mounts(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100")
    found = {mount.target: mount for mount in mountinfo(pid)}
    expected = {
        "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
        "/dev": ("tmpfs", {"nosuid"}),
        "/dev/pts": ("devpts", {"nosuid", "noexec"}),
        "/dev/shm": ("tmpfs", {"nosuid", "nodev", "noexec"}),  # noqa: S108
        "/dev/mqueue": ("mqueue", {"nosuid", "nodev", "noexec"}),
        "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
        "/sys/fs/cgroup": (found["/sys/fs/cgroup"].fstype, {"ro", "nosuid", "nodev", "noexec"}),
    }
    for target, (fstype, options) in expected.items():
        assert found[target].fstype == fstype
        assert options <= {*found[target].options}, target
    assert all("ro" in mount.options for mount in found.values() if mount.fstype in ("cgroup", "cgroup2"))
    # Nothing of the host's tree is left, and nothing spreads to it.
    assert found["/"].root.endswith("/bundle/rootfs")
    assert not [mount.target for mount in found.values() if "shared:" in " ".join(mount.propagation)]


def test_device_nodes(runtime: Runtime) -> None:
    script = "for name in null zero full random urandom tty; do stat -c '%n %t:%T %a %F' /dev/$name; done"
    assert runtime.run("sh", "-c", script).stdout.splitlines() == [
        f"/dev/{name} {numbers} 666 character special file"
        for name, numbers in (("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"),
                              ("tty", "5:0"))]


def test_devices_of_the_host_cannot_be_opened(runtime: Runtime) -> None:
    """CAP_MKNOD is there: the cgroup's list of devices is what stands before the host's memory and disks."""
    done = runtime.run("sh", "-c", "mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg")
    assert done.returncode == 1 and "Operation not permitted" in done.stderr


def test_own_device_and_dev_links(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "stat -c '%t:%T %a %u:%g' /dev/mine; readlink /dev/ptmx; readlink /dev/stdin")
    runtime.change(linux__devices=[{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640,
                                    "uid": 7, "gid": 8}])
    assert runtime.run().stdout.splitlines() == ["1:3 640 7:8", "pts/ptmx", "/proc/self/fd/0"]


def test_masked_paths_show_nothing(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do "
                                   "[ -e $f ] && cat $f; done; ls /sys/firmware; true")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("path", [
    "/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/proc/irq/default_smp_affinity", "/proc/sysrq-trigger",
    "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_what_would_change_the_host_is_read_only(runtime: Runtime, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    content = Path(path).read_bytes() if os.access(path, os.R_OK) and "sysrq" not in path else b""
    done = runtime.run("sh", "-c", f"echo h > {path}")
    assert done.returncode != 0 and "Read-only file system" in done.stderr
    assert not content or Path(path).read_bytes() == content


def test_cgroups_cannot_be_written(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "for f in $(find /sys/fs/cgroup -name 'memory*limit_in_bytes' -o -name memory.max "
                                   "-o -name release_agent); do echo 1 > $f && echo $f; done; true")
    assert done.stdout == "" and "Read-only file system" in done.stderr


def test_limits_are_in_the_cgroup_which_is_the_root_inside(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100")
    inside = runtime("exec", "c", "cat", "/proc/self/cgroup").stdout
    assert {line.split(":")[2] for line in inside.splitlines()} == {"/"}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        assert line.split(":")[2].endswith(runtime.cgroup)
    top = Path("/sys/fs/cgroup")
    files = (*top.glob(f"*{runtime.cgroup}/memory.limit_in_bytes"), *top.glob(f"{runtime.cgroup[1:]}/memory.max"))
    assert {int(file.read_text()) for file in files} == {64 << 20}


def test_pids_limit_holds(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; true")
    runtime.change(linux__resources__pids={"limit": 5})
    assert "can't fork" in runtime.run().stderr


def test_memory_limit_kills(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "dd if=/dev/zero of=/dev/null bs=60M count=1; echo $?")
    runtime.change(linux__resources__memory={"limit": 16 << 20, "swap": 16 << 20})
    assert runtime.run().stdout == "137\n"


def test_a_program_starts_with_the_least_memory_that_is_allowed(runtime: Runtime) -> None:
    """What is less is refused: the container would be killed later."""
    least = 768 * os.sysconf("SC_PAGE_SIZE")
    for limit, code in ((least, 0), (least - 4096, 1)):
        runtime.configure("true")
        runtime.change(linux__resources__memory={"limit": limit})
        done = runtime.run()
        assert (done.returncode, "unable to set memory limit" in done.stderr) == (code, bool(code)), done


def test_an_init_that_needs_too_much_memory_fails_create(runtime: Runtime) -> None:
    """What an image has copied into a tmpfs is counted, and the kernel kills who copies. The words are runc's."""
    (runtime.rootfs / "etc/large").write_bytes(bytes(8 << 20))
    runtime.configure("true")
    runtime.change(linux__resources__memory={"limit": 3 << 20, "swap": 3 << 20}, mounts=[
        {"destination": "/proc", "type": "proc"},
        {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}])
    done = runtime.run()
    assert done.returncode == 1
    assert "container init was OOM-killed (memory limit too low?)" in done.stderr


def statuses(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


def test_capabilities_are_exactly_dockers(runtime: Runtime) -> None:
    found = statuses(runtime.run("cat", "/proc/self/status").stdout)
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == "00000000a80425fb"
    assert found["CapInh"] == found["CapAmb"] == "0" * 16
    assert len(DEFAULT_CAPABILITIES) == bin(int(found["CapEff"], 16)).count("1")


def test_other_users_have_none(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "id; cat /proc/self/status", user=User(uid=1000, gid=1001, additional_gids=(5, 6)))
    found = statuses(done.stdout)
    assert found["CapEff"] == found["CapPrm"] == found["CapAmb"] == found["CapInh"] == "0" * 16
    assert (found["Uid"].split(), found["Gid"].split()) == (["1000"] * 4, ["1001"] * 4)
    assert found["Groups"].split() == ["5", "6"]


def test_ambient_capabilities_where_asked(runtime: Runtime) -> None:
    names = ("CAP_NET_BIND_SERVICE",)
    done = runtime.run("cat", "/proc/self/status", user=User(uid=1000),
                       capabilities=LinuxCapabilities(
                           bounding=names, effective=names, inheritable=names, permitted=names, ambient=names))
    found = statuses(done.stdout)
    assert {found[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {f"{1 << 10:016x}"}


def test_no_new_privileges(runtime: Runtime) -> None:
    assert statuses(runtime.run("cat", "/proc/self/status").stdout)["NoNewPrivs"] == "0"
    assert statuses(runtime.run("cat", "/proc/self/status", no_new_privileges=True).stdout)["NoNewPrivs"] == "1"


def test_rlimits(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c", rlimits=(
        POSIXRlimit(type="RLIMIT_NOFILE", soft=100, hard=200), POSIXRlimit(type="RLIMIT_CORE", soft=0, hard=0)))
    assert done.stdout.split() == ["100", "200", "0"]


def test_rlimit_that_cannot_be_had_is_named(runtime: Runtime) -> None:
    if capget()[0] >> NUMBERS["CAP_SYS_RESOURCE"] & 1:
        pytest.skip("this root may raise limits")
    done = runtime.run("true", rlimits=(POSIXRlimit(type="RLIMIT_NOFILE", soft=1 << 19, hard=1 << 19),))
    assert done.returncode == 1
    assert "RLIMIT_NOFILE" in done.stderr and "operation not permitted" in done.stderr


def test_umask_and_working_directory(runtime: Runtime) -> None:
    done = runtime.run("sh", "-c", "umask; pwd", cwd="/made/for/it")
    assert done.stdout.split() == ["0022", "/made/for/it"]
    assert runtime.run("sh", "-c", "umask", user=User(umask=0o077)).stdout == "0077\n"


def test_read_only_root(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "touch /x; touch /dev/shm/y && echo shm")
    runtime.change(root={"path": "rootfs", "readonly": True})
    done = runtime.run()
    assert "Read-only file system" in done.stderr and done.stdout == "shm\n"
    assert not (runtime.rootfs / "x").exists()


def test_sysctl_of_a_namespace(runtime: Runtime) -> None:
    before = Path("/proc/sys/net/ipv4/ip_forward").read_bytes()
    runtime.configure("cat", "/proc/sys/net/ipv4/ping_group_range", "/proc/sys/kernel/msgmax")
    runtime.change(linux__sysctl={"net.ipv4.ping_group_range": "0 77", "kernel.msgmax": "7777"})
    assert runtime.run().stdout.split() == ["0", "77", "7777"]
    assert Path("/proc/sys/net/ipv4/ip_forward").read_bytes() == before


def test_bind_mounts(runtime: Runtime) -> None:
    volume = runtime.directory / "volume"
    volume.mkdir()
    (volume / "file").write_text("old")
    runtime.configure("sh", "-c", "echo new > /rw/file; cat /ro/file /single; echo x > /ro/file")
    spec_mounts = [{"destination": "/proc", "type": "proc"},
                   {"destination": "/rw", "type": "bind", "source": str(volume), "options": ["rbind", "rprivate"]},
                   {"destination": "/ro", "source": str(volume), "options": ["bind", "ro"]},
                   {"destination": "/single", "source": "../volume/file", "options": ["bind"]}]
    runtime.change(mounts=spec_mounts)
    done = runtime.run()
    assert done.stdout == "new\nnew\n" and "Read-only file system" in done.stderr
    assert (volume / "file").read_text() == "new\n"


def test_mounts_do_not_show_on_the_host(runtime: Runtime) -> None:
    before = mountinfo()
    runtime.background("sleep", "100")
    assert mountinfo() == before
