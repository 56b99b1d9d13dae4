"""What a kernel has not: Docker warns and leaves it out."""

from pydocker.containers.discarding import Kernel, left
from pydocker.model.container import HostConfig

ASKED = HostConfig(oom_kill_disable=True, memory_swappiness=7, blkio_weight=100)


def test_a_kernel_that_has_none_of_it() -> None:
    kept, warnings = left(ASKED, Kernel(memory_v1=False, weights=False))
    assert kept == HostConfig()
    assert [line.split(".")[-2].strip() for line in warnings] == [
        "OomKillDisable discarded", "Memory swappiness discarded", "Weight discarded"]


def test_a_kernel_that_has_it_all() -> None:
    kept, warnings = left(ASKED, Kernel(memory_v1=True, weights=True))
    assert kept == ASKED and len(warnings) == 1 and "no memory limit is set" in warnings[0]
    assert left(HostConfig(memory_swappiness=-1), Kernel(memory_v1=False, weights=False))[1] == []
