"""An engine's host among others (`hosts`), and containers in which a program of the test's listens."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from runtime.linux import namespaces
from tests import leaks
from tests.engine import Engine
from tests.root.ports.hosts import Datagrams, Host, Server, Surroundings, surroundings


class Box:
    """A running container, its network entered from outside: nothing has to be in its image."""

    def __init__(self, engine: Engine, id: str, undo: ExitStack) -> None:
        self.id = id
        self._undo = undo
        detail = json.loads(engine.ok("inspect", id))[0]
        self.pid: int = detail["State"]["Pid"]
        self.settings = detail["NetworkSettings"]
        self.host = Host(os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        undo.callback(os.close, self.host.fd)

    @property
    def address(self) -> str:
        return str(next(iter(self.settings["Networks"].values()))["IPAddress"])

    def serve(self, port: int, address: str = "0.0.0.0") -> "Box":
        """A TCP server in it that tells each client who it is."""
        self._undo.callback(Server(address, port, self.host).close)
        return self

    def serve_udp(self, port: int, address: str = "0.0.0.0") -> "Box":
        self._undo.callback(Datagrams(address, port, self.host).close)
        return self


class Boxes:
    """Starts containers; what it gave is closed at the end of the test, which also removes the containers."""

    def __init__(self, engine: Engine, undo: ExitStack) -> None:
        self._engine = engine
        self._undo = undo

    def __call__(self, *flags: str) -> Box:
        id = self._engine.ok("run", "-d", *flags, "busybox", "sleep", "1000")
        return Box(self._engine, id, self._undo)

    def of(self, ref: str) -> Box:
        return Box(self._engine, ref, self._undo)


def parent(of: Box) -> int:
    """The pid of its monitor."""
    with open(f"/proc/{of.pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.fixture
def box(engine: Engine) -> Iterator[Boxes]:
    with ExitStack() as undo:
        yield Boxes(engine, undo)


@pytest.fixture(scope="module", autouse=True)
def own_network(mount_namespace: str) -> Iterator[None]:
    """A host on which no engine of another file has left its bridge, its rules, and its switches."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    leaks.isolate_network()
    yield
    namespaces.setns(before, namespaces.CLONE_NEWNET)
    os.close(before)


@pytest.fixture(scope="module")
def around(engine: Engine) -> Iterator[Surroundings]:
    made = surroundings()
    yield made
    made.take_away()


@pytest.fixture
def server(around: Surroundings) -> Iterator[int]:
    """The port of a program on the client's host that tells who asks."""
    with contextlib.closing(Server("0.0.0.0", 9000, around.client)):
        yield 9000


def nft(*words: str) -> str:
    return subprocess.run(("nft", *words), check=True, capture_output=True, text=True).stdout


@pytest.fixture
def ruleset() -> Iterator[None]:
    """Whatever the test does to the firewall, the next one finds an empty one, which the engine makes good."""
    yield
    nft("flush", "ruleset")


@pytest.fixture
def networks(engine: Engine) -> Iterator[None]:
    """What a test makes, it need not remove."""
    yield
    if ids := engine.ok("ps", "-aq").split():
        engine.ok("rm", "-f", *ids)
    engine.ok("network", "prune", "-f")
