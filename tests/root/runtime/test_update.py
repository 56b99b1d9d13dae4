"""`update`: the kernel's files before and after, what is remembered, and that a refused change changes nothing."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from runtime import cgroups

MIB = 1 << 20


NAMES = {  # of a limit: v1's file, v2's file, and which of its words
    "memory": ("memory.limit_in_bytes", "memory.max", 0),
    "reservation": ("memory.soft_limit_in_bytes", "memory.low", 0),
    "pids": ("pids.max", "pids.max", 0),
    "shares": ("cpu.shares", "cpu.weight", 0),
    "quota": ("cpu.cfs_quota_us", "cpu.max", 0),
    "period": ("cpu.cfs_period_us", "cpu.max", 1),
    "burst": ("cpu.cfs_burst_us", "cpu.max.burst", 0),
    "idle": ("cpu.idle", "cpu.idle", 0),
    "cpus": ("cpuset.cpus", "cpuset.cpus", 0),
    "mems": ("cpuset.mems", "cpuset.mems", 0),
}
WEIGHTS = {17: 100, 58: 500, 100: 1024, 0: 1024}  # v2's, as shares; an idle cgroup's is 0
NONE = -1


class Files:
    """The limits of the container in config.json's units, read from wherever this host has their controllers."""

    def __init__(self, runtime):
        self.cgroup = cgroups.open(runtime.cgroup)
        self.first = {controller: one.directory for one in self.cgroup.first for controller in one.controllers}

    def __getitem__(self, name: str) -> int:
        if name == "memory and swap":
            return self.both()
        first, second, place = NAMES[name]
        controller = first.split(".")[0]
        if controller in self.first:
            return number(Path(self.first[controller], first).read_text())
        assert self.cgroup.second is not None
        if controller not in self.cgroup.second.controllers:
            pytest.skip(f"this host has no controller {controller}")
        found = number(Path(self.cgroup.second.directory, second).read_text().split()[place])
        return WEIGHTS[found] if second == "cpu.weight" else found

    def both(self) -> int:
        """Memory and swap together: v1's file, v2's sum."""
        if directory := self.first.get("memory"):
            return number(Path(directory, "memory.memsw.limit_in_bytes").read_text())
        assert self.cgroup.second is not None
        swap = number(Path(self.cgroup.second.directory, "memory.swap.max").read_text())
        return NONE if NONE in (swap, self["memory"]) else swap + self["memory"]


def number(word: str) -> int:
    return NONE if word.strip() == "max" or int(word) > 1 << 62 else int(word)


@pytest.fixture
def files(runtime):
    runtime.background("sleep", "100")
    return Files(runtime)


def feed(runtime, document: object) -> subprocess.CompletedProcess[str]:
    (runtime.directory / "resources").write_text(json.dumps(document))
    with open(runtime.directory / "resources") as file:
        return runtime("update", "--resources", "-", "c", stdin=file)


FLAGS: tuple[tuple[tuple[str, ...], str, int | None, int], ...] = (
    (("--memory", "128M"), "memory", 64 * MIB, 128 * MIB),
    (("--memory", "32m", "--memory-swap", "48m"), "memory and swap", None, 48 * MIB),
    (("--memory-reservation", "16mb"), "reservation", None, 16 * MIB),
    (("--pids-limit", "9"), "pids", 64, 9),
    (("--pids-limit", "-1"), "pids", 9, NONE),
    (("--cpu-share", "100"), "shares", 1024, 100),
    (("--cpu-quota", "50000"), "quota", NONE, 50_000),
    (("--cpu-period", "80000"), "period", 100_000, 80_000),
    (("--cpu-quota", "50000", "--cpu-burst", "1000"), "burst", 0, 1000),
    (("--cpu-idle", "1"), "idle", 0, 1),
    (("--cpu-idle", "0"), "idle", 1, 0),
    (("--cpuset-cpus", "0"), "cpus", None, 0),
    (("--cpuset-mems", "0"), "mems", None, 0),
)


def test_every_flag_is_in_the_kernel(runtime, files):
    for flags, name, before, after in FLAGS:
        assert before is None or files[name] == before, name
        done = runtime("update", *flags, "c", check=True)
        assert done.stderr == ""
        assert files[name] == after, flags
    assert files["shares"] == 100, "and is still there when the container was idle meanwhile"


def test_a_document_from_standard_input_or_a_file(runtime, files):
    document = {"memory": {"limit": 96 * MIB, "swap": 112 * MIB}, "cpu": {"shares": 500, "cpus": ""},
                "pids": {"limit": 0},
                "devices": [{"allow": True, "access": "rwm"}]}
    assert feed(runtime, document).stderr == ""
    assert (files["memory"], files["memory and swap"]) == (96 * MIB, 112 * MIB)
    assert (files["shares"], files["pids"]) == (500, 64)
    (runtime.directory / "resources").write_text('{"pids": {"limit": 5}}')
    runtime("update", "-r", str(runtime.directory / "resources"), "c", check=True)
    assert files["pids"] == 5


def test_devices_are_no_limits(runtime, files):
    """Whatever the document says of them, a disk stays closed."""
    assert feed(runtime, {"devices": [{"allow": True, "access": "rwm"}]}).stderr == ""
    number = next(name for name in os.listdir("/sys/dev/block") if not name.startswith("1:"))
    done = runtime("exec", "c", "sh", "-c", f"mknod /tmp/disk b {number.replace(':', ' ')}; head -c 1 /tmp/disk")
    assert "Operation not permitted" in done.stderr


