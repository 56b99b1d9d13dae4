"""Exec sessions and their cgroups: who goes with whom."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pydocker.model.container import ExecConfig, HostConfig
from pydocker.model.image import Healthcheck
from pydocker.monitor import subgroups
from pydocker.monitor.launch import FILE, Launch
from pydocker.storage import documents
from runtime import cgroups
from runtime.cgroups import Hierarchy, Layout
from tests.root.containers.room import Room, descriptors, lives, wait_until

HIDES = "setsid sh -c 'sleep 1234; true' & echo begun; sleep 4321; true"  # a child that no signal to its parent meets


def whole(room: Room, id: str) -> cgroups.Cgroup:
    return cgroups.open(documents.read(room.paths.container_run(id) / FILE, Launch).cgroup)


def groups(room: Room, id: str) -> list[Path]:
    """The sessions' cgroups that are there."""
    return [found for place in whole(room, id).paths.values() for found in Path(place).glob("exec-*")]


def alone(room: Room, id: str) -> bool:
    """Whether nothing but its init is in the container."""
    return whole(room, id).processes() == [room.containers.get(id).state.pid]


def test_a_session_has_a_cgroup_of_its_own(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "cat", attach_stdin=True)
    wait_until(lambda: room.containers.exec_get(session).pid > 0)
    [group] = groups(room, id)
    assert group.name == f"exec-{session[:12]}"
    pid = str(room.containers.exec_get(session).pid)
    wait_until(lambda: (group / "cgroup.procs").read_text().split() == [pid])
    terminal.end_input()
    terminal.rest()
    wait_until(lambda: not groups(room, id))


def test_it_sees_its_cgroup_as_init_does(room: Room) -> None:
    """A program looks for its limits where /proc/self/cgroup says it is."""
    id = room.start("sleep", "100", host=HostConfig(memory=64 << 20))
    seen = room.exec(id, "cut", "-d:", "-f3", "/proc/self/cgroup")[1].rest()
    assert {*seen[8:].split()} == {b"/"}  # behind one frame's head: it is one write(2)
    if not whole(room, id).first:
        found = room.exec(id, "sh", "-c", "cat /sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup)/memory.max")[1].rest()
        assert found[8:] == b"67108864\n"


def test_one_that_may_write_cgroups_moves_processes_in_all_of_its_containers(room: Room) -> None:
    """As podman in a privileged container does; a cgroup namespace of its own would forbid it."""
    id = room.start("sleep", "100", host=HostConfig(privileged=True))
    place = "/sys/fs/cgroup/freezer/apart" if whole(room, id).first else "/sys/fs/cgroup/apart"
    script = f"mkdir {place} && echo $$ >{place}/cgroup.procs && grep -c /apart /proc/self/cgroup"
    assert room.exec(id, "sh", "-c", script)[1].rest()[8:] == b"1\n"


@pytest.mark.parametrize("tty", [False, True])
def test_it_ends_with_its_killed_client_and_all_that_it_has_started(room: Room, tty: bool) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", HIDES, tty=tty)
    terminal.until(b"begun")
    terminal.end.close()
    assert room.exec_ended(session).exit_code == 137
    wait_until(lambda: alone(room, id))
    assert room.exec(id, "echo", "on")[1].rest()  # whose end takes away what the kernel still held then
    wait_until(lambda: not groups(room, id))


def test_it_goes_on_without_a_client_that_detached_or_never_was(room: Room) -> None:
    id = room.start("sleep", "100")
    first, terminal = room.exec(id, "cat", tty=True, attach_stdin=True)
    terminal.send(b"x\r")
    terminal.until(b"x")
    terminal.send(b"\x10\x11")
    terminal.rest()
    second = room.containers.exec_create(id, ExecConfig(cmd=("sleep", "1234")))
    room.containers.exec_start(second, detach=True, tty=False)
    assert room.exec(id, "echo", "on")[1].rest()
    assert all(room.containers.exec_get(one).running for one in (first, second))
    room.containers.kill(id)
    assert [room.exec_ended(one).exit_code for one in (first, second)] == [137, 137]


