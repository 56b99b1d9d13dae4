"""The figures of both versions, from the kernel's words to runc's JSON; and what takes a change back."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.cgroups import stats_v1, stats_v2
from runtime.cgroups.change import present
from runtime.cgroups.stats import UNLIMITED, Stats, listed
from runtime.cgroups.usage import size_name

PRESSURE = "some avg10=1.50 avg60=0.10 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
FILES_V2 = {
    "cpu.stat": "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 4\nnr_throttled 3\nthrottled_usec 2\n",
    "cpu.pressure": PRESSURE,
    "memory.stat": "anon 5\nfile 4096\n", "memory.current": "9000\n", "memory.max": "10000\n", "memory.peak": "9500\n",
    "memory.swap.current": "100\n", "memory.swap.max": "2000\n",
    "pids.current": "3\n", "pids.max": "max\n",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:16 rbytes=0 wbytes=0 rios=0 wios=0\n",
    "hugetlb.2MB.current": "4194304\n", "hugetlb.2MB.events": "max 6\n",
}


def told(found: dict[str, object]) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(Stats(**found)))  # type: ignore[arg-type]


def figures_v2(directory: Path, **changed: str | None) -> dict[str, Any]:
    for name, content in {**FILES_V2, **{name.replace("__", "."): text for name, text in changed.items()}}.items():
        if content is not None:
            (directory / name).write_text(content)
    (directory / "cgroup.procs").write_text("1\n2\n")
    return told(stats_v2.figures(str(directory), ("2MB", "1GB")))


def test_v2_in_the_names_of_v1(tmp_path):
    found = figures_v2(tmp_path)
    psi = {"some": {"avg10": 1.5, "avg60": 0.1, "avg300": 0.0, "total": 77},
           "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 5}}
    assert found["cpu"] == {"usage": {"total": 30000, "kernel": 20000, "user": 10000},
                            "throttling": {"periods": 4, "throttledPeriods": 3, "throttledTime": 2000}, "psi": psi}
    assert found["memory"] == {
        "cache": 4096, "usage": {"limit": 10000, "usage": 9000, "max": 9500, "failcnt": 0},
        "swap": {"limit": 12000, "usage": 9100, "failcnt": 0}, "kernel": {"limit": 0, "failcnt": 0},
        "kernelTCP": {"limit": 0, "failcnt": 0}, "raw": {"anon": 5, "file": 4096}}
    assert found["pids"] == {"current": 3}
    assert found["blkio"] == {
        "ioServiceBytesRecursive": [{"major": 8, "op": "Read", "value": 1}, {"major": 8, "op": "Write", "value": 2},
                                    {"major": 254, "minor": 16, "op": "Read"},
                                    {"major": 254, "minor": 16, "op": "Write"}],
        "ioServicedRecursive": [{"major": 8, "op": "Read", "value": 3}, {"major": 8, "op": "Write", "value": 4},
                                {"major": 254, "minor": 16, "op": "Read"}, {"major": 254, "minor": 16, "op": "Write"}]}
    assert found["hugetlb"] == {"2MB": {"usage": 4194304, "failcnt": 6}}
    assert set(found["cpuset"].values()) == {0} and len(found["cpuset"]) == 9
    assert (found["intel_rdt"], found["network_interfaces"]) == ({}, None)


def test_v2_without_limits_without_swap_accounting_without_controllers(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = figures_v2(tmp_path / "a", memory__max="max\n", memory__swap__current=None, memory__swap__max=None)
    assert found["memory"]["usage"]["limit"] == found["memory"]["swap"]["limit"] == UNLIMITED
    bare = figures_v2(tmp_path / "b", **{name.replace(".", "__"): None for name in FILES_V2 if name != "cpu.stat"})
    assert bare["pids"] == {"current": 2}, "counted by the list of processes"
    assert bare["memory"]["usage"] == {"limit": 0, "failcnt": 0} and "psi" not in bare["cpu"]
    assert bare["blkio"] == {} and bare["hugetlb"] == {}


def test_v1s_disks_by_the_first_group_of_files_that_has_a_device():
    files = {"blkio.bfq.io_serviced_recursive": "Total 0\n",
             "blkio.throttle.io_serviced_recursive": "8:0 Read 5\n8:0 Total 5\nTotal 5\n",
             "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\nTotal 4096\n"}
    found = stats_v1.blkio(lambda name: files.get(name, ""))
    assert [(one.op, one.value) for one in found.io_serviced_recursive] == [("Read", 5), ("Total", 5)]
    assert [(one.major, one.value) for one in found.io_service_bytes_recursive] == [(8, 4096)]
    assert stats_v1.blkio(lambda name: "").io_serviced_recursive == ()


@pytest.mark.parametrize("text, numbers", [("", ()), ("0\n", (0,)), ("0-2,7\n", (0, 1, 2, 7))])
def test_lists_of_the_kernel(text, numbers):
    assert listed(text) == numbers


@pytest.mark.parametrize("size, word", [(2 << 20, "2MB"), (1 << 30, "1GB"), (64 << 10, "64KB"), (16 << 30, "16GB")])
def test_the_names_of_huge_pages(size, word):
    assert size_name(size) == word


@pytest.mark.parametrize("file, value, content, back", [
    ("memory.max", "5", "max\n", "max"),
    ("cpu.max", "1 2", "max 100000\n", "max 100000"),
    ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "0"),
    ("io.max", "8:0 rbps=5", "8:0 rbps=7 wbps=max riops=max wiops=max\n", "8:0 rbps=7 wbps=max riops=max wiops=max"),
    ("io.max", "8:16 rbps=5", "8:0 rbps=7 wbps=max riops=max wiops=max\n",
     "8:16 rbps=max wbps=max riops=max wiops=max"),
    ("io.weight", "50", "default 100\n8:0 7\n", "100"),
    ("io.bfq.weight", "8:0 50", "default 100\n", "8:0 default"),
    ("blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"),
    ("blkio.throttle.read_bps_device", "8:0 5", "8:0 9\n", "8:0 9"),
    ("net_prio.ifpriomap", "eth0 5", "lo 0\neth0 3\n", "eth0 3"),
    ("cpuset.cpus", "0", "\n", ""),
])
def test_what_takes_a_change_back(file, value, content, back):
    assert present(file, value, content) == back