def test_what_was_changed_is_remembered_for_the_next_change(runtime, files):
    """Swap counts with memory, and a quota with its period: each is changed alone, and is checked with the other."""
    for flags in (("--memory", "32M"), ("--memory-swap", "40M"), ("--memory", "36M"), ("--memory", "-1")):
        runtime("update", *flags, "c", check=True)
    assert files["memory"] == NONE
    assert files["memory and swap"] == NONE, "without a limit on memory there is none on both"
    runtime("update", "--memory", "64M", "--memory-swap", "64M", "c", check=True)
    done = runtime("update", "--memory", "80M", "c")
    assert "memory and swap together" in done.stderr
    assert files["memory"] == 64 * MIB


def test_up_and_down_in_the_order_that_the_kernel_takes(runtime, files):
    for mib in (64, 200, 24, 100):
        document = {"memory": {"limit": mib * MIB, "swap": mib * MIB}}
        assert feed(runtime, document).stderr == ""
        assert (files["memory"], files["memory and swap"]) == (mib * MIB,) * 2


def test_a_refused_change_changes_nothing_and_is_not_remembered(runtime, files):
    document = {"memory": {"limit": 48 * MIB}, "pids": {"limit": 3}, "cpu": {"shares": 2000, "quota": 5}}
    done = feed(runtime, document)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "/cpu." in done.stderr
    assert (files["memory"], files["pids"], files["shares"]) == (64 * MIB, 64, 1024)
    runtime("update", "--cpu-period", "50000", "c", check=True)
    assert files["memory"] == 64 * MIB


REFUSED = (
    (("--memory", "x"), "invalid value for memory: invalid size: 'x'"),
    (("--memory", "99999999999g"), "invalid value for memory: value out of range"),
    (("--cpu-quota", "x"), 'invalid value for cpu-quota: strconv.ParseInt: parsing "x": invalid syntax'),
    (("--cpu-share", "-1"), 'invalid value for cpu-share: strconv.ParseUint: parsing "-1": invalid syntax'),
    (("--blkio-weight", "1001"), "range is from 10 to 1000"),
    (("--cpuset-cpus", "4000"), "cpuset.cpus"),
    (("--resources", "/nonexistent"), "open /nonexistent: no such file or directory"),
    (("--l3-cache-schema", "x"), "Intel RDT/CAT: l3 cache schema is not enabled"),
)
V1_REFUSED = ((("--cpu-share", "1"), "the minimum allowed cpu-shares is 2"),)  # v2 has a weight, and no minimum


def test_what_makes_no_sense_is_refused(runtime, files):
    for words, refused in (*REFUSED, *(V1_REFUSED if "cpu" in files.first else ())):
        done = runtime("update", *words, "c")
        assert (done.returncode, refused in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr


def test_a_document_of_the_wrong_shape_is_named_with_its_path(runtime, files):
    done = feed(runtime, {"memory": {"limit": "much"}})
    assert done.returncode == 1 and "$.memory.limit" in done.stderr
    assert feed(runtime, []).returncode == 1


def test_kernel_memory_is_ignored_with_a_warning(runtime, files):
    done = runtime("update", "--kernel-memory", "9000000", "c", check=True)
    assert "Setting --kernel-memory is ignored and will be removed" in done.stderr
    done = feed(runtime, {"memory": {"kernel": 9000000}})
    assert done.returncode == 0 and "Kernel memory settings are ignored and will be removed" in done.stderr


def test_a_limit_below_what_is_in_use_can_be_asked_to_be_refused(runtime, files):
    done = feed(runtime, {"memory": {"limit": 4096, "checkBeforeUpdate": True}})
    assert done.returncode == 1 and "rejecting memory limit 4096 <= usage" in done.stderr


def test_only_what_is_there_can_be_updated(runtime, files):
    runtime("kill", "c", "KILL", check=True)
    runtime.await_status("stopped")
    assert "container not running" in runtime("update", "--pids-limit", "5", "c").stderr
    assert "container does not exist" in runtime("update", "--pids-limit", "5", "nobody").stderr


def test_a_paused_and_a_created_container_can_be_updated(runtime):
    runtime.configure("true")
    runtime.create()
    runtime("pause", "c", check=True)
    runtime("update", "--pids-limit", "5", "c", check=True)
    assert Files(runtime)["pids"] == 5
    assert runtime.state()["status"] == "paused"


def test_the_files_of_v2(runtime):
    pid = runtime.background("sleep", "100")
    second = cgroups.open(runtime.cgroup).second
    if second is None or "memory" not in second.controllers:
        pytest.skip("needs cgroup v2's controllers")
    for flags, file, after in (
        (("--memory", "96M", "--memory-swap", "128M"), "memory.max", str(96 * MIB)),
        (("--memory-swap", "96M"), "memory.swap.max", "0"),
        (("--memory-reservation", "8M"), "memory.low", str(8 * MIB)),
        (("--pids-limit", "9"), "pids.max", "9"),
        (("--cpu-quota", "50000"), "cpu.max", "50000 100000"),
        (("--cpu-period", "80000"), "cpu.max", "50000 80000"),
        (("--cpu-share", "2048"), "cpu.weight", "174"),
    ):
        runtime("update", *flags, "c", check=True)
        path = Path(second.directory, file)
        assert not path.exists() or path.read_text().strip() == after, file
    done = runtime("update", "--pids-limit", "5", "--cpu-quota", "5", "c")
    assert done.returncode == 1 and Path(second.directory, "pids.max").read_text() == "9\n"
    assert Path(f"/proc/{pid}/cgroup").read_text().endswith(f"{runtime.cgroup}\n")
