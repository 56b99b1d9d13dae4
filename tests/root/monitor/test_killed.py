"""SIGKILL to the server, the spawner, a monitor, an init process:

the next question gets the truth, and nothing is left.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest

from pydocker.containers import bundle
from pydocker.containers.options import WaitCondition
from pydocker.model.container import ContainerId, HostConfig, RestartPolicy, State, Status
from pydocker.monitor.launch import FILE, LOCK
from pydocker.storage import documents
from pydocker.storage.trees import delete_tree
from runtime import cgroups
from runtime.linux import inotify, mounts
from runtime.linux.seccomp import take_descriptor
from tests.root.containers.room import Room, fails, lives, wait_until
from tests.waiting import stop


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
from pydocker.network.service import Networks
config = Config(data_root={data!r}, exec_root={run!r}, cgroup_parent={parent!r}, bridge={bridge!r})
images = ImageStore(config.paths)
containers = Containers(config.paths, config, images, images.layers, Spawner(Path({log!r})),
                        Networks(config.paths, config))
script = "echo before; until [ -e /go ]; do sleep 0.1; done; echo after; exit 5"
asked = model.Config(image="busybox", cmd=("sh", "-c", script))
id, _ = containers.create("survivor", asked, model.HostConfig(auto_remove={rm}), None, {{}})
containers.start(id)
print(id, flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("rm", [False, True])
def test_the_server_is_killed(room: Room, rm: bool) -> None:
    program = SERVER.format(checkout=str(Path(__file__).parents[3]), data=str(room.paths.data), run=str(room.paths.run),
                            parent=room.config.cgroup_parent, bridge=room.config.bridge,
                            log=str(room.directory / "monitors.log"), rm=rm)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        id = server.stdout.readline().decode().strip()
        server.kill()
    assert room.containers.get("survivor").state.running
    waiter = room.containers.wait(id, WaitCondition.REMOVED if rm else WaitCondition.NOT_RUNNING)
    room.exec(id, "touch", "/go")
    assert waiter.result() == 5
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


def policy(name: str, most: int = 0) -> HostConfig:
    return HostConfig(restart_policy=RestartPolicy(name, most))


@pytest.mark.parametrize("name", ["always", "unless-stopped", "on-failure"])
def test_a_killed_monitors_container_runs_again_by_its_policy(room: Room, name: str) -> None:
    id = room.start("sh", "-c", "echo begun; sleep 1000", host=policy(name))
    before = room.containers.get(id).state
    wait_until(lambda: room.log(id) == b"begun\n")
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.status is Status.RUNNING
               and room.containers.get(id).state.pid != before.pid)
    assert not lives(before.pid)
    assert room.containers.get(id).state.restarts == 1
    wait_until(lambda: room.log(id) == b"begun\nbegun\n")
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.restarts == 2)
    wait_until(lambda: room.containers.get(id).state.status is Status.RUNNING)
    room.containers.stop(id, 0)
    assert room.containers.get(id).state.status is Status.EXITED


def test_a_policy_counts_killed_monitors_too(room: Room) -> None:
    id = room.start("sleep", "1000", host=policy("on-failure", 1))
    for _ in range(2):
        wait_until(lambda: room.containers.get(id).state.status is Status.RUNNING)
        os.kill(room.monitor(id), signal.SIGKILL)
        wait_until(lambda: room.containers.get(id).state.status is not Status.RUNNING)
    state = room.containers.get(id).state
    assert (state.status, state.exit_code, state.restarts) == (Status.EXITED, 137, 1)


def test_the_next_monitor_counts_on(room: Room) -> None:
    id = room.start("sleep", "1000", host=policy("on-failure", 2))
    init = 0
    for restarts in range(3):
        wait_until(lambda init=init: room.containers.get(id).state.pid not in (0, init))
        init = room.containers.get(id).state.pid
        assert room.containers.get(id).state.restarts == restarts
        os.kill(init if restarts else room.monitor(id), signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.status is Status.EXITED)
    assert room.containers.get(id).state.restarts == 2


def without_monitor(room: Room, restarts: int) -> ContainerId:
    """One whose next run nobody has come to yet: the delay is long by now."""
    id = room.start("sleep", "1000", host=policy("always"))
    monitor, path = room.monitor(id), room.paths.container(id) / "state.json"
    state = msgspec.structs.replace(documents.read(path, State), restarts=restarts)
    documents.write(path, state)
    os.kill(monitor, signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.restarting)
    return id


def test_one_that_waits_without_a_monitor_is_stopped_killed_and_removed_at_once(room: Room) -> None:
    for end in (lambda id: room.containers.stop(id, 0), room.containers.kill):
        id = without_monitor(room, restarts=20)
        end(id)
        state = room.containers.get(id).state
        assert (state.status, state.exit_code, state.stopped) == (Status.EXITED, 137, True)
        room.containers.start(id)
        assert room.containers.get(id).state.restarts == 0
    id = without_monitor(room, restarts=20)
    assert "You cannot remove a restarting container" in str(fails(lambda: room.containers.remove(id)))
    room.containers.remove(id, force=True)
    assert str(fails(lambda: room.containers.get(id))) == f"No such container: {id}"


def test_the_next_server_starts_what_the_last_one_could_not(room: Room) -> None:
    id = without_monitor(room, restarts=20)
    path = room.paths.container(id) / "state.json"
    documents.write(path, msgspec.structs.replace(documents.read(path, State), restarts=1))
    another = room.another()
    another.recover()
    wait_until(lambda: documents.read(path, State).status is Status.RUNNING)
    wait_until(lambda: not another.busy())


def test_what_cannot_be_started_again_is_at_rest(room: Room) -> None:
    id = without_monitor(room, restarts=20)
    path = room.paths.container(id) / "state.json"
    documents.write(path, msgspec.structs.replace(documents.read(path, State), restarts=1))
    (room.paths.container(id) / "work").rename(room.paths.container(id) / "away")
    room.another().get(id)
    wait_until(lambda: documents.read(path, State).status is Status.EXITED)
    assert "no such file" in room.containers.get(id).state.error.lower()
    (room.paths.container(id) / "away").rename(room.paths.container(id) / "work")


def test_a_killed_monitor_is_noticed_without_a_question(room: Room) -> None:
    """By a server: here, by what it does once a second."""
    ids = [room.start("sleep", "1000", host=policy(name)) for name in ("no", "always")]
    pids = [room.containers.get(id).state.pid for id in ids]
    watching = room.another()
    watching.watch()
    for id in ids:
        os.kill(room.monitor(id), signal.SIGKILL)
    states = [room.paths.container(id) / "state.json" for id in ids]
    wait_until(lambda: documents.read(states[0], State).status is Status.EXITED)
    wait_until(lambda: documents.read(states[1], State).pid not in (0, pids[1]))
    watching.close()
    assert not any(map(lives, pids))


def test_what_a_stranger_put_beside_the_run_directories_stays(room: Room) -> None:
    """A copy of one, say: it has a launch document and no monitor, and yet nobody's removal was left half done."""
    copy = room.paths.run / "containers/copy"
    copy.mkdir()
    (copy / FILE).write_text("precious")
    watching = room.another()
    watching.watch()
    try:
        for _ in range(2):  # whoever sees the second one has looked at everything after the first
            id = room.start("sleep", "1000")
            os.kill(room.monitor(id), signal.SIGKILL)
            path = room.paths.container(id) / "state.json"
            wait_until(lambda path=path: documents.read(path, State).status is Status.EXITED)  # type: ignore[misc]
        assert (copy / FILE).read_text() == "precious"
    finally:
        watching.close()
        delete_tree(copy)


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
        wait_until(lambda: room.containers.get(id).state.exit_code == 137)  # a moment after its monitor: its midwife
        assert innocent.poll() is None
        innocent.kill()


