"""`update`: the kernel's files before and after, what is remembered, and that a refused change changes nothing."""

import json
import subprocess
from pathlib import Path

import pytest

from runtime import cgroups

MIB = 1 << 20


class Files:
    """The limits of the container, read from wherever this host has their controllers."""

    def __init__(self, runtime):
        self.cgroup = cgroups.open(runtime.cgroup)

    def __getitem__(self, name: str) -> str:
        first = {controller: one for one in self.cgroup.first for controller in one.controllers}
        if name.split(".")[0] not in first:
            pytest.skip("needs a cgroup v1 controller")
        return Path(first[name.split(".")[0]].directory, name).read_text().strip()


@pytest.fixture
def files(runtime):
    runtime.background("sleep", "100")
    return Files(runtime)


def feed(runtime, document: object) -> subprocess.CompletedProcess[str]:
    (runtime.directory / "resources").write_text(json.dumps(document))
    with open(runtime.directory / "resources") as file:
        return runtime("update", "--resources", "-", "c", stdin=file)


FLAGS: tuple[tuple[tuple[str, ...], str, str | None, str], ...] = (
    (("--memory", "128M"), "memory.limit_in_bytes", str(64 * MIB), str(128 * MIB)),
    (("--memory", "32m", "--memory-swap", "48m"), "memory.memsw.limit_in_bytes", None, str(48 * MIB)),
    (("--memory-reservation", "16mb"), "memory.soft_limit_in_bytes", None, str(16 * MIB)),
    (("--pids-limit", "9"), "pids.max", "64", "9"),
    (("--pids-limit", "-1"), "pids.max", "9", "max"),
    (("--cpu-share", "100"), "cpu.shares", "1024", "100"),
    (("--cpu-quota", "50000"), "cpu.cfs_quota_us", "-1", "50000"),
    (("--cpu-period", "80000"), "cpu.cfs_period_us", "100000", "80000"),
    (("--cpu-quota", "50000", "--cpu-burst", "1000"), "cpu.cfs_burst_us", "0", "1000"),
    (("--cpu-idle", "1"), "cpu.idle", "0", "1"),
    (("--cpu-idle", "0"), "cpu.idle", "1", "0"),
    (("--cpuset-cpus", "0"), "cpuset.cpus", None, "0"),
    (("--cpuset-mems", "0"), "cpuset.mems", None, "0"),
)


def test_every_flag_is_in_the_kernel(runtime, files):
    for flags, file, before, after in FLAGS:
        assert before in (None, files[file]), file
        done = runtime("update", *flags, "c", check=True)
        assert done.stderr == ""
        assert files[file] == after, flags
    assert files["cpu.shares"] == "100", "and is still there when the container was idle meanwhile"


def test_a_document_from_standard_input_or_a_file(runtime, files):
    document = {"memory": {"limit": 96 * MIB, "swap": 112 * MIB}, "cpu": {"shares": 500, "cpus": ""},
                "pids": {"limit": 0},
                "devices": [{"allow": True, "access": "rwm"}]}
    assert feed(runtime, document).stderr == ""
    assert (files["memory.limit_in_bytes"], files["memory.memsw.limit_in_bytes"]) == (str(96 * MIB), str(112 * MIB))
    assert (files["cpu.shares"], files["pids.max"]) == ("500", "64")
    assert "a *:*" not in files["devices.list"], "devices are no limits"
    (runtime.directory / "resources").write_text('{"pids": {"limit": 5}}')
    runtime("update", "-r", str(runtime.directory / "resources"), "c", check=True)
    assert files["pids.max"] == "5"


def test_what_was_changed_is_remembered_for_the_next_change(runtime, files):
    """Swap counts with memory, and a quota with its period: each is changed alone, and is checked with the other."""
    for flags in (("--memory", "32M"), ("--memory-swap", "40M"), ("--memory", "36M"), ("--memory", "-1")):
        runtime("update", *flags, "c", check=True)
    assert int(files["memory.limit_in_bytes"]) > 1 << 62
    assert int(files["memory.memsw.limit_in_bytes"]) > 1 << 62, "without a limit on memory there is none on both"
    runtime("update", "--memory", "64M", "--memory-swap", "64M", "c", check=True)
    done = runtime("update", "--memory", "80M", "c")
    assert "memory and swap together" in done.stderr
    assert files["memory.limit_in_bytes"] == str(64 * MIB)


def test_up_and_down_in_the_order_that_the_kernel_takes(runtime, files):
    for mib in (64, 200, 24, 100):
        document = {"memory": {"limit": mib * MIB, "swap": mib * MIB}}
        assert feed(runtime, document).stderr == ""
        assert (files["memory.limit_in_bytes"], files["memory.memsw.limit_in_bytes"]) == (str(mib * MIB),) * 2


def test_a_refused_change_changes_nothing_and_is_not_remembered(runtime, files):
    document = {"memory": {"limit": 48 * MIB}, "pids": {"limit": 3}, "cpu": {"shares": 2000, "quota": 5}}
    done = feed(runtime, document)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "/cpu." in done.stderr
    assert (files["memory.limit_in_bytes"], files["pids.max"], files["cpu.shares"]) == (str(64 * MIB), "64", "1024")
    runtime("update", "--cpu-period", "50000", "c", check=True)
    assert files["memory.limit_in_bytes"] == str(64 * MIB)


REFUSED = (
    (("--memory", "x"), "invalid value for memory: invalid size: 'x'"),
    (("--memory", "99999999999g"), "invalid value for memory: value out of range"),
    (("--cpu-quota", "x"), 'invalid value for cpu-quota: strconv.ParseInt: parsing "x": invalid syntax'),
    (("--cpu-share", "-1"), 'invalid value for cpu-share: strconv.ParseUint: parsing "-1": invalid syntax'),
    (("--cpu-share", "1"), "the minimum allowed cpu-shares is 2"),
    (("--blkio-weight", "1001"), "range is from 10 to 1000"),
    (("--cpuset-cpus", "4000"), "cpuset.cpus"),
    (("--resources", "/nonexistent"), "open /nonexistent: no such file or directory"),
    (("--l3-cache-schema", "x"), "Intel RDT/CAT: l3 cache schema is not enabled"),
)


def test_what_makes_no_sense_is_refused(runtime, files):
    for words, refused in REFUSED:
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
    assert Files(runtime)["pids.max"] == "5"
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
