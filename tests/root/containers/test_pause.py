"""Paused containers: what stands still, what is refused, and what ends them all the same."""

import os
import signal
from pathlib import Path

import pytest

from pydocker.containers import bundle, halted
from pydocker.errors import Conflict, Unavailable
from pydocker.model.container import ExecConfig, Status
from pydocker.monitor import reaper
from runtime import cgroups
from tests.root.containers.room import Room, fails, lives, wait_until
from tests.waiting import stop

COUNTING = ("sh", "-c", "while :; do echo x; sleep 0.01; done")


def test_a_paused_one_stands_still_until_it_goes_on(any_room: Room) -> None:
    id = any_room.start(*COUNTING)
    wait_until(lambda: any_room.log(id) != b"")
    any_room.containers.pause(id)
    state = any_room.containers.get(id).state
    assert (state.status, state.running, state.paused) == (Status.PAUSED, True, True)
    assert _frozen(state.pid)
    any_room.containers.resize(id, 1, 1)  # answered by a monitor that has read all that was written before
    said = any_room.log(id)
    assert any_room.another().get(id).state.paused, "a server that starts later has to know it, too"
    assert any_room.log(id) == said
    any_room.containers.unpause(id)
    wait_until(lambda: len(any_room.log(id)) > len(said))
    assert any_room.containers.get(id).state.status is Status.RUNNING


def test_what_a_paused_one_is_not_asked_for(room: Room) -> None:
    id = room.start("sleep", "100", name="still")
    session = room.containers.exec_create(id, ExecConfig(cmd=("true",)))
    assert str(fails(lambda: room.containers.unpause(id))) == f"Container {id} is not paused"
    room.containers.pause(id)
    wanted = "Container still is paused, unpause the container before exec"
    for call, words in (
            (lambda: room.containers.pause(id), f"Container {id} is already paused"),
            (lambda: room.containers.start(id), "cannot start a paused container, try unpause instead"),
            (lambda: room.containers.exec_create(id, ExecConfig(cmd=("true",))), wanted),
            (lambda: room.containers.exec_start(session, detach=True, tty=False), wanted),
            (lambda: room.attach(id), f"container {id} is paused, unpause the container before attach"),
            (lambda: room.containers.remove(id), f"You cannot remove a paused container {id}. Unpause and then stop "
                                                 "the container before attempting removal or force remove")):
        error = fails(call)
        assert (str(error), type(error)) == (words, Conflict)
    assert room.containers.get(id).state.paused


def test_a_monitor_that_is_stopped_when_it_has_been_looked_at(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, and does nothing later that nobody expects any more."""
    id = room.start("sleep", "100")
    monitor, look = room.monitor(id), halted.refuse

    def looked(run: Path, doing: str) -> None:
        look(run, doing)
        monkeypatch.setattr(halted, "refuse", look)
        stop(monitor)

    monkeypatch.setattr(halted, "refuse", looked)
    with pytest.raises(Unavailable, match=f"process {monitor}, is stopped"):
        room.containers.pause(id)
    os.kill(monitor, signal.SIGCONT)
    assert room.exec(id, "echo", "works")[1].rest().endswith(b"works\n")
    assert room.containers.get(id).state.status is Status.RUNNING


@pytest.mark.parametrize("verb", ["stop", "kill", "remove"])
def test_what_somebody_else_has_frozen_ends_too(any_room: Room, verb: str) -> None:
    id = any_room.start("sleep", "100")
    init = any_room.containers.get(id).state.pid
    cgroups.open(bundle.cgroup(any_room.containers.get(id).record)).freeze()
    match verb:
        case "stop":
            any_room.containers.stop(id, 0)
        case "kill":
            any_room.containers.kill(id)
        case _:
            any_room.containers.remove(id, force=True)
    assert not lives(init)


def test_what_somebody_else_has_frozen_ends_at_once_without_its_monitor(room: Room) -> None:
    """Who cleans up would wait ten seconds for a process that cannot die, and everybody's list with him."""
    id = room.start("sleep", "100")
    container = room.containers.get(id)
    cgroup = cgroups.open(bundle.cgroup(container.record))
    cgroup.freeze()
    os.kill(room.monitor(id), signal.SIGKILL)
    reaper.kill(container.state, cgroup)
    assert not lives(container.state.pid)
    wait_until(lambda: room.containers.get(id).state.exit_code == 137)


def test_one_that_does_not_run_cannot_be_paused(room: Room) -> None:
    id = room.create("true")
    assert str(fails(lambda: room.containers.pause(id))) == f"Container {id} is not running"
    assert str(fails(lambda: room.containers.unpause(id))) == f"Container {id} is not paused"


def test_stop_wakes_it_first(any_room: Room) -> None:
    id = any_room.start("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: any_room.log(id) == b"ready\n")
    any_room.containers.pause(id)
    any_room.containers.stop(id, 30)
    assert any_room.containers.get(id).state.exit_code == 9


@pytest.mark.parametrize("stop_signal", [None, "SIGTERM"])
def test_a_signal_waits_unless_it_is_meant_to_end_it(room: Room, stop_signal: str | None) -> None:
    """moby, daemon/kill.go: any signal wakes it, unless a stop signal was chosen and this is another one."""
    id = room.start("sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done",
                    stop_signal=stop_signal)
    wait_until(lambda: room.log(id) == b"ready\n")
    room.containers.pause(id)
    room.containers.kill(id, "HUP")
    assert room.containers.get(id).state.paused == (stop_signal is not None)
    if stop_signal:
        room.containers.unpause(id)
    wait_until(lambda: room.log(id).endswith(b"hup\n"))


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_it_is_killed_where_it_stands(any_room: Room, how: str) -> None:
    id = any_room.start("sleep", "100")
    any_room.containers.pause(id)
    if how == "kill":
        any_room.containers.kill(id)
        assert any_room.containers.get(id).state.exit_code == 137
    else:
        any_room.containers.remove(id, force=True)
        assert any_room.left() == []


def test_it_does_not_outlive_its_monitor(room: Room) -> None:
    id = room.start("sleep", "100")
    pid = room.containers.get(id).state.pid
    room.containers.pause(id)
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.status is Status.EXITED)
    assert not lives(pid)


def _frozen(pid: int) -> bool:
    """By the kernel's word: v1's freezer.state, or v2's cgroup.events."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        file = Path(f"/sys/fs/cgroup/freezer{path}/freezer.state")
        if "freezer" in controllers.split(","):
            return file.read_text() == "FROZEN\n"
        if number == "0" and (events := Path(f"/sys/fs/cgroup{path}/cgroup.events")).exists():
            return "frozen 1" in events.read_text()
    raise AssertionError(f"no freezer found for {pid}")