def test_a_stopped_monitor_hangs_nobody_else(room: Room) -> None:
    id = room.start("sleep", "1000")
    monitor = room.monitor(id)
    stop(monitor)
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


def test_what_cannot_be_deleted_prevents_no_recovery(room: Room) -> None:
    left = room.paths.temporary / "removed-y"
    (left / "upper").mkdir(parents=True)
    mounts.mount("tmpfs", str(left / "upper"), "tmpfs", 0, None)
    room.another().recover()
    assert left.exists()
    mounts.umount2(str(left / "upper"), 0)
    room.another().recover()
    assert not left.exists()


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


@pytest.mark.parametrize("stranger", ["removed", "removed-", "removed-.", "removed-.."])
def test_recovery_deletes_no_run_directory_for_what_is_no_containers(room: Room, stranger: str) -> None:
    id = room.start("sleep", "100")
    (room.paths.temporary / stranger).mkdir()
    room.another().recover()
    assert room.containers.get(id).state.running
    assert room.exec(id, "echo", "well")[1].rest().endswith(b"well\n")
    with suppress(FileNotFoundError):
        (room.paths.temporary / stranger).rmdir()


@pytest.mark.parametrize("policy", ["no", "always"])
@pytest.mark.parametrize("verb", ["stop", "kill", "rm -f"])
def test_who_ends_it_waits_until_a_dying_monitor_is_dead(room: Room, verb: str, policy: str) -> None:
    """A dying process closes its descriptors one by one: nobody answers any more, and the lock is still held. Here a
    copy holds it."""
    id = room.start("sleep", "100", host=HostConfig(restart_policy=RestartPolicy(policy)))
    monitor, lock = room.monitor(id), room.paths.container_run(id) / LOCK
    with ExitStack() as held, ThreadPoolExecutor() as other:
        held.callback(os.close, copied(monitor, lock))
        os.kill(monitor, signal.SIGKILL)
        wait_until(lambda: not lives(monitor))
        looks = inotify.watch(lock, inotify.IN_CLOSE_NOWRITE)
        ends = other.submit(removed, room, id, verb)
        for _ in range(20):  # it looks again and again; what nobody has heard yet, the kernel tells as one
            wait_until(lambda: ends.done() or heard(looks))
        os.close(looks)
        held.close()
        ends.result()
    assert room.left() == []


