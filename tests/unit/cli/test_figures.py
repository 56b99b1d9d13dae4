"""What a sample says: Docker's arithmetic, on v1's and on v2's figures."""

import msgspec
import pytest

from pydocker.cli import figures
from pydocker.client.answers import Cpu, CpuUsage, Memory, Sample

V1 = Sample(
    id="ab" * 32, name="/web", memory=Memory(usage=6 << 20, limit=64 << 20, stats={
        "total_inactive_file": 2 << 20, "inactive_file": 1 << 20}),
    cpu=Cpu(usage=CpuUsage(total=3_500_000_000), system=40 * 10**9, online=4),
    cpu_before=Cpu(usage=CpuUsage(total=1_500_000_000), system=36 * 10**9, online=4))


def test_a_row() -> None:
    assert figures.row("web", V1, whole=False) == {
        "Container": "web", "ID": "abababababab", "Name": "web", "CPUPerc": "200.00%", "MemUsage": "4MiB / 64MiB",
        "MemPerc": "6.25%", "NetIO": "0B / 0B", "BlockIO": "0B / 0B", "PIDs": "0"}
    assert figures.row("web", V1, whole=True)["ID"] == "ab" * 32
    assert figures.row("web", None, whole=False)["MemUsage"] == "-- / --"


@pytest.mark.parametrize(("stats", "used"), [
    ({"inactive_file": 1000}, 4000), ({"inactive_file": 6000}, 5000), ({}, 5000), (None, 5000)])
def test_memory_without_what_could_be_dropped(stats: dict[str, int] | None, used: int) -> None:
    assert figures.used_memory(Memory(usage=5000, limit=0, stats=stats)) == used


def test_a_processor_that_nobody_used() -> None:
    assert figures.processor_share(V1.cpu, V1.cpu) == 0.0
    assert figures.processor_share(Cpu(), V1.cpu) == 0.0


def test_bytes_of_block_devices_and_networks() -> None:
    sample = msgspec.json.decode(
        b'{"blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":4096},{"op":"read","value":1},'
        b'{"op":"Write","value":2000},{"op":"Total","value":9}]},'
        b'"networks":{"eth0":{"rx_bytes":1500,"tx_bytes":10},"eth1":{"rx_bytes":500}}}', type=Sample)
    row = figures.row("x", sample, whole=False)
    assert (row["BlockIO"], row["NetIO"]) == ("4.1kB / 2kB", "2kB / 10B")
