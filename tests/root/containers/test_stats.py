"""Figures that agree with the kernel's own."""

from pathlib import Path

from pydocker.containers.stats import Sample
from pydocker.model.container import Container, HostConfig
from tests.root.containers.room import Room, wait_until


def cgroup(container: Container, controller: str) -> Path:
    """The directory of its cgroup, where this controller is."""
    lines = Path(f"/proc/{container.state.pid}/cgroup").read_text().splitlines()
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controllers}{path}")
    [unified] = [line.split(":", 2)[2] for line in lines if line.startswith("0::")]
    return Path(f"/sys/fs/cgroup{unified}")


def numbers(directory: Path, *names: str) -> int:
    """The content of the first file that is there."""
    return int(next(directory / name for name in names if (directory / name).exists()).read_text())


def test_they_agree_with_the_cgroup(any_room: Room) -> None:
    id = any_room.start("sh", "-c", "sleep 100 & sleep 100 & echo ready; wait",
                        host=HostConfig(memory=64 << 20, pids_limit=20))
    wait_until(lambda: any_room.log(id) == b"ready\n")
    container = any_room.containers.get(id)
    wait_until(lambda: numbers(cgroup(container, "pids"), "pids.current") == 3)
    any_room.containers.pause(id)  # so that nothing changes between the two readings
    sample = any_room.containers.sample(container)
    assert sample is not None
    assert (sample.figures.pids.current, sample.figures.pids.limit) == (3, 20)
    memory = cgroup(container, "memory")
    assert sample.figures.memory.usage.limit == numbers(memory, "memory.limit_in_bytes", "memory.max") == 64 << 20
    usage = numbers(memory, "memory.usage_in_bytes", "memory.current")
    assert abs(sample.figures.memory.usage.usage - usage) < 1 << 20
    assert sample.figures.cpu.usage.total > 0


def test_a_busy_one_uses_a_processor(room: Room) -> None:
    id = room.start("sh", "-c", "while :; do :; done")
    container = room.containers.get(id)

    def sample() -> Sample:
        found = room.containers.sample(container)
        assert found is not None
        return found

    # The two figures of one sample are not of one moment: a sample each before the first and after the last.
    before, first = sample(), sample()
    wait_until(lambda: sample().figures.cpu.usage.total > first.figures.cpu.usage.total + 10**8)
    last, after = sample(), sample()
    used = last.figures.cpu.usage.total - first.figures.cpu.usage.total
    assert 10**8 < used <= after.system - before.system + 2 * 10**7  # /proc/stat counts in ticks of 10 ms
    assert last.taken > first.taken


def test_one_that_does_not_run_has_none(room: Room) -> None:
    id = room.create("true")
    assert room.containers.sample(room.containers.get(id)) is None
