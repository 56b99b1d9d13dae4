"""What is told in events.jsonl: by the engine and by monitors, in Docker's order, also while no server runs."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from pydocker.containers.options import WaitCondition
from pydocker.events import follow, read
from pydocker.model.container import ExecConfig, HostConfig, Record
from pydocker.model.event import Event
from tests.root.containers.room import Room, wait_until


class Listener:
    """What happens to one container from now on."""

    def __init__(self, room: Room) -> None:
        self._path = room.paths.events
        self._since = time.time_ns()

    def of(self, id: str) -> list[Event]:
        return [one for one in read(self._path, self._since) if one.actor.id == id]

    def actions(self, id: str) -> list[str]:
        return [one.action for one in self.of(id)]


@pytest.fixture
def told(room: Room) -> Listener:
    return Listener(room)


def test_a_life_with_rm(room: Room, told: Listener) -> None:
    id = room.create("sh", "-c", "exit 3", name="short", host=HostConfig(auto_remove=True), labels={"tier": "front"})
    room.attach(id, stdout=True)
    waiter = room.containers.wait(id, WaitCondition.REMOVED)
    room.containers.start(id)
    assert waiter.result() == 3
    events = told.of(id)
    assert [one.action for one in events] == ["create", "attach", "start", "die", "destroy"]
    assert all(one.actor.attributes["name"] == "short" for one in events)
    die = events[3]
    assert (die.type, die.status, die.origin, die.scope) == ("container", "die", "busybox", "local")
    took = int(die.actor.attributes["execDuration"])  # whole seconds: none, where the machine has nothing else to do
    assert 0 <= took <= (die.nanoseconds - events[0].nanoseconds) / 10**9
    assert die.actor.attributes == {"tier": "front", "image": "busybox", "name": "short", "exitCode": "3",
                                    "execDuration": str(took)}


def test_one_that_is_removed_as_soon_as_it_is_there(room: Room, told: Listener,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    store = room.containers._store
    publish = store.publish

    def published(directory: Path, record: Record) -> None:
        publish(directory, record)
        room.another().remove(record.id)

    monkeypatch.setattr(store, "publish", published)
    assert told.actions(room.create("true")) == ["destroy", "create"]


def test_who_waits_for_longer_than_the_kernel_can(room: Room) -> None:
    ours, theirs = socket.socketpair()
    found = follow(room.paths.events, None, time.time_ns() + 2**40 * 10**9, ours)
    theirs.close()
    assert [*found] == []
    ours.close()


def test_stop_restart_kill_and_remove(room: Room, told: Listener) -> None:
    id = room.start("sleep", "100", name="first")
    room.containers.rename(id, "second")
    room.containers.restart(id, 0)
    room.containers.kill(id)
    room.containers.remove(id, force=True)
    assert told.actions(id) == ["create", "start", "rename", "kill", "kill", "die", "stop", "start", "restart", "kill",
                                "die", "destroy"]
    events = told.of(id)
    assert events[2].actor.attributes == {"image": "busybox", "name": "second", "oldName": "/first"}
    assert [one.actor.attributes["signal"] for one in events if one.action == "kill"] == ["15", "9", "9"]
    assert {one.actor.attributes["name"] for one in events[2:]} == {"second"}, "its monitor was told the old name"


def test_a_restart_is_not_the_end_that_rm_means(room: Room, told: Listener) -> None:
    id = room.start("sh", "-c", "echo x >>/file; cat /file; exec sleep 100", host=HostConfig(auto_remove=True))
    wait_until(lambda: room.log(id) == b"x\n")
    room.containers.restart(id, 0)
    wait_until(lambda: room.log(id).endswith(b"x\nx\n"), lambda: repr(room.log(id)))
    room.containers.stop(id, 0)
    assert room.left() == []
    assert told.actions(id) == ["create", "start", "kill", "kill", "die", "stop", "start", "restart", "kill", "kill",
                                "die", "destroy", "stop"]


def test_exec_pause_and_top(room: Room, told: Listener) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", "exit 3")
    terminal.rest()
    room.exec_ended(session)
    room.containers.pause(id)
    room.containers.kill(id, "HUP")
    room.containers.top(id, "")
    wait_until(lambda: "top" in told.actions(id))
    assert told.actions(id) == ["create", "start", "exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die",
                                "pause", "kill", "unpause", "top"]
    [die] = [one for one in told.of(id) if one.action == "exec_die"]
    assert (die.actor.attributes["execID"], die.actor.attributes["exitCode"]) == (session, "3")


def test_letting_go_by_the_detach_keys(room: Room, told: Listener) -> None:
    id = room.start("sleep", "100", tty=True, open_stdin=True)
    room.attach(id, stdin=True, stdout=True, detach_keys="ctrl-a,x").send(b"\x01x")
    wait_until(lambda: "detach" in told.actions(id))
    _, terminal = room.exec(id, "sleep", "100", tty=True, attach_stdin=True)
    terminal.send(b"\x10\x11")  # ctrl-p, ctrl-q
    wait_until(lambda: "exec_detach" in told.actions(id))
    assert told.actions(id)[2:5:2] == ["attach", "exec_create: sleep 100"]


def test_out_of_memory(room: Room, told: Listener) -> None:
    """The child is killed, its parent lives on: told at once, and not only at the end."""
    script = "dd if=/dev/zero of=/dev/null bs=64M; echo $?; exec sleep 100"
    id = room.start("sh", "-c", script, host=HostConfig(memory=16 << 20, memory_swap=16 << 20))
    wait_until(lambda: room.log(id, stderr=False) != b"")
    wait_until(lambda: "oom" in told.actions(id), lambda: f"{told.actions(id)} {room.log(id)!r}")
    assert told.actions(id)[:2] == ["create", "start"]
    assert "die" not in told.actions(id)


def test_a_killed_monitors_container_is_told_of(room: Room, told: Listener) -> None:
    id = room.start("sleep", "100", host=HostConfig(auto_remove=True))
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: not any(one.record.id == id for one in room.containers.list(all=True)))
    wait_until(lambda: told.actions(id) == ["create", "start", "die", "destroy"])
    assert told.of(id)[2].actor.attributes["exitCode"] == "137"


def test_a_detached_session_that_cannot_start_did_not_start(room: Room, told: Listener) -> None:
    id = room.start("sleep", "100")
    session = room.containers.exec_create(id, ExecConfig(cmd=("nosuch",)))
    with pytest.raises(Exception, match="executable file not found"):
        room.containers.exec_start(session, detach=True, tty=False)
    assert told.actions(id) == ["create", "start", "exec_create: nosuch"]
