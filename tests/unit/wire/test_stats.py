"""The document of a sample, from the figures of either version of cgroups."""

import msgspec

from pydocker.containers.stats import Sample, machine
from pydocker.wire.stats import stats
from runtime.cgroups.stats import (
    NO_ENTRY,
    UNLIMITED,
    Blkio,
    BlkioEntry,
    Cpu,
    CpuUsage,
    Memory,
    MemoryEntry,
    Pids,
    Stats,
    Throttling,
)


def sample(limit: int, taken: float = 1_700_000_000.5) -> Sample:
    memory = Memory(usage=MemoryEntry(limit=limit, usage=100, max=200, failcnt=3), swap=NO_ENTRY, kernel=NO_ENTRY,
                    kernel_tcp=NO_ENTRY, raw={"cache": 7})
    cpu = Cpu(usage=CpuUsage(total=30, percpu=(10, 20), kernel=5, user=25), throttling=Throttling(1, 2, 3))
    blkio = Blkio(io_service_bytes_recursive=(BlkioEntry(8, 0, "Read", 4096),))
    return Sample(taken=taken, system=1000, processors=2, machine_memory=1 << 30,
                  figures=Stats(memory=memory, cpu=cpu, pids=Pids(4, 9), blkio=blkio))


def test_a_sample_and_the_one_before() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(stats("id", "web", sample(64 << 20), sample(0, 1_700_000_000.0))))
    assert (shown["read"], shown["preread"]) == ("2023-11-14T22:13:20.500000000Z", "2023-11-14T22:13:20.000000000Z")
    assert shown["cpu_stats"] == shown["precpu_stats"] == {
        "cpu_usage": {"total_usage": 30, "percpu_usage": [10, 20], "usage_in_kernelmode": 5, "usage_in_usermode": 25},
        "system_cpu_usage": 1000, "online_cpus": 2,
        "throttling_data": {"periods": 1, "throttled_periods": 2, "throttled_time": 3}}
    assert shown["memory_stats"] == {"usage": 100, "max_usage": 200, "stats": {"cache": 7}, "failcnt": 3,
                                     "limit": 64 << 20}
    assert shown["blkio_stats"]["io_service_bytes_recursive"] == [{"major": 8, "minor": 0, "op": "Read", "value": 4096}]
    assert shown["blkio_stats"]["sectors_recursive"] == []
    assert (shown["pids_stats"], shown["name"], shown["id"]) == ({"current": 4, "limit": 9}, "/web", "id")


def test_no_limit_is_the_machines_memory() -> None:
    for limit in (0, UNLIMITED, 2**63 - 4096):
        assert stats("id", "web", sample(limit), None)["memory_stats"]["limit"] == 1 << 30  # type: ignore[index]


def test_one_that_does_not_run() -> None:
    shown = stats("id", "web", None, None)
    assert (shown["read"], shown["memory_stats"], shown["pids_stats"]) == ("0001-01-01T00:00:00Z", {}, {})


def test_the_machines_time() -> None:
    assert machine("cpu  1 2 3 4 5 6 7 800 900 1000\ncpu0 1 2\ncpu1 1 2\nintr 9\n") == (28 * 10**7, 2)
