"""Health checks that meet with something: a time limit that is over before the process is there, a pause, no fork."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from pydocker.errors import PydockerError
from pydocker.model.container import Health
from pydocker.model.image import Healthcheck
from pydocker.monitor.execs import Execs
from pydocker.monitor.happenings import Happenings
from pydocker.monitor.launch import FILE, Launch
from pydocker.monitor.loop import Loop
from pydocker.monitor.ociruntime import Runtime
from pydocker.storage import documents
from tests.root.containers.room import Room, descriptors, lives, wait_until

MILLISECOND = 10**6


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def probes(room: Room, id: str) -> list[int]:
    """The monitor's children beside the container's init: probes, or the runtime on its way to one."""
    return [pid for pid in children(room.monitor(id)) if pid != room.containers.get(id).state.pid and lives(pid)]


def health(room: Room, id: str) -> Health:
    return room.containers.get(id).state.health or Health()


def test_one_whose_time_is_up_before_it_has_a_process(room: Room) -> None:
    check = Healthcheck(test=("CMD", "sleep", "1234"), timeout=MILLISECOND, interval=200 * MILLISECOND)
    id = room.start("sleep", "100", healthcheck=check)
    wait_until(lambda: len(health(room, id).log) >= 2)
    wait_until(lambda: not probes(room, id))


def test_a_pause_says_nothing_of_the_health(room: Room) -> None:
    check = Healthcheck(test=("CMD-SHELL", "echo $$ > /probe; exec sleep 1234"), interval=20 * MILLISECOND)
    id = room.start("sleep", "100", healthcheck=check)
    number = room.paths.container(id) / "upper" / "probe"
    wait_until(lambda: number.exists() and bool(number.read_text()))
    first = number.read_text()
    room.containers.pause(id)
    room.containers.unpause(id)
    wait_until(lambda: number.read_text() not in ("", first))  # the next one came, at once
    wait_until(lambda: len(probes(room, id)) == 1)
    assert health(room, id) == Health()


class NoProcesses(Runtime):
    """A runtime on a machine that has no room for one more process."""

    def fork(self, words: Sequence[str], stdio: Sequence[int], keep: Sequence[int] = ()) -> int:
        raise PydockerError("fork a process for the OCI runtime: resource temporarily unavailable (fork(2))")


def test_a_fork_that_fails_leaves_no_descriptor(room: Room) -> None:
    id = room.start("sleep", "100")
    launch = documents.read(room.paths.container_run(id) / FILE, Launch)
    handler, wakeup = signal.getsignal(signal.SIGCHLD), signal.set_wakeup_fd(-1)
    try:
        loop = Loop()
        execs = Execs(launch, NoProcesses((), "", Path()), loop, lambda client: None, Happenings(launch))
        before, ended = descriptors(os.getpid()), list[int]()
        execs.run(("true",), lambda stream, data: None, lambda code, error: ended.append(code))
        loop.turn(wait=False)
        assert descriptors(os.getpid()) == before
        assert ended == [126]
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGCHLD, handler)
