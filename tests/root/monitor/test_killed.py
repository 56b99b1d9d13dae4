"""SIGKILL to the server, the spawner, a monitor, an init process:

the next question gets the truth, and nothing is left.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from pydocker.containers.options import WaitCondition
from pydocker.model.container import HostConfig, Status
from pydocker.storage import documents
from tests.root.containers.room import Room, lives, wait_until


def test_the_spawner_is_killed(own_room: Room) -> None:
    id = own_room.create("sh", "-c", "echo before; sleep 0.5; echo after; exit 4")
    waiter = own_room.containers.wait(id, WaitCondition.NEXT_EXIT)
    own_room.containers.start(id)
    assert own_room.spawner._process is not None
    os.kill(own_room.spawner._process.pid, signal.SIGKILL)
    assert waiter.result() == 4
    assert own_room.log(id) == b"before\nafter\n"
    assert own_room.run("echo", "again").out == b"again\n"  # by a new one


SERVER = """
import sys, time
from pathlib import Path
sys.path[:0] = [{checkout!r}]
from pydocker.config import Config
from pydocker.containers import Containers
from pydocker.images.store import ImageStore
from pydocker.model import container as model
from pydocker.monitor.spawner import Spawner
config = Config(data_root={data!r}, exec_root={run!r}, cgroup_parent={parent!r})
images = ImageStore(config.paths)
containers = Containers(config.paths, config, images, images.layers, Spawner(Path({log!r})))
asked = model.Config(image="busybox", cmd=("sh", "-c", "echo before; sleep 1; echo after; exit 5"))
id, _ = containers.create("survivor", asked, model.HostConfig(auto_remove={rm}), None)
containers.start(id)
print(id, flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("rm", [False, True])
def test_the_server_is_killed(room: Room, rm: bool) -> None:
    program = SERVER.format(checkout=str(Path(__file__).parents[3]), data=str(room.paths.data), run=str(room.paths.run),
                            parent=room.config.cgroup_parent, log=str(room.directory / "monitors.log"), rm=rm)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        id = server.stdout.readline().decode().strip()
        server.kill()
    assert room.containers.get("survivor").state.running
    assert room.containers.wait(id, WaitCondition.REMOVED if rm else WaitCondition.NOT_RUNNING).result() == 5
    if rm:
        assert room.left() == []
    else:
        assert room.log(id) == b"before\nafter\n"
        assert room.containers.get(id).state.exit_code == 5


@pytest.mark.parametrize("rm", [False, True])
def test_a_monitor_is_killed(any_room: Room, rm: bool) -> None:
    id = any_room.start("sleep", "1000", name="orphan", host=HostConfig(auto_remove=rm))
    init = any_room.containers.get(id).state.pid
    waiter = any_room.containers.wait(id)
    os.kill(any_room.monitor(id), signal.SIGKILL)
    assert waiter.result() == 137
    [state] = [one.state for one in any_room.containers.list(all=True)] or [None]
    if state is not None:
        assert (state.status, state.exit_code) == (Status.EXITED, 137)
    assert (state is None) == rm
    assert not lives(init)
    if not rm:
        any_room.containers.start(id)
        assert any_room.containers.get(id).state.running


def test_a_monitor_and_its_init_are_killed(room: Room) -> None:
    id = room.start("sleep", "1000")
    monitor, init = room.monitor(id), room.containers.get(id).state.pid
    os.kill(monitor, signal.SIGKILL)
    os.kill(init, signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.status is Status.EXITED)
    assert room.containers.get(id).state.exit_code == 137


def test_init_is_killed(room: Room) -> None:
    id = room.start("sleep", "1000")
    os.kill(room.containers.get(id).state.pid, signal.SIGKILL)
    assert room.containers.wait(id).result() == 137


def test_a_reused_pid_is_not_signalled(room: Room) -> None:
    """A state that names a pid which is somebody else's by now: this process's."""
    id = room.start("sleep", "1000")
    state = room.containers.get(id).state
    monitor = room.monitor(id)
    os.kill(monitor, signal.SIGKILL)
    os.kill(state.pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "100"]) as innocent:
        path = room.paths.container(id) / "state.json"
        wait_until(lambda: not lives(monitor))
        path.write_bytes(path.read_bytes().replace(b'"pid":%d' % state.pid, b'"pid":%d' % innocent.pid))
        assert room.containers.get(id).state.exit_code == 137
        assert innocent.poll() is None
        innocent.kill()


def test_a_stopped_monitor_hangs_nobody_else(room: Room) -> None:
    id = room.start("sleep", "1000")
    monitor = room.monitor(id)
    os.kill(monitor, signal.SIGSTOP)
    try:
        assert [one.record.id for one in room.containers.list(all=False)] == [id]
        assert room.run("echo", "x").out == b"x\n"
    finally:
        os.kill(monitor, signal.SIGCONT)


def test_after_a_reboot(room: Room) -> None:
    """The run root is empty, the state on the disk says that it runs."""
    id = room.create("true")
    running = room.containers.get(id).state
    documents.write(room.paths.container(id) / "state.json",
                    msgspec.structs.replace(running, status=Status.RUNNING, pid=1, start_time=1, started=time.time()))
    state = room.containers.get(id).state
    assert (state.status, state.exit_code) == (Status.EXITED, 255)


def test_recovery_finishes_what_a_crash_left(room: Room) -> None:
    (room.paths.temporary / "container-x").mkdir()
    (room.paths.temporary / "removed-y" / "upper").mkdir(parents=True)
    (room.paths.run / "containers" / ("f" * 64)).mkdir()
    os.symlink("f" * 64, room.paths.names / "stale")
    room.another().recover()
    id = room.create("true", name="stale")
    assert room.containers.get("stale").record.id == id
    room.containers.remove(id)
    assert room.left() == []
