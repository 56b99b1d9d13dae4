"""Resources to files, as data: every limit in v1's and v2's words, and what cannot be said is an error."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cgroups.files import files, ignored, placed
from runtime.cgroups.processor import weight
from runtime.cgroups.settings import Setting
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxResources

MIB = 1 << 20
ALL_V1 = {"memory", "cpu", "cpuset", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma"}
ALL_V2 = {"memory", "cpu", "cpuset", "pids", "io", "hugetlb", "rdma"}


def resources(document: dict[str, object]) -> LinuxResources:
    return msgspec.convert(document, LinuxResources)


def written(document: dict[str, object], version: int) -> list[tuple[str, str]]:
    return [(setting.file, setting.value) for setting in files(resources(document), version)]


@pytest.mark.parametrize("asked, v1, v2", [
    ({}, [], []),
    ({"memory": {"limit": 64 * MIB}},
     [("memory.limit_in_bytes", "67108864")],
     [("memory.max", "67108864")]),
    ({"memory": {"limit": 64 * MIB, "swap": 128 * MIB}},
     [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "134217728")],
     [("memory.max", "67108864"), ("memory.swap.max", "67108864")]),
    ({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}},
     [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "67108864")],
     [("memory.max", "67108864"), ("memory.swap.max", "0")]),
    ({"memory": {"limit": 64 * MIB, "swap": -1}},
     [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "-1")],
     [("memory.max", "67108864"), ("memory.swap.max", "max")]),
    ({"memory": {"limit": -1}},
     [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
     [("memory.max", "max"), ("memory.swap.max", "max")]),
    ({"memory": {"limit": 0, "swap": 0, "reservation": 0, "kernel": 0, "disableOOMKiller": False}}, [], []),
    ({"memory": {"reservation": 32 * MIB}},
     [("memory.soft_limit_in_bytes", "33554432")],
     [("memory.low", "33554432")]),
    ({"cpu": {"shares": 512}}, [("cpu.shares", "512")], [("cpu.weight", "59")]),
    ({"cpu": {"shares": 0, "quota": 0, "period": 0}}, [], []),
    ({"cpu": {"quota": 50000}}, [("cpu.cfs_quota_us", "50000")], [("cpu.max", "50000 100000")]),
    ({"cpu": {"quota": 50000, "period": 20000, "burst": 1000}},
     [("cpu.cfs_period_us", "20000"), ("cpu.cfs_quota_us", "50000"), ("cpu.cfs_burst_us", "1000")],
     [("cpu.max", "50000 20000"), ("cpu.max.burst", "1000")]),
    ({"cpu": {"quota": -1}}, [("cpu.cfs_quota_us", "-1")], [("cpu.max", "max 100000")]),
    ({"cpu": {"period": 20000}}, [("cpu.cfs_period_us", "20000")], [("cpu.max", "max 20000")]),
    ({"cpu": {"cpus": "0-1,3", "mems": "0"}},
     [("cpuset.cpus", "0-1,3"), ("cpuset.mems", "0")],
     [("cpuset.cpus", "0-1,3"), ("cpuset.mems", "0")]),
    ({"cpu": {"idle": 1, "shares": 512}}, [("cpu.idle", "1")], [("cpu.idle", "1")]),
    ({"pids": {"limit": 100}}, [("pids.max", "100")], [("pids.max", "100")]),
    ({"pids": {"limit": -1}}, [("pids.max", "max")], [("pids.max", "max")]),
    ({"pids": {"limit": 0}}, [], []),
    ({"blockIO": {"weight": 500}}, [("blkio.weight", "500")], [("io.bfq.weight", "500")]),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1000}]}},
     [("blkio.weight_device", "8:0 1000")], [("io.bfq.weight", "8:0 1000")]),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
                  "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}},
     [("blkio.throttle.read_bps_device", "8:0 1048576"), ("blkio.throttle.write_iops_device", "8:16 0")],
     [("io.max", "8:0 rbps=1048576"), ("io.max", "8:16 wiops=max")]),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]},
     [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
     [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")]),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}}},
     [("rdma.max", "mlx5_1 hca_handle=3 hca_object=100")], [("rdma.max", "mlx5_1 hca_handle=3 hca_object=100")]),
])
def test_a_wish_in_both_languages(asked, v1, v2):
    assert written(asked, 1) == v1
    assert written(asked, 2) == v2


@pytest.mark.parametrize("asked, v1, field", [
    ({"memory": {"swappiness": 0}}, [("memory.swappiness", "0")], "memory.swappiness"),
    ({"memory": {"disableOOMKiller": True}}, [("memory.oom_control", "1")], "memory.disableOOMKiller"),
    ({"cpu": {"realtimePeriod": 1000}}, [("cpu.rt_period_us", "1000")], "cpu.realtimePeriod"),
    ({"cpu": {"realtimeRuntime": 500}}, [("cpu.rt_runtime_us", "500")], "cpu.realtimeRuntime"),
    ({"blockIO": {"leafWeight": 100}}, [("blkio.leaf_weight", "100")], "blockIO.leafWeight"),
    ({"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]}},
     [("net_cls.classid", "1048577"), ("net_prio.ifpriomap", "eth0 5")], "network"),
])
def test_what_only_v1_can_do_is_ignored_on_v2_with_a_warning(asked, v1, field):
    assert written(asked, 1) == v1
    assert ignored(resources(asked), ALL_V1) == ()
    assert placed(resources(asked), set(), ALL_V2) == ((), ())
    assert ignored(resources(asked), ()) == (f"linux.resources.{field} is ignored: cgroup v2 has nothing like it",)


@pytest.mark.parametrize("memory", [{"kernel": MIB}, {"kernelTCP": MIB}, {"kernel": MIB, "kernelTCP": MIB}])
def test_kernels_no_longer_limit_their_own_memory(memory):
    for first, version in ((ALL_V1, 1), ((), 2)):
        assert ignored(resources({"memory": memory}), first) == (
            "Kernel memory settings are ignored and will be removed",)
        assert written({"memory": memory}, version) == []
    assert ignored(resources({"memory": {"kernel": -1, "kernelTCP": 0, "swappiness": 2**64 - 1}}), ()) == ()


@pytest.mark.parametrize("asked, version, chosen", [
    ({"blockIO": {"weight": 500}}, 1, Setting("blkio", "blkio.weight", "500", (("blkio.bfq.weight", "500"),))),
    ({"blockIO": {"weight": 500}}, 2, Setting("io", "io.bfq.weight", "500", (("io.weight", "4950"),))),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1000}]}}, 1,
     Setting("blkio", "blkio.weight_device", "8:0 1000", (("blkio.bfq.weight_device", "8:0 1000"),))),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1000}]}}, 2,
     Setting("io", "io.bfq.weight", "8:0 1000", (("io.weight", "8:0 10000"),), optional=True)),
    ({"memory": {"limit": -1}}, 1, Setting("memory", "memory.memsw.limit_in_bytes", "-1", optional=True)),
    ({"memory": {"limit": MIB, "swap": MIB}}, 2, Setting("memory", "memory.swap.max", "0", optional=True)),
    ({"memory": {"limit": MIB, "swap": -1}}, 2, Setting("memory", "memory.swap.max", "max", optional=True)),
    ({"memory": {"limit": MIB, "swap": 2 * MIB}}, 2, Setting("memory", "memory.swap.max", "1048576")),
    ({"memory": {"limit": MIB, "swap": 2 * MIB}}, 1, Setting("memory", "memory.memsw.limit_in_bytes", "2097152")),
    ({"cpu": {"burst": 5}}, 1, Setting("cpu", "cpu.cfs_burst_us", "5", optional=True)),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, 2,
     Setting("hugetlb", "hugetlb.2MB.rsvd.max", "0", optional=True)),
])
def test_where_the_kernel_lacks_a_file_it_is_another_or_none_as_with_runc(asked, version, chosen):
    assert msgspec.structs.replace(files(resources(asked), version)[-1], field="") == chosen


@pytest.mark.parametrize("asked, version, fields", [
    ({"cpu": {"quota": 500, "period": 10}}, 1, ["cpu.period", "cpu.quota"]),
    ({"cpu": {"quota": 500, "cpus": "9"}}, 2, ["cpu.cpus", "cpu"]),
    ({"memory": {"limit": MIB, "swap": MIB, "reservation": 5}}, 1,
     ["memory.limit", "memory.swap", "memory.reservation"]),
    ({"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}] * 2}}, 1,
     ["blockIO.throttleWriteIOPSDevice[0]", "blockIO.throttleWriteIOPSDevice[1]"]),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}}, 2,
     ["blockIO.throttleReadBpsDevice[0]"]),
    ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, 2, ["hugepageLimits[0]"] * 2),
    ({"unified": {"memory.max": "x"}, "rdma": {"mlx": {"hcaHandles": 1}}}, 2,
     ["rdma['mlx']", "unified['memory.max']"]),
])
def test_each_setting_knows_who_asked_for_it(asked, version, fields):
    assert [one.field for one in files(resources(asked), version)] == fields


def test_unified_is_written_literally():
    assert written({"unified": {"memory.high": "50M", "hugetlb.1GB.max": "0"}}, 2) == [
        ("memory.high", "50M"), ("hugetlb.1GB.max", "0")]


@pytest.mark.parametrize("asked, words", [
    ({"memory": {"limit": 64, "swap": 63}}, "memory and swap together"),
    ({"memory": {"limit": -2}}, r"memory.limit: -2 is no number of bytes"),
    ({"memory": {"reservation": -2}}, "memory.reservation: -2"),
    ({"memory": {"swap": 64}}, "a limit on swap needs a limit on memory"),
    ({"memory": {"limit": -1, "swap": 64}}, "a limit on swap needs a limit on memory"),
    ({"cpu": {"cpus": "0-1;rm"}}, "cpu.cpus: not a list"),
    ({"cpu": {"mems": "1-" + "9" * 5000}}, "cpu.mems: not a list"),
    ({"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}, "is not a size"),
    ({"unified": {"../memory.max": "1"}}, "is not a controller's file"),
    ({"unified": {"cgroup.kill": "1"}}, "is not a controller's file"),
    ({"unified": {"memory/x.max": "1"}}, "is not a controller's file"),
    ({"unified": {"memory.high": "1\n2"}}, "line ends"),
])
def test_nonsense_is_refused(asked, words):
    with pytest.raises(InvalidSpec, match=words):
        files(resources(asked), 2)


@pytest.mark.parametrize("shares, words", [(1, "minimum allowed cpu-shares is 2"),
                                           (262145, "maximum allowed cpu-shares is 262144")])
def test_shares_that_v1_would_silently_change(shares, words):
    with pytest.raises(InvalidSpec, match=words):
        files(resources({"cpu": {"shares": shares}}), 1)
    assert files(resources({"cpu": {"shares": shares}}), 2)


def test_swappiness_has_an_upper_end():
    with pytest.raises(InvalidSpec, match="invalid memory swappiness value: 101"):
        files(resources({"memory": {"swappiness": 101}}), 1)


@pytest.mark.parametrize("shares, expected", [(0, 1), (2, 1), (1024, 100), (262144, 10000), (1 << 40, 10000)])
def test_the_ends_and_the_default_of_both_scales_meet(shares, expected):
    assert weight(shares) == expected


@given(st.integers(2, 262144), st.integers(2, 262144))
def test_more_shares_are_never_less_weight(one, other):
    assert weight(min(one, other)) <= weight(max(one, other))
    assert 1 <= weight(one) <= 10000


def test_a_hybrid_host_gets_each_limit_where_its_controller_is():
    asked = resources({"memory": {"limit": MIB}, "hugepageLimits": [{"pageSize": "2MB", "limit": 0}]})
    first, second = placed(asked, {"memory", "name=systemd"}, {"hugetlb"})
    assert [setting.file for setting in first] == ["memory.limit_in_bytes"]
    assert [setting.file for setting in second] == ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"]


def test_what_v2_lacks_does_not_matter_where_v1_has_it():
    first, second = placed(resources({"memory": {"swappiness": 10}}), {"memory"}, {"cpu"})
    assert [setting.file for setting in first] == ["memory.swappiness"]
    assert second == ()


@pytest.mark.parametrize("asked, field", [
    ({"memory": {"limit": MIB}}, "memory"),
    ({"pids": {"limit": 5}}, "pids"),
    ({"cpu": {"shares": 5}}, "cpu"),
    ({"cpu": {"cpus": "0"}}, "cpu.cpus"),
    ({"blockIO": {"weight": 100}}, "blockIO"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "hugepageLimits"),
    ({"network": {"classID": 1}}, "network.classID"),
    ({"rdma": {"x": {"hcaHandles": 1}}}, "rdma"),
])
def test_a_missing_controller_is_an_error_only_if_it_is_needed(asked, field):
    document = resources(asked)
    with pytest.raises(InvalidSpec, match=rf"^\$\.linux\.resources\.{field}: this kernel has no cgroup controller"):
        placed(document, {"name=systemd"}, set())
    placed(document, ALL_V1, set())
    placed(resources({}), set(), set())


def test_unified_needs_a_v2_host():
    asked = resources({"unified": {"memory.high": "1"}})
    assert [setting.file for setting in placed(asked, set(), ALL_V2)[1]] == ["memory.high"]
    with pytest.raises(InvalidSpec, match="are cgroup v1's"):
        placed(asked, ALL_V1, {"hugetlb"})
