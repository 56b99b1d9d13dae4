"""From create to remove, on a real kernel: exit codes, errors in Docker's words, and what is left (nothing)."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from pydocker.containers.options import CommitOptions, WaitCondition
from pydocker.errors import Conflict, InvalidParameter, NotFound, NotModified, PydockerError, StartFailed
from pydocker.model.container import Config, ContainerId, HostConfig, RestartPolicy, Status, Ulimit
from pydocker.monitor.launch import LOCK
from pydocker.storage import locks
from pydocker.upkeep.disk import prune_containers
from tests.root.containers.room import PATIENCE, Room, fails, wait_until
from tests.waiting import catches, stop

T = TypeVar("T")


def test_a_container_from_start_to_end(any_room: Room) -> None:
    ended = any_room.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ended.code, ended.out, ended.err) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize(("command", "code"), [
    ("true", 0), ("exit 255", 255),
    # A child, because init of a pid namespace is not hit by its own signals (pid_namespaces(7)).
    ("sh -c 'kill -9 $$'; exit $?", 137), ("sh -c 'kill $$; sleep 9'; exit $?", 143),
])
def test_exit_codes(room: Room, command: str, code: int) -> None:
    assert room.run("sh", "-c", command).code == code


def test_a_program_that_is_not_there_is_127(any_room: Room) -> None:
    id = any_room.create("no-such-program")
    error = fails(lambda: any_room.containers.start(id))
    assert isinstance(error, StartFailed)
    assert error.exit_code == 127
    assert "executable file not found in $PATH" in str(error)
    state = any_room.containers.get(id).state
    assert (state.status, state.exit_code) == (Status.CREATED, 127)
    assert "executable file not found" in state.error


def test_a_program_that_cannot_be_executed_is_126(any_room: Room) -> None:
    assert getattr(fails(lambda: any_room.start("/etc/passwd")), "exit_code", 0) == 126
    assert getattr(fails(lambda: any_room.start("/etc")), "exit_code", 0) == 126


def test_rm_removes_after_the_end(any_room: Room) -> None:
    id = any_room.create("sh", "-c", "exit 3", name="short", host=HostConfig(auto_remove=True))
    waiter = any_room.containers.wait(id, WaitCondition.REMOVED)
    any_room.containers.start(id)
    assert waiter.result() == 3
    assert str(fails(lambda: any_room.containers.get("short"))) == "No such container: short"
    assert any_room.left() == []


@contextlib.contextmanager
def immutable(room: Room, id: str) -> Iterator[None]:
    """A file that the container has written, deep in a directory."""
    upper = room.paths.container(id) / "upper"
    wait_until((upper / "d/e/f").exists)
    subprocess.run(("chattr", "+i", upper / "d/e/f"), check=True)
    try:
        yield
    finally:
        subprocess.run(("chattr", "-R", "-i", upper), check=True)


@pytest.mark.parametrize("rm", [False, True])
def test_what_cannot_be_deleted_leaves_it_dead_and_loses_nothing(room: Room, *, rm: bool) -> None:
    """As Docker: it is listed, by its name, and `rm` of it works as soon as it can. Only then has it been destroyed."""
    id = room.create("sh", "-c", "mkdir -p d/e; echo x >d/e/f; read x; exit 3", name="held", open_stdin=True,
                     stdin_once=True, volumes={"/v": {}}, host=HostConfig(auto_remove=rm))
    other = room.create("true", name="other")
    ended = room.containers.wait(id, WaitCondition.REMOVED if rm else WaitCondition.NEXT_EXIT)
    terminal = room.attach(id, stdin=True)
    room.containers.start(id)
    with immutable(room, id):
        terminal.end_input()
        said = str(fails(ended.result if rm else lambda: room.containers.remove(id) if ended.result() else None))
        assert re.fullmatch(f"remove container {id[:12]}: delete {room.paths.container(id)}/upper/.*/f: operation not "
                            "permitted: it is dead now, and can be removed when that can be deleted", said)
        state = room.containers.get("held").state
        assert (state.status, state.exit_code, state.error) == (Status.DEAD, 3, said.partition(": it is dead")[0])
        assert "marked for removal" in str(fails(lambda: room.containers.start("held")))
        for act in (room.containers.export, lambda ref: room.containers.commit(ref, None, CommitOptions()), room.log):
            assert "dead" in str(fails(lambda act=act: act(id))).lower()
        assert isinstance(fails(lambda: room.containers.rename(other, "held")), Conflict)
        assert prune_containers(room.images, room.containers, lambda one: True)[0] == [other]
        room.another().recover()  # nor does the next server's start lose it
        assert room.containers.get("held").state.status is Status.DEAD
        assert len([*room.paths.volumes.glob("*/_data")]) == 1
        assert happened(room, id)[-1] != "destroy"
    room.containers.remove("held", volumes=True)
    assert happened(room, id)[-1] == "destroy"
    assert [*room.paths.volumes.glob("*/_data")] == []


def happened(room: Room, id: str) -> list[str]:
    """What the events tell of it."""
    lines = map(json.loads, room.paths.events.read_text().splitlines())
    return [one["Action"] for one in lines if one["Actor"]["ID"] == id]


def test_rm_removes_what_could_not_be_started(room: Room) -> None:
    id = room.create("nope", host=HostConfig(auto_remove=True))
    waiter = room.containers.wait(id, WaitCondition.REMOVED)
    assert isinstance(fails(lambda: room.containers.start(id)), StartFailed)
    assert waiter.result() == 127
    assert room.left() == []


def test_start_of_a_running_one_changes_nothing(room: Room) -> None:
    id = room.start("sleep", "100")
    assert isinstance(fails(lambda: room.containers.start(id)), NotModified)


def test_it_can_be_started_again_and_keeps_its_files(room: Room) -> None:
    id = room.create("sh", "-c", "echo x >>/file; cat /file")
    for lines in (1, 2, 3):
        waiter = room.containers.wait(id, WaitCondition.NEXT_EXIT)
        room.containers.start(id)
        assert waiter.result() == 0
        assert room.log(id).count(b"x") == sum(range(lines + 1))


def test_stop_asks_first(room: Room) -> None:
    id = room.start("sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done")
    wait_until(lambda: catches(room.containers.get(id).state.pid, signal.SIGTERM))
    room.containers.stop(id, 10)
    assert room.containers.get(id).state.exit_code == 9
    assert isinstance(fails(lambda: room.containers.stop(id)), NotModified)


def test_stop_kills_what_does_not_listen(room: Room) -> None:
    id = room.start("sleep", "1000")
    room.containers.stop(id, 0)
    assert room.containers.get(id).state.exit_code == 137


@pytest.mark.parametrize("seconds", [2**31 // 1000 + 1, 2**63 - 1])
def test_more_patience_than_the_kernel_has(room: Room, seconds: int) -> None:
    id = room.start("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: b"ready" in room.log(id))
    room.containers.stop(id, seconds)
    assert room.containers.get(id).state.exit_code == 3


@pytest.mark.parametrize("verb", ["stop", "kill", "restart", "rm -f"])
def test_who_ends_one_that_is_being_started_waits_for_that(room: Room, verb: str) -> None:
    """It was told to go; an answer that it does not run, or must not be removed while it does, would leave it there."""
    containers, id = room.containers, room.create("sleep", "1000")
    end: Callable[[], None] = {
        "stop": lambda: containers.stop(id, 0), "kill": lambda: containers.kill(id, "KILL"),
        "restart": lambda: containers.restart(id, 0), "rm -f": lambda: containers.remove(id, force=True)}[verb]
    while_it_is_started(room, id, end)
    left = [one.state.status for one in containers.list(all=True)]
    assert left == {"restart": [Status.RUNNING], "rm -f": []}.get(verb, [Status.EXITED])


def test_who_asks_for_something_of_its_processes_waits_as_well(room: Room) -> None:
    def asked(verb: Callable[[str], T]) -> tuple[str, T]:
        id = room.create("sleep", "1000")
        return id, while_it_is_started(room, id, lambda: verb(id))

    assert asked(lambda id: room.exec(id, "echo", "works")[1])[1].rest().endswith(b"works\n")
    assert room.containers.get(asked(room.containers.pause)[0]).state.status is Status.PAUSED
    assert len(asked(lambda id: room.containers.top(id, ""))[1][1]) == 1
    with pytest.raises(PydockerError, match="is not paused"):
        asked(room.containers.unpause)


def test_an_ended_one_is_not_waited_for(room: Room) -> None:
    """Its monitor keeps its lock until the disk has what was written to the overlay. Only the next start needs that."""
    id = room.start("true")
    wait_until(lambda: not room.paths.container_run(id).exists())
    room.paths.container_run(id).mkdir()
    lock = locks.acquire(room.paths.container_run(id) / LOCK)
    assert lock is not None

    def asks() -> None:
        for verb in (room.containers.pause, room.containers.unpause, lambda id: room.containers.top(id, ""),
                     lambda id: room.exec(id, "true")):
            with pytest.raises(PydockerError, match=r"is not (running|paused)"):
                verb(id)
        room.containers.rename(id, "other")
        room.containers.remove(id)

    with ThreadPoolExecutor() as aside:
        try:
            aside.submit(asks).result(PATIENCE)
        finally:
            os.close(lock)
    assert not room.containers.list(all=True)


def while_it_is_started(room: Room, id: ContainerId, verb: Callable[[], T]) -> T:
    """Do this when a start of the container is under way, which comes no further until this waits for it."""
    lock = room.paths.container(id) / "lock"
    assert room.spawner._process is not None
    os.kill(room.spawner._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as both:
        try:
            starts = both.submit(room.containers.start, id)
            wait_until(lambda: locks.is_held(lock))
            asks = both.submit(verb)
            wait_until(lambda: waited_for(lock) or asks.done())
        finally:
            os.kill(room.spawner._process.pid, signal.SIGCONT)
        starts.result()
        return asks.result()


def test_a_spawner_that_somebody_has_stopped_is_woken(room: Room) -> None:
    """Whoever looks at a container whose monitor was killed needs it, too."""
    id = room.start("sleep", "1000", host=HostConfig(restart_policy=RestartPolicy("no")))
    assert room.spawner._process is not None
    stop(room.spawner._process.pid)
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: room.containers.get(id).state.status is Status.EXITED)
    stop(room.spawner._process.pid)
    assert room.run("echo", "works").out == b"works\n"


def waited_for(lock: Path) -> bool:
    """Whether somebody waits for it, who is shown with an arrow (proc_locks(5))."""
    inode = str(lock.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(line[1] == "->" and inode in [part.rpartition(":")[2] for part in line] for line in lines)


def test_kill_sends_any_signal(room: Room) -> None:
    id = room.start("sh", "-c", "trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: b"ready" in room.log(id))
    room.containers.kill(id, "USR1")
    assert room.containers.wait(id).result() == 4
    error = fails(lambda: room.containers.kill(id, "KILL"))
    assert str(error).endswith(f"container {id} is not running")
    assert isinstance(fails(lambda: room.containers.kill(id, "NOPE")), InvalidParameter)


def test_restart(room: Room) -> None:
    id = room.start("sleep", "1000")
    before = room.containers.get(id).state.pid
    room.containers.restart(id, 0)
    state = room.containers.get(id).state
    assert state.running
    assert state.pid != before


def test_a_name_in_use(room: Room) -> None:
    id = room.create("true", name="web")
    error = fails(lambda: room.create("true", name="web"))
    assert isinstance(error, Conflict)
    assert str(error) == (f'Conflict. The container name "/web" is already in use by container "{id}". You have to '
                          "remove (or rename) that container to be able to reuse that name.")
    room.containers.remove("web")
    room.create("true", name="web")


def test_rename(room: Room) -> None:
    id = room.start("sleep", "100", name="old", host=HostConfig(auto_remove=True))
    assert str(fails(lambda: room.containers.rename("old", "old"))).startswith("Renaming a container with the same")
    room.containers.rename("old", "new")
    assert room.containers.get("/new").record.id == id
    assert isinstance(fails(lambda: room.containers.get("old")), NotFound)
    room.containers.kill("new")  # --rm: its monitor knew only the old name
    assert room.left() == []


def test_a_running_one_is_not_removed(room: Room) -> None:
    id = room.start("sleep", "100")
    error = fails(lambda: room.containers.remove(id))
    assert str(error) == (f"You cannot remove a running container {id}. Stop the container before attempting "
                          "removal or force remove")
    room.containers.remove(id, force=True)
    assert isinstance(fails(lambda: room.containers.get(id)), NotFound)


def test_ids_can_be_shortened(room: Room) -> None:
    id = room.create("true")
    assert room.containers.get(id[:12]).record.id == room.containers.get(id[0]).record.id == id
    assert str(fails(lambda: room.containers.get("x"))) == "No such container: x"  # no name could be so short
    assert isinstance(fails(lambda: room.containers.get("ffffffffffff" if id[0] != "f" else "000000000000")), NotFound)


def test_list_shows_the_newest_first(room: Room) -> None:
    first, second = room.start("sleep", "100"), room.create("true")
    assert [one.record.id for one in room.containers.list(all=True)] == [second, first]
    assert [one.record.id for one in room.containers.list(all=False)] == [first]


@pytest.mark.parametrize(("host", "words"), [
    (HostConfig(memory=1 << 20), "Minimum memory limit allowed is 6MB"),
    (HostConfig(network_mode="nowhere"), "network nowhere not found"),
    (HostConfig(runtime="kata"), "unknown or invalid runtime name: kata"),
    (HostConfig(cap_add=("NOPE",)), 'unknown capability: "CAP_NOPE"'),
    (HostConfig(ulimits=(Ulimit("nofiles", 1, 1),)), "invalid ulimit type: nofiles"),
    (HostConfig(sysctls={"kernel.core_pattern": "|/x"}), "not allowed"),
    (HostConfig(cgroup_parent="../../x"), "invalid cgroup parent"),
])
def test_what_cannot_be(room: Room, host: HostConfig, words: str) -> None:
    error = fails(lambda: room.create("true", host=host))
    assert isinstance(error, InvalidParameter | NotFound)
    assert words in str(error)
    assert room.left() == []


def test_an_unknown_image(room: Room) -> None:
    error = fails(lambda: room.containers.create(None, Config(image="nope", cmd=("true",)), HostConfig(), None, {}))
    assert isinstance(error, NotFound)
    assert "No such image: nope:latest" in str(error)


def test_a_memory_limit_is_in_the_kernel_and_its_kill_is_told(room: Room) -> None:
    ended = room.run("sh", "-c", "x=a; while :; do x=$x$x; done", host=HostConfig(memory=16 << 20))
    assert ended.code == 137
    [container] = room.containers.list(all=True)
    assert container.state.oom_killed


def test_memory_with_swap_is_twice_the_memory_unless_told(room: Room) -> None:
    def swap(**limits: int) -> int:
        return room.containers.get(room.create("true", host=HostConfig(**limits))).record.host.memory_swap

    assert swap(memory=64 << 20) == 128 << 20
    assert swap(memory=64 << 20, memory_swap=64 << 20) == 64 << 20
    assert swap(memory=64 << 20, memory_swap=-1) == -1
    assert swap() == 0


def test_many_at_once(room: Room) -> None:
    codes: list[int] = []

    def one(number: int) -> None:
        codes.append(room.run("sh", "-c", f"exit {number}").code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


def test_an_invented_name_that_another_was_faster_to_take_is_invented_anew(
        room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    store, taken = room.containers._store, room.create("true")
    invent, invented = store.free_name, [store.record(taken).name]
    monkeypatch.setattr(store, "free_name", lambda: invented.pop() if invented else invent())
    other = room.create("true")
    assert not invented
    assert room.containers.get(store.record(other).name).record.id == other != taken


def test_only_one_of_many_starts_it(room: Room) -> None:
    id = room.create("sleep", "100")
    errors: list[str] = []

    def start() -> None:
        try:
            room.containers.start(id)
        except NotModified:
            errors.append("already")

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == ["already"] * 3


def test_the_environment(room: Room) -> None:
    out = room.run("env", env=("A=b", "PATH=/bin", "EMPTY="), hostname="web").out.decode().splitlines()
    assert {"A=b", "PATH=/bin", "EMPTY=", "HOSTNAME=web", "HOME=/root"} <= set(out)
    assert not any(line.startswith("TERM=") for line in out)


def test_the_working_directory_is_made(room: Room) -> None:
    assert room.run("pwd", working_dir="/not/yet/there").out == b"/not/yet/there\n"


@pytest.mark.parametrize(("user", "expected"), [
    ("", "uid=0(root) gid=0(root) groups=0(root)"), ("user", "uid=1000(user) gid=1000(user) groups=1000(user)"),
    ("1000", "uid=1000(user) gid=1000(user) groups=1000(user)"), ("4711", "uid=4711 gid=0(root) groups=0(root)"),
    ("4711:4712", "uid=4711 gid=4712 groups=4712"), ("user:root", "uid=1000(user) gid=0(root) groups=0(root)"),
])
def test_users(room: Room, user: str, expected: str) -> None:
    assert room.run("id", user=user).out.decode().strip() == expected


@pytest.mark.parametrize("user", [
    "nobody-here", "4294967296", "2147483648", "-1", "1x", "+1", " 1", "user:nogroup-here",
])
def test_users_that_are_not(room: Room, user: str) -> None:
    id = room.create("id", user=user)
    error = fails(lambda: room.containers.start(id))
    assert "unable to find" in str(error) or "must be in range" in str(error)


def test_a_passwd_that_is_a_trap(room: Room) -> None:
    """FIFO, device, link out of the root: never opened for good, never waited for (CVE-2024-9676)."""
    for trap in ("mkfifo /etc/passwd", "ln -s /dev/zero /etc/passwd", "ln -s /proc/self/environ /etc/passwd"):
        id = room.create("sh", "-c", f"rm -f /etc/passwd; {trap}", user="0")
        for _ in range(2):
            waiter = room.containers.wait(id, WaitCondition.NEXT_EXIT)
            room.containers.start(id)
            assert waiter.result() == 0


def test_files_of_the_engine_in_etc(room: Room) -> None:
    out = room.run("sh", "-c", "cat /etc/hostname /etc/hosts; hostname", hostname="web").out.decode()
    assert out.startswith("web\n127.0.0.1\tlocalhost\n")
    assert out.endswith("web\n")


def test_what_a_read_only_root_forbids(room: Room) -> None:
    script = "echo x >/file; echo $?; echo x >/dev/shm/file && echo shm"
    ended = room.run("sh", "-c", script, host=HostConfig(readonly_rootfs=True))
    assert ended.out == b"1\nshm\n"


def test_capabilities_and_no_new_privileges(room: Room) -> None:
    host = HostConfig(cap_drop=("ALL",), cap_add=("CHOWN",), security_opt=("no-new-privileges",))
    wanted = "CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs"
    out = room.run("grep", "-E", wanted, "/proc/self/status", host=host).out.decode().split()
    assert dict(zip(out[::2], out[1::2], strict=True)) == {
        "CapInh:": "0" * 16, "CapEff:": "0" * 15 + "1", "CapBnd:": "0" * 15 + "1", "CapAmb:": "0" * 16,
        "NoNewPrivs:": "1"}


def test_the_hosts_network_and_none(room: Room) -> None:
    own = room.run("readlink", "/proc/self/ns/net", host=HostConfig(network_mode="host")).out.decode().strip()
    assert own == os.readlink("/proc/self/ns/net")
    assert room.run("readlink", "/proc/self/ns/net").out.decode().strip() != own


def test_the_hosts_mount_table_never_changes(room: Room) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    room.start("sleep", "100")
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_tree_deeper_than_any_stack_is_removed(room: Room) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done"
    ended = room.run("sh", "-c", f"cd /; {script}")
    assert ended.code in (0, 1, 2)


def test_waits_before_during_and_after(room: Room) -> None:
    id = room.create("sh", "-c", "sleep 0.3; exit 5")
    assert room.containers.wait(id).result() == 0  # created: not running
    early = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    removed = room.containers.wait(id, WaitCondition.REMOVED)
    room.containers.start(id)
    during = room.containers.wait(id)
    assert (early.result(), during.result(), room.containers.wait(id).result()) == (5, 5, 5)
    room.containers.remove(id)
    assert removed.result() == 5


def test_busy_counts_who_is_still_there(room: Room) -> None:
    id = room.create("true")
    assert not room.containers.busy()
    terminal = room.attach(id)
    assert room.containers.busy()
    terminal.end.close()
    waiter = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    assert room.containers.busy()
    waiter.close()
    assert not room.containers.busy()
