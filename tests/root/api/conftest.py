"""The real clients of others against the real engine."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker as docker_py
import pytest

from tests.engine import CHECKOUT, Engine, Result
from tests.peers.registry import Registry
from tests.root.cli.terminals import Terminal

# Two generations, where both are installed: the one on PATH, and the distribution's.
CLIENTS = [path for path in dict.fromkeys([shutil.which("docker"), "/usr/bin/docker"]) if path and os.path.exists(path)]


class Docker:
    """One docker client, talking to one engine."""

    def __init__(self, client: str, engine: Engine) -> None:
        self.client, self.engine = client, engine

    def __call__(self, *argv: str, input: str = "") -> Result:
        return self.engine.docker(*argv, client=self.client, input=input)

    def ok(self, *argv: str, input: str = "") -> str:
        """The output of a command that has to succeed, without the last newline."""
        result = self(*argv, input=input)
        assert result.code == 0, f"docker {' '.join(argv)}: exit code {result.code}: {result.err}"
        return result.out.rstrip("\n")

    def terminal(self, *argv: str, rows: int = 24, columns: int = 80) -> Terminal:
        environment = self.engine.environment | {"DOCKER_HOST": self.engine.host, "TERM": "dumb"}
        return Terminal((self.client, *argv), environment, str(CHECKOUT), rows, columns)


@pytest.fixture(params=CLIENTS or [None])
def docker(request: pytest.FixtureRequest, engine: Engine) -> Docker:
    if request.param is None:
        pytest.skip("no docker client is installed")
    return Docker(request.param, engine)


@pytest.fixture
def sdk(engine: Engine) -> Iterator[docker_py.DockerClient]:
    client = docker_py.DockerClient(base_url=engine.host)
    yield client
    client.close()


@pytest.fixture(scope="module")
def registry(session_directory: Path) -> Iterator[Registry]:
    with Registry(Path(tempfile.mkdtemp(dir=session_directory))) as registry:
        yield registry


@pytest.fixture
def threads(engine: Engine) -> Callable[[], tuple[int, int]]:
    """How many threads and descriptors the server has now."""
    def count() -> tuple[int, int]:
        [pid] = engine.server()
        return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))
    return count


