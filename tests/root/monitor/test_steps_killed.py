"""SIGKILL to the server, the spawner, the monitor and the init process at every step of create, start, exec, stop, rm.

The steps are those that the code names: every function which a recorded run has called, the `apply` of each step of
the monitor's plan and the runtime's among them. Whatever was killed there, the next command tells the truth, the
container can be used again and removed, and nothing is left.

`make test` takes some of the steps and of the other functions, always the same; `make soak` takes all.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydocker.errors import Conflict, NotModified, PydockerError, StartFailed, Unavailable
from pydocker.model.container import ExecConfig, HostConfig, Status
from pydocker.model.network import BRIDGE, Asked, EndpointConfig, PortBinding
from pydocker.monitor import spawner
from pydocker.network.holders import listening
from runtime.linux.interpreter import bootstrap
from tests import leaks
from tests.root.containers.room import PATIENCE, Room, lives, wait_until
from tests.root.monitor import sabotage
from tests.root.monitor.sabotage import IDLE, PORTS, REACHED, RELEASED, Board

EVERYTHING = os.environ.get("PYDOCKER_SOAK") == "1"
CHECKOUT = str(Path(__file__).parents[3])


class Stage:
    """A room whose spawner and monitors can be stopped anywhere."""

    def __init__(self, room: Room, board: Board, path: Path, scope: leaks.Scope) -> None:
        self.room, self.board, self.path, self.scope = room, board, path, scope
        self.mounts, self.others = set(leaks.mounts()), set(leaks.own_processes(scope))

    def moments(self, verb: Callable[[], object], most: int) -> list[str]:
        """What it calls; without EVERYTHING, of the steps as many as `most`, and half as many other functions."""
        self.board.record()
        verb()
        found = self.board.recorded()
        if EVERYTHING:
            return found
        steps = [name for name in found if name.endswith((".apply", ".undo"))]
        others = [name for name in found if name not in steps]
        return [*_chosen(steps, most), *_chosen(others, most // 2)]

    def left(self) -> list[str]:
        """Of everything but the spawner itself."""
        own = str(self.room.spawner._process.pid) if self.room.spawner._process else ""
        processes = [one for one in leaks.own_processes(self.scope) if one.split()[0] != own and one not in self.others]
        return [*self.room.left(), *leaks.cgroups(self.scope.token), *processes, *self.plugged(),
                *(set(leaks.mounts()) - self.mounts)]

    def plugged(self) -> list[str]:
        """Ports of the bridge, and who still counts as one of its network."""
        listed = subprocess.run(("ip", "-br", "link", "show", "master", self.room.config.bridge), capture_output=True,
                                text=True, check=False)  # it is made for the first container
        networks = self.room.networks
        return [*listed.stdout.splitlines(), *(end.name for one in networks.list() for end in networks.members(one))]

    def clean(self, moment: str) -> None:
        for container in self.room.containers.list(all=True):
            self.room.containers.remove(container.record.id, force=True)
        wait_until(lambda: not self.left(), lambda: f"{moment}: left behind: {self.left()}")

    def at(self, moment: str, verb: Callable[[], object], kill: Callable[[], object]) -> None:
        """Begin, stop there, kill, go on; the verb may fail, and has to end.

        A step is always reached; some other functions are called at some runs only.
        """
        errors: list[BaseException] = []

        def act() -> None:
            try:
                verb()
            except PydockerError:
                pass  # that it could not be done is a fine answer
            except BaseException as error:
                errors.append(error)

        self.board.arm(moment)
        thread = threading.Thread(target=act)
        thread.start()
        while thread.is_alive() and self.board.state != REACHED:
            time.sleep(0.002)
        reached = self.board.state == REACHED
        if reached:
            kill()
            self.board.state = RELEASED
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{moment}: it hangs"
        assert not errors, f"{moment}: {errors}"
        self.board.state = IDLE
        assert reached or not moment.endswith(".apply"), f"{moment}: not reached"

    def killed_monitor(self) -> None:
        _kill(self.board.monitor)

    def killed_spawner(self) -> None:
        assert self.room.spawner._process is not None
        _kill(self.room.spawner._process.pid)

    def server(self, verb: str, ref: str) -> subprocess.Popen[bytes]:
        room = self.room
        command = [sys.executable, "-m", sabotage.__name__, str(self.path), str(room.paths.data), str(room.paths.run),
                   room.config.cgroup_parent, room.config.bridge, str(room.directory / "monitors.log"), verb, ref]
        return subprocess.Popen(command, cwd=CHECKOUT, env=os.environ, stderr=subprocess.DEVNULL)

    def killed_server(self, verb: str, ref: str, moment: str) -> None:
        self.board.arm(moment)
        with self.server(verb, ref) as process:
            while process.poll() is None and self.board.state != REACHED:
                time.sleep(0.002)
            process.kill()
        self.board.idle()

    def works(self, id: str, moment: str) -> None:
        """It is at rest, and can be started; or it runs; or it is just ending. Then it does what it is asked."""
        containers, deadline = self.room.containers, time.monotonic() + PATIENCE
        while True:
            if not containers.get(id).state.running:
                with contextlib.suppress(NotModified):  # it was being started: a monitor needs no server for that
                    containers.start(id)
            try:
                session, terminal = self.room.exec(id, "echo", "works")
            except (Conflict, Unavailable, StartFailed) as error:
                ending = not isinstance(error, StartFailed) or "stopped container" in str(error)
                assert ending and time.monotonic() < deadline, f"{moment}: {error}"
                continue
            assert b"works\n" in terminal.rest(), moment
            self.room.exec_ended(session)
            return


def _chosen(names: list[str], most: int) -> list[str]:
    """By what they are called: from all rooms, and the same whatever else was recorded."""
    return sorted(names, key=lambda name: zlib.crc32(name.encode()))[:most]


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not lives(pid))


@pytest.fixture
def stage(session_directory: Path, tmp_path: Path, token: str, scope: leaks.Scope, monkeypatch: pytest.MonkeyPatch,
          leak_check: None) -> Iterator[Stage]:
    path = tmp_path / "board"
    board = Board(path)
    monkeypatch.setenv("SABOTAGE_BOARD", str(path))
    monkeypatch.setattr(spawner, "bootstrap", lambda entry: bootstrap(f"{sabotage.__name__}:main"))
    room = Room(session_directory, token)
    room.run("true")
    room.clear()
    yield Stage(room, board, path, scope)
    (room.directory / "monitors.log").write_text("")
    room.close()


def started(stage: Stage, *, rm: bool = False) -> str:
    """Also for the kernel: a container runs as soon as it may, which is before its program is executed."""
    id = stage.room.start("sleep", "1000", host=HostConfig(auto_remove=rm))
    init = Path(f"/proc/{stage.room.containers.get(id).state.pid}/comm")
    wait_until(lambda: init.read_text() == "sleep\n")
    return id


@pytest.mark.timeout(3600 if EVERYTHING else 180)
@pytest.mark.parametrize("victim", ["monitor", "spawner"])
def test_start(stage: Stage, victim: str) -> None:
    kill = stage.killed_monitor if victim == "monitor" else stage.killed_spawner
    first = stage.room.create("sleep", "1000")
    moments = stage.moments(lambda: stage.room.containers.start(first), 6 if victim == "monitor" else 3)
    stage.clean("recorded")
    for moment in moments:
        id = stage.room.create("sleep", "1000")
        stage.at(moment, lambda id=id: stage.room.containers.start(id), kill)
        stage.works(id, moment)
        stage.clean(moment)


@pytest.mark.timeout(3600 if EVERYTHING else 180)
def test_exec(stage: Stage) -> None:
    def session(id: str) -> None:
        asked = stage.room.containers.exec_create(id, ExecConfig(cmd=("true",)))
        stage.room.containers.exec_start(asked, detach=True, tty=False)
        stage.room.exec_ended(asked)

    first = started(stage)
    moments = stage.moments(lambda: session(first), 3)
    stage.clean("recorded")
    for moment in moments:
        id = started(stage)
        stage.at(moment, lambda id=id: _only_start(stage, id), stage.killed_monitor)
        stage.works(id, moment)
        stage.clean(moment)


@pytest.mark.parametrize("verb", ["start", "exec", "rename", "rm", "rm -f", "stop"])
def test_a_start_goes_on_without_its_server(stage: Stage, verb: str) -> None:
    """Who comes next, while a killed server's monitor still starts it, waits for that. It was taken for one that does
    not run: a start waited for its end, and rm took its files away from under it."""
    containers, id = stage.room.containers, stage.room.create("sleep", "1000")
    verbs: dict[str, Callable[[], object]] = {
        "start": lambda: containers.start(id), "exec": lambda: stage.room.exec(id, "true")[1].rest(),
        "rename": lambda: containers.rename(id, "other"), "rm": lambda: containers.remove(id),
        "rm -f": lambda: containers.remove(id, force=True), "stop": lambda: containers.stop(id, 0)}
    stage.killed_server("start", id, "pydocker.monitor.control:answered")
    with pytest.raises(expected) if (expected := {"start": NotModified, "rm": Conflict}.get(verb)) \
            else contextlib.nullcontext():
        verbs[verb]()
    left = [one.state.status for one in containers.list(all=True)]
    assert left == {"rm -f": [], "stop": [Status.EXITED]}.get(verb, [Status.RUNNING])
    stage.clean(verb)


def _only_start(stage: Stage, id: str) -> None:
    asked = stage.room.containers.exec_create(id, ExecConfig(cmd=("true",)))
    stage.room.containers.exec_start(asked, detach=True, tty=False)
    while stage.board.state == sabotage.ARMED and stage.room.containers.exec_get(asked).exit_code is None:
        time.sleep(0.002)


@pytest.mark.timeout(3600 if EVERYTHING else 180)
@pytest.mark.parametrize("rm", [False, True])
def test_the_end(stage: Stage, rm: bool) -> None:
    """stop, and what the monitor does then: with --rm, up to the container's removal, which a server then finishes."""
    watching = stage.room.another()
    watching.watch()
    first = started(stage, rm=rm)
    moments = stage.moments(lambda: stage.room.containers.stop(first, 0), 3)
    stage.clean("recorded")
    for moment in moments:
        id = started(stage, rm=rm)
        init = stage.room.containers.get(id).state.pid
        stage.at(moment, lambda id=id: stage.room.containers.stop(id, 0), stage.killed_monitor)
        if rm:
            wait_until(lambda: not stage.room.containers.list(all=True), lambda moment=moment: f"{moment}: still there")
        else:
            wait_until(lambda id=id: not stage.room.containers.get(id).state.running)
            stage.works(id, moment)
        assert not lives(init), moment
        stage.clean(moment)
    watching.close()


