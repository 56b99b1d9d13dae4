"""On a host with cgroup v2 alone (that is where most containers run): what the runtime has to do differently there.

Elsewhere these are skipped; `make test-vm` boots such a host.
"""

import os
import time
from pathlib import Path

import pytest

from runtime.cgroups import read_layout
from runtime.spec import NamespaceType
from tests.root.runtime.conftest import Runtime

pytestmark = pytest.mark.skipif(read_layout().mode != "v2", reason="needs a host with cgroup v2 alone: make test-vm")

MIB = 1 << 20
UNIFIED = "/sys/fs/cgroup"
RESOURCES = {
    "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
    "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 33},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
    "unified": {"memory.high": str(48 * MIB), "memory.oom.group": "1"},
}
FILES = {
    "memory.max": str(64 * MIB), "memory.swap.max": str(32 * MIB), "memory.low": str(32 * MIB),
    "memory.high": str(48 * MIB), "memory.oom.group": "1", "cpu.weight": "59", "cpu.max": "50000 100000",
    "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "33", "hugetlb.2MB.max": str(4 * MIB),
}
MOVE = "mkdir /sys/fs/cgroup/init && echo 1 > /sys/fs/cgroup/init/cgroup.procs"
"""What systemd does when it is a container's program."""


def writable_cgroup(runtime: Runtime) -> None:
    """A container that may arrange its own part of the tree."""
    runtime.change(mounts=[{"destination": "/proc", "type": "proc"},
                           {"destination": UNIFIED, "type": "cgroup", "options": ["rw", "nosuid", "nodev", "noexec"]}])


def test_every_resource_is_in_its_file(runtime: Runtime) -> None:
    runtime.configure("sleep", "100")
    runtime.change(linux__resources=RESOURCES)
    runtime.create()
    assert {file: Path(UNIFIED + runtime.cgroup, file).read_text().strip() for file in FILES} == FILES


def test_the_container_sees_its_own_cgroup_as_the_root_of_one_tree(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", f"cat /proc/self/cgroup {UNIFIED}/memory.max; grep ' {UNIFIED} ' /proc/mounts")
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    own, limit, mount = done.stdout.splitlines()
    assert (own, limit) == ("0::/", str(64 * MIB)), done.stderr
    assert mount.split()[2] == "cgroup2" and "ro" in mount.split()[3].split(",")


def test_in_the_hosts_cgroup_namespace_it_finds_itself_in_the_whole_tree(runtime: Runtime) -> None:
    """As with runc: where /proc/self/cgroup says that a process is, there are its limits."""
    config = runtime.configure("sh", "-c", f"cat {UNIFIED}$(sed s/0::// /proc/self/cgroup)/memory.max")
    assert config.linux is not None
    runtime.change(linux__namespaces=[{"type": one.type.value} for one in config.linux.namespaces
                                      if one.type is not NamespaceType.CGROUP])
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.stdout == f"{64 * MIB}\n", done.stderr


def test_a_container_moves_below_its_cgroup_and_exec_follows(runtime: Runtime) -> None:
    """With controllers passed on, its cgroup takes no process any more (cgroups(7), "no internal processes")."""
    runtime.configure("sh", "-c", f"{MOVE} && echo +pids > {UNIFIED}/cgroup.subtree_control && exec sleep 100")
    writable_cgroup(runtime)
    runtime.create()
    runtime("start", "c", check=True)
    inner = Path(UNIFIED + runtime.cgroup, "init/pids.current")
    deadline = time.monotonic() + 60
    while not inner.exists():
        assert time.monotonic() < deadline, "the container did not move"
        time.sleep(0.02)
    done = runtime("exec", "c", "cat", "/proc/self/cgroup")
    assert (done.returncode, done.stdout) == (0, "0::/init\n"), done.stderr
    runtime("delete", "--force", "c", check=True)
    assert not os.path.exists(UNIFIED + runtime.cgroup)


def test_the_container_cannot_lift_its_own_limits(runtime: Runtime) -> None:
    """The files of a namespace's root are its parent's business, where cgroup2 is mounted with nsdelegate."""
    runtime.configure("sh", "-c", f"echo max > {UNIFIED}/memory.max; cat {UNIFIED}/memory.max")
    writable_cgroup(runtime)
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.stdout == f"{64 * MIB}\n", done.stderr


def test_a_disk_that_the_container_makes_a_node_for_stays_closed(runtime: Runtime) -> None:
    """By the eBPF program: the device is there, and so is CAP_MKNOD."""
    number = next(name for name in os.listdir("/sys/dev/block") if not name.startswith(("7:", "1:")))
    major, minor = number.split(":")
    done = runtime.run("sh", "-c", f"mknod /tmp/disk b {major} {minor}; head -c 1 /tmp/disk")
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    assert runtime.run("head", "-c", "1", "/dev/zero").returncode == 0


def test_reads_of_a_disk_are_throttled(runtime: Runtime) -> None:
    device = os.stat("/").st_dev
    major, minor = os.major(device), os.minor(device)
    if not os.path.exists(f"/sys/dev/block/{major}:{minor}"):
        pytest.skip("the root file system is on no disk")
    runtime.configure("sleep", "100")
    runtime.change(linux__resources={"blockIO": {
        "weight": 500, "throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": MIB}]}})
    runtime.create()
    assert f"{major}:{minor} rbps={MIB} wbps=max riops=max wiops=max" in Path(
        UNIFIED + runtime.cgroup, "io.max").read_text()


def test_a_fork_bomb_ends_at_once(runtime: Runtime) -> None:
    """cgroup.kill reaches those that are being forked."""
    pid = runtime.background("sh", "-c", "f() { while :; do sleep 100 & done; }; f 2>/dev/null")
    runtime("delete", "--force", "c", check=True)
    assert not os.path.exists(f"/proc/{pid}")
    assert not os.path.exists(UNIFIED + runtime.cgroup)


def test_its_parents_pass_on_every_controller_for_the_figures(runtime: Runtime) -> None:
    runtime.background("sleep", "100")
    passed = Path(UNIFIED + runtime.cgroup, "cgroup.controllers").read_text().split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= {*passed}
