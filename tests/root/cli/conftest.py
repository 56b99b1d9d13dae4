"""The command line against two servers: pydocker's own, and Docker's where it is installed."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine import CHECKOUT, COLD, Engine, Result
from tests.root.cli.dockerd import Dockerd, installed
from tests.root.cli.terminals import Terminal
from tests.waiting import wait_until


@dataclass(frozen=True)
class Peer:
    """The command line, and which server it speaks to. Containers are started without a network."""

    name: str
    environment: Mapping[str, str]
    clear: Callable[[], None]
    program: tuple[str, ...] = COLD

    def run(self, *argv: str, input: str | bytes = b"", timeout: float = 60) -> Result:
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(self.command(argv), cwd=CHECKOUT, env=self.environment, input=data, capture_output=True,
                              timeout=timeout, check=False)
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def begun(self, container: str, program: str) -> None:
        """Return when the container's first process has become the program: `start` waits for no execve(2)."""
        wait_until(lambda: program in self.ok("top", container, "-o", "pid,args"))

    def ok(self, *argv: str, input: str = "") -> str:
        result = self.run(*argv, input=input)
        assert result.code == 0, f"pydocker {' '.join(argv)}: exit code {result.code}: {result.err}"
        return result.out.rstrip("\n")

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(argv), cwd=CHECKOUT, env=self.environment, **options)

    def terminal(self, *argv: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal(self.command(argv), self.environment, str(CHECKOUT), rows, columns)

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        return (*self.program, *argv)


@pytest.fixture(scope="session")
def dockerd(session_directory: Path) -> Iterator[Dockerd]:
    daemon = Dockerd(Path(tempfile.mkdtemp(dir=session_directory, prefix="dockerd-")))
    try:
        daemon.ready()
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module", params=["pydocker", "docker"])
def server(request: pytest.FixtureRequest) -> Peer:
    """Both servers, one after the other."""
    if request.param == "pydocker":
        engine: Engine = request.getfixturevalue("engine")
        return Peer("pydocker", engine.environment, lambda: None, engine.command)
    if not installed():
        pytest.skip("dockerd is not installed")
    daemon: Dockerd = request.getfixturevalue("dockerd")
    daemon.empty()
    return Peer("docker", os.environ | {"DOCKER_HOST": daemon.host}, daemon.clear)


@pytest.fixture
def peer(server: Peer, leak_check: None) -> Iterator[Peer]:
    """The server of this run; afterwards Docker's containers are removed (the leak check's fixture removes ours)."""
    yield server
    server.clear()