def test_end_of_input_is_no_end_of_the_client(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", "cat; sleep 0.2; echo through", attach_stdin=True)
    terminal.end_input()
    assert b"through\n" in terminal.rest()
    assert room.exec_ended(session).exit_code == 0


def test_a_killed_monitors_sessions_have_ended(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sleep", "1234")
    waiting = room.containers.exec_create(id, ExecConfig(cmd=("true",)))
    wait_until(lambda: room.containers.exec_get(session).running)
    os.kill(room.monitor(id), signal.SIGKILL)
    assert terminal.rest() == b""
    ended = room.exec_ended(session)  # the first question since, and about the session alone
    assert (ended.running, ended.exit_code) == (False, 137)
    assert room.containers.exec_get(waiting).exit_code is None  # it never ran


@pytest.mark.parametrize("killed", [False, True])
def test_a_frozen_session_holds_up_nobodys_end(room: Room, killed: bool) -> None:
    """As a monitor leaves it that is killed while it kills one."""
    id = room.start("sleep", "100")
    init = room.containers.get(id).state.pid
    session, _ = room.exec(id, "sleep", "1234")
    wait_until(lambda: room.containers.exec_get(session).running)
    [group] = groups(room, id)
    first = (group / "freezer.state").exists()
    (group / ("freezer.state" if first else "cgroup.freeze")).write_text("FROZEN" if first else "1")
    if killed:
        os.kill(room.monitor(id), signal.SIGKILL)
    room.containers.remove(id, force=True)
    assert not lives(init)
    assert not group.exists()


def test_what_a_session_leaves_running_stays(room: Room) -> None:
    """It has ended by itself: as a shell that has put something into the background."""
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", "sleep 1234 >/dev/null 2>&1 & echo $!")
    terminal.rest()
    assert room.exec_ended(session).exit_code == 0
    assert len(whole(room, id).processes()) == 2
    pid = terminal.seen[8:].decode().strip()
    _, killing = room.exec(id, "kill", "-9", pid)
    killing.rest()
    wait_until(lambda: alone(room, id))
    room.exec(id, "true")[1].rest()
    wait_until(lambda: not groups(room, id))


def test_a_probe_whose_time_is_up_leaves_nothing(room: Room) -> None:
    check = Healthcheck(test=("CMD-SHELL", HIDES), timeout=10**8, interval=2 * 10**8)
    id = room.start("sleep", "100", healthcheck=check)

    def results() -> int:
        health = room.containers.get(id).state.health
        return len(health.log) if health else 0

    wait_until(lambda: results() >= 2)
    wait_until(lambda: alone(room, id))  # between two of them


def test_two_hundred_at_a_time(room: Room) -> None:
    id = room.start("sleep", "100")
    room.exec(id, "true")[1].rest()
    monitor = room.monitor(id)
    before = descriptors(monitor)
    with ThreadPoolExecutor(8) as pool:
        terminals = list(pool.map(lambda number: room.exec(id, "cat", attach_stdin=True), range(200)))
    assert len(groups(room, id)) == 200
    for number, (_, terminal) in enumerate(terminals):
        terminal.send(b"%d\n" % number)
        terminal.end_input()
    assert [terminal.rest()[8:] for _, terminal in terminals] == [b"%d\n" % number for number in range(200)]
    wait_until(lambda: all(room.containers.exec_get(session).exit_code == 0 for session, _ in terminals))
    wait_until(lambda: alone(room, id) and descriptors(monitor) <= before)
    room.exec(id, "true")[1].rest()
    wait_until(lambda: not groups(room, id))


def test_where_it_is_on_other_hosts() -> None:
    """Decided from the host's layout alone."""
    first = (Hierarchy(1, "/c/memory", ("memory",)), Hierarchy(1, "/c/freezer", ("freezer",)))
    second = Hierarchy(2, "/c/unified", ())
    for layout, asked, directory in ((Layout(first, second), "freezer:n", "/c/freezer/p/id/n"),
                                     (Layout(first), "freezer:n", "/c/freezer/p/id/n"),
                                     (Layout((), second), "n", "/c/unified/p/id/n")):
        found = subgroups.below(cgroups.open("/p/id", layout), "n")
        assert found is not None
        assert (found.asked, found.directory) == (asked, directory)
    assert subgroups.below(cgroups.open("/p/id", Layout(first[:1], second)), "n") is None
