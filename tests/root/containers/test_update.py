"""Other limits: in the kernel at once, in the record for the next start, and in neither if one of them is refused."""

import os
import signal

import pytest

from pydocker.containers.options import WaitCondition
from pydocker.errors import Conflict, PydockerError
from pydocker.events import read
from pydocker.model.container import HostConfig, RestartPolicy, Status
from pydocker.model.limits import Update
from tests.root.containers.room import Room, fails, wait_until
from tests.root.containers.test_stats import cgroup, numbers

M = 1 << 20


def limit(room: Room, id: str) -> int:
    return numbers(cgroup(room.containers.get(id), "memory"), "memory.limit_in_bytes", "memory.max")


def test_a_running_one_has_them_at_once_and_after_the_next_start(any_room: Room) -> None:
    id = any_room.start("sleep", "100", host=HostConfig(memory=64 * M, pids_limit=50))
    change = Update(memory=32 * M, pids_limit=20, cpu_shares=512, nano_cpus=5 * 10**8, cpuset_cpus="0")
    assert any_room.containers.update(id, change) == []
    for _ in range(2):
        container = any_room.containers.get(id)
        assert limit(any_room, id) == 32 * M
        assert numbers(cgroup(container, "pids"), "pids.max") == 20
        assert (cgroup(container, "cpuset") / "cpuset.cpus").read_text() == "0\n"
        host = container.record.host
        assert (host.memory, host.pids_limit, host.cpu_shares, host.nano_cpus) == (32 * M, 20, 512, 5 * 10**8)
        any_room.containers.restart(id, 0)
    any_room.containers.update(id, Update(pids_limit=-1))
    assert (cgroup(any_room.containers.get(id), "pids") / "pids.max").read_text() == "max\n"


def test_one_that_does_not_run_has_them_when_it_starts(room: Room) -> None:
    id = room.create("sleep", "100")
    room.containers.update(id, Update(memory=32 * M, memory_swap=64 * M))
    room.containers.start(id)
    assert limit(room, id) == 32 * M


def test_a_paused_one_takes_them_too(room: Room) -> None:
    id = room.start("sleep", "100", host=HostConfig(memory=64 * M))
    room.containers.pause(id)
    room.containers.update(id, Update(memory=32 * M))
    assert limit(room, id) == 32 * M
    assert room.containers.get(id).state.paused


def test_what_is_refused_changes_nothing(room: Room) -> None:
    id = room.start("sleep", "100", host=HostConfig(memory=64 * M, cpu_shares=100))
    before = room.containers.get(id).record
    error = fails(lambda: room.containers.update(id, Update(memory=200 * M, cpu_shares=200)))
    assert isinstance(error, Conflict)
    assert str(error).startswith(f"Cannot update container {id}: Memory limit should be smaller than already set")
    assert room.containers.get(id).record == before
    assert limit(room, id) == 64 * M


def test_what_the_kernel_refuses_changes_nothing(room: Room) -> None:
    id = room.start("sleep", "100", host=HostConfig(cpu_shares=100))
    container = room.containers.get(id)
    cpu = cgroup(container, "cpu")
    if not (cpu / "cpu.rt_runtime_us").exists():
        pytest.skip("there is no limit here that the kernel refuses, and we do not")
    refused = fails(lambda: room.containers.update(id, Update(cpu_shares=300, cpu_realtime_runtime=900_000)))
    assert str(refused).startswith(f"Cannot update container {id}: OCI runtime update failed: ")
    assert room.containers.get(id).record == container.record
    assert numbers(cpu, "cpu.shares") == 100


def test_it_is_told_of(room: Room) -> None:
    id = room.create("true")
    room.containers.update(id, Update(cpu_shares=10))
    with pytest.raises(PydockerError, match="6MB"):
        room.containers.update(id, Update(memory=1))
    assert [one.action for one in read(room.paths.events, 0) if one.actor.id == id] == ["create", "update"]


def test_one_that_its_policy_starts_again_has_them_then(room: Room) -> None:
    id = room.start("sh", "-c", "read x; exit 1", open_stdin=True,
                    host=HostConfig(memory=64 * M, restart_policy=RestartPolicy(name="always")))
    first = room.containers.get(id).state.pid
    room.containers.update(id, Update(memory=32 * M))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.pid not in (0, first))
    assert limit(room, id) == 32 * M


def test_one_that_waits_for_its_next_run(room: Room) -> None:
    id = room.create("sh", "-c", "[ -e /again ] && exec sleep 100; touch /again; exit 1",
                     host=HostConfig(memory=64 * M, restart_policy=RestartPolicy(name="always")))
    ended = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    room.containers.start(id)
    ended.result()
    room.containers.update(id, Update(memory=32 * M))
    wait_until(lambda: room.containers.get(id).state.pid > 0)
    assert limit(room, id) == 32 * M


def test_without_a_policy_any_more_it_stays_ended(room: Room) -> None:
    id = room.create("false", host=HostConfig(restart_policy=RestartPolicy(name="always")))
    ended = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    room.containers.start(id)
    ended.result()
    room.containers.update(id, Update(restart_policy=RestartPolicy(name="no")))
    wait_until(lambda: not room.containers.get(id).state.running)
    state = room.containers.get(id).state
    assert (state.status, state.exit_code) == (Status.EXITED, 1)
