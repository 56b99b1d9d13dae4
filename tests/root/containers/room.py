"""The engine's containers without a server around them: `Containers` in this process, a real spawner, real monitors."""

import calendar
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydocker.config import Config as EngineConfig
from pydocker.containers import Containers
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.errors import PydockerError
from pydocker.images.importing import import_
from pydocker.images.store import ImageStore
from pydocker.model.container import (
    Config,
    Container,
    ContainerId,
    ExecConfig,
    ExecSession,
    HostConfig,
    RestartPolicy,
)
from pydocker.model.reference import parse
from pydocker.monitor.attach import Attachment
from pydocker.monitor.spawner import Spawner
from pydocker.network.service import Networks
from pydocker.wire.stdcopy import Reader
from tests.engine import busybox_archive

PATIENCE = 60.0


@dataclass(frozen=True)
class Ended:
    """How a container ended, and what it said."""

    code: int
    out: bytes
    err: bytes


class Terminal:
    """The client's end of an attached connection."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.end.settimeout(PATIENCE)
        self.seen = b""

    def send(self, data: bytes) -> None:
        self.end.sendall(data)

    def end_input(self) -> None:
        self.end.shutdown(socket.SHUT_WR)

    def until(self, words: bytes) -> bytes:
        """Read until `words` were seen."""
        while words not in self.seen:
            piece = self.end.recv(65536)
            assert piece, f"the connection ended before {words!r}; seen: {self.seen!r}"
            self.seen += piece
        return self.seen

    def rest(self) -> bytes:
        """Read to the end."""
        while piece := self.end.recv(1 << 20):
            self.seen += piece
        self.end.close()
        return self.seen


class Room:
    """One pair of roots."""

    def __init__(self, directory: Path, token: str, runtime: str = "pydocker-runtime") -> None:
        self._ends: list[socket.socket] = []
        self._networks: list[Networks] = []  # of all views
        self.directory = Path(tempfile.mkdtemp(dir=directory))
        self.config = EngineConfig(data_root=str(self.directory / "data"), exec_root=str(self.directory / "run"),
                                   default_runtime=runtime, cgroup_parent=f"/{token}",
                                   bridge=f"pd-{self.directory.name}"[:15])
        self.paths = self.config.paths
        self.paths.make()
        self.images = ImageStore(self.paths)
        import_(self.images, iter([busybox_archive()]), parse("busybox:latest"))
        self.spawner = Spawner(self.directory / "monitors.log")
        self.containers = self.another()

    def another(self) -> Containers:
        """A second view of the same roots, as a server that was started later has it."""
        networks = Networks(self.paths, self.config)
        self._networks.append(networks)
        return Containers(self.paths, self.config, self.images, self.images.layers, self.spawner, networks)

    def restarted(self) -> Containers:
        """The same, after it has made good what another left half done."""
        found = self.another()
        self._networks[-1].recover()
        found.recover()
        return found

    @property
    def networks(self) -> Networks:
        return self._networks[0]

    def close(self) -> None:
        """Remove everything; whatever file is left behind then is a leak, and whatever a monitor complained about a
        bug.
        """
        self.clear()
        subprocess.run(("ip", "link", "delete", self.config.bridge), capture_output=True, check=False)
        self.spawner.close()
        for networks in self._networks:
            networks.close()
        wait_until(lambda: not self.left(), lambda: f"left behind: {self.left()}")
        complaints = (self.directory / "monitors.log").read_text()
        assert not complaints, complaints

    def left(self) -> list[str]:
        """Files that belong to containers."""
        places = (self.paths.containers, self.paths.names, self.paths.temporary, self.paths.runtime,
                  self.paths.run / "containers")
        return [str(path) for place in places for path in place.iterdir() if path.name not in (".lock", "@seccomp")]

    def create(self, *argv: str, name: str | None = None, host: HostConfig | None = None, **config: Any) -> ContainerId:
        asked = Config(image="busybox", cmd=argv or None, **config)
        return self.containers.create(name, asked, host or HostConfig(), None, {})[0]

    def start(self, *argv: str, **options: Any) -> ContainerId:
        id = self.create(*argv, **options)
        self.containers.start(id)
        return id

    def restarting(self) -> ContainerId:
        """One that waits for its next run, for 0.4 seconds or more."""
        id = self.start("false", host=HostConfig(restart_policy=RestartPolicy("always")))

        def waits() -> bool:
            state = self.containers.get(id).state
            return state.restarting and state.restarts >= 2

        wait_until(waits)
        return id

    def program(self, *argv: str, **options: Any) -> ContainerId:
        """Start one that has become its program: until execve(2) its process is the runtime's."""
        id = self.start(*argv, **options)
        wait_until(lambda: name(self.containers.get(id).state.pid) == argv[0])
        return id

    def run(self, *argv: str, **options: Any) -> Ended:
        """Run to the end; the output is the log's."""
        id = self.create(*argv, **options)
        waiter = self.containers.wait(id, WaitCondition.NEXT_EXIT)
        self.containers.start(id)
        code = waiter.result()
        return Ended(code, self.log(id, stderr=False), self.log(id, stdout=False))

    def log(self, id: str, **options: Any) -> bytes:
        return b"".join(text for _, text in self.containers.logs(id, LogOptions(**options)))

    def attach(self, id: str, **wanted: Any) -> Terminal:
        ours, theirs = self._pair()
        with theirs:
            self.containers.attach(id, Attachment(theirs, **wanted))
        return Terminal(ours)

    def exec(self, id: str, *argv: str, size: tuple[int, int] | None = None, **config: Any) -> tuple[str, Terminal]:
        """Start a session, attached. `size`: its terminal's, told before there is one."""
        asked = ExecConfig(cmd=argv, attach_stdout=True, attach_stderr=True, **config)
        session = self.containers.exec_create(id, asked)
        if size is not None:
            self.containers.exec_resize(session, *size)
        ours, theirs = self._pair()
        with theirs:
            self.containers.exec_start(session, detach=False, tty=bool(config.get("tty")),
                                       attachment=Attachment(theirs, stdin=bool(config.get("attach_stdin"))))
        return session, Terminal(ours)

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        self._ends.append(ours)
        return ours, theirs

    def clear(self) -> None:
        """Hang up, and remove all containers, as a user would."""
        while self._ends:
            self._ends.pop().close()
        for container in self.containers.list(all=True):
            self.containers.remove(container.record.id, force=True)

    def exec_ended(self, session: str) -> ExecSession:
        wait_until(lambda: self.containers.exec_get(session).exit_code is not None)
        return self.containers.exec_get(session)

    def monitor(self, id: str) -> int:
        """The pid of its monitor: the parent of its init process, as soon as a midwife has gone."""
        init = self.containers.get(id).state.pid
        wait_until(lambda: name(parent(init)) not in ("pydocker-birth", ""))
        return parent(init)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def name(pid: int) -> str:
    """What `ps` calls it; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class Between:
    """The engine's own Lifecycle or Statuses, with what happens between two looks at a container.

    `before_lock`: called before its lock is taken; `seen`: how it looks at first.
    """

    def __init__(self, real: Any, *, before_lock: Callable[[], object] = bool, seen: Sequence[Container] = ()) -> None:
        self._real, self._before_lock, self._seen = real, before_lock, [*seen]

    def locked(self, id: ContainerId) -> Any:
        self._before_lock()
        return self._real.locked(id)

    def container(self, id: ContainerId) -> Any:
        return self._seen.pop(0) if self._seen else self._real.container(id)


def frames(data: bytes) -> dict[int, bytes]:
    """What a multiplexed connection carried, by stream."""
    found = {1: b"", 2: b""}
    for stream, piece in Reader().feed(data):
        found[stream] += piece
    return found


def wait_until(true: Callable[[], bool], why: Callable[[], str] = lambda: "it never became true") -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, why()
        time.sleep(0.01)


def nanoseconds(stamp: str) -> int:
    """The moment of a log line's time stamp, since the epoch."""
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction)


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie, which pid 1 has yet to reap, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def fails(call: Callable[[], object]) -> PydockerError:
    """The error of a call that has to fail."""
    try:
        call()
    except PydockerError as error:
        return error
    raise AssertionError("it did not fail")