def removed(room: Room, id: ContainerId, verb: str) -> None:
    """What must not run then is removed at once."""
    if verb == "stop":
        room.containers.stop(id, 0)
    elif verb == "kill":
        room.containers.kill(id, "KILL")
    room.containers.remove(id, force=verb == "rm -f")


def copied(pid: int, file: Path) -> int:
    """A copy of its descriptor for this file."""
    number = next(number for number in os.listdir(f"/proc/{pid}/fd") if opened(pid, number) == str(file))
    process = os.pidfd_open(pid)
    try:
        return take_descriptor(process, int(number))
    finally:
        os.close(process)


def opened(pid: int, number: str) -> str:
    """What it is; "" if it has been closed meanwhile."""
    with suppress(FileNotFoundError):
        return os.readlink(f"/proc/{pid}/fd/{number}")
    return ""


def heard(watch: int) -> bool:
    with suppress(BlockingIOError):
        return bool(os.read(watch, 4096))
    return False


def test_who_removes_it_at_the_moment_at_which_its_monitor_is_killed_cleans_up(room: Room) -> None:
    """Whoever holds the container's lock: there is nobody else then."""
    id = room.start("sleep", "100")
    container = room.containers.get(id)
    os.kill(room.monitor(id), signal.SIGKILL)
    room.containers.remove(id, force=True)
    assert not lives(container.state.pid)
    assert not [path for path in cgroups.open(bundle.cgroup(container.record)).paths.values() if os.path.exists(path)]