@pytest.mark.timeout(3600 if EVERYTHING else 180)
@pytest.mark.parametrize("verb", ["create", "start", "exec", "stop", "rm"])
def test_the_server(stage: Stage, verb: str) -> None:
    """A server of its own for every attempt, which is killed; the next one finds what it left."""
    room = stage.room

    def prepared() -> str:
        return "name" if verb == "create" else room.create("sleep", "1000") if verb == "start" else started(stage)

    def whole() -> None:
        with stage.server(verb, prepared()) as process:
            assert process.wait() == 0

    moments = [name for name in stage.moments(whole, 2) if not name.startswith(("runtime.", "pydocker.monitor.nurs"))]
    stage.clean("recorded")
    for moment in moments:
        stage.killed_server(verb, prepared(), moment)
        another = room.restarted()
        for container in another.list(all=True):
            stage.works(container.record.id, moment)
        if verb not in ("create", "rm"):
            assert another.list(all=True), moment
        stage.clean(moment)


_CHANGING = ("network.endpoints:Endpoints.replace", "network.firewalling:Firewall.unpublish",
             "containers.store:Store.change", "containers.streams:Streams.arrange", "events.journal:Journal.container")


@pytest.mark.timeout(3600 if EVERYTHING else 180)
def test_ports_that_change(stage: Stage) -> None:
    """update --publish-rm --publish-add: what the record asks for, what the network's documents say, what the firewall
    leads, and what the monitor listens at, is the same; and a port that was to stay stays."""
    room, (stays, goes, comes) = stage.room, PORTS

    def published() -> str:
        bindings = tuple(PortBinding("127.0.0.1", str(port)) for port in (stays, goes))
        return room.start("sleep", "1000", host=HostConfig(port_bindings={"80/tcp": bindings}),
                          exposed_ports={"80/tcp": {}})

    def whole() -> None:
        with stage.server("update", published()) as process:
            assert process.wait() == 0

    moments = stage.moments(whole, 0) if EVERYTHING else [f"pydocker.{name}" for name in _CHANGING]
    whole()
    assert ports(stage, room.containers.list(all=True)[0].record.id) == [{stays, comes}] * 4
    stage.clean("recorded")
    for moment in moments:
        id = published()
        stage.killed_server("update", id, moment)
        room.restarted()
        record, *others = ports(stage, id)
        assert others == [record] * 3, moment
        assert stays in record, moment
        stage.clean(moment)


_MOVING = {
    "connect": ("network.places:Plug.apply", "network.sandbox:Sandboxes.rearrange", "containers.store:Store.change"),
    "disconnect": ("network.sandbox:Sandboxes._remove_interface", "network.firewalling:Firewall.unpublish",
                   "containers.streams:Streams.arrange", "containers.store:Store.change")}


@pytest.mark.timeout(3600 if EVERYTHING else 180)
@pytest.mark.parametrize("verb", _MOVING)
def test_networks_that_change(stage: Stage, verb: str) -> None:
    """network connect and disconnect: the record, the networks' documents and the interfaces are the same, and the
    port is led through one of the networks that are left."""
    room, (port, *_) = stage.room, PORTS
    other = room.networks.create(Asked(name="other"))

    def placed() -> str:
        binding = PortBinding("127.0.0.1", str(port))
        host = HostConfig(network_mode="other", port_bindings={"80/tcp": (binding,)})
        id = room.start("sleep", "1000", host=host, exposed_ports={"80/tcp": {}})
        if verb == "disconnect":
            room.containers.connections.connect(BRIDGE, id, EndpointConfig())
        return id

    def whole() -> None:
        with stage.server(verb, placed()) as process:
            assert process.wait() == 0

    moments = stage.moments(whole, 0) if EVERYTHING else [f"pydocker.{name}" for name in _MOVING[verb]]
    stage.clean("recorded")
    for moment in moments:
        id = placed()
        stage.killed_server(verb, id, moment)
        room.restarted()
        container = room.containers.get(id)
        places = {end.network_name for end in container.endpoints}
        assert places == set(container.record.networks) >= {"other"}, moment
        assert len(interfaces(container.state.pid)) == len(places), moment
        assert ports(stage, id) == [{port}] * 4, moment
        stage.clean(moment)
    room.networks.remove(other.id)


def interfaces(pid: int) -> list[str]:
    shown = subprocess.run(("nsenter", "-t", str(pid), "-n", "ip", "-br", "link", "show", "up"), capture_output=True,
                           text=True, check=True).stdout
    return [line for line in shown.splitlines() if line.startswith("eth")]


def ports(stage: Stage, id: str) -> list[set[int]]:
    """By the record, the documents, the firewall and the kernel's list of listeners."""
    container = stage.room.containers.get(id)
    bindings = (container.record.host.port_bindings or {}).get("80/tcp") or ()
    listed = subprocess.run(("nft", "-n", "list", "map", "inet", stage.room.config.bridge, "ports4_at"), text=True,
                            capture_output=True, check=True).stdout
    return [{int(one.host_port) for one in bindings},
            {one.host_port for endpoint in container.endpoints for one in endpoint.published},
            {port for port in PORTS if f". 6 . {port} :" in listed},
            {port for _, port in listening("tcp", os.getpid()) if port in PORTS}]
