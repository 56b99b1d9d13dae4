"""Whole engines and whole registries of Debian's, and other people's clients of both."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.peers.registry import Registry

Registries = Callable[..., Registry]
Command = Callable[..., str]


@pytest.fixture(scope="module")
def registry(session_directory: Path) -> Iterator[Registry]:
    """Open to everybody, without TLS."""
    with Registry(Path(tempfile.mkdtemp(dir=session_directory))) as registry:
        yield registry


@pytest.fixture(scope="module")
def basic(session_directory: Path) -> Iterator[Registry]:
    """With passwords."""
    with Registry(Path(tempfile.mkdtemp(dir=session_directory)), auth="basic") as registry:
        yield registry


@pytest.fixture(scope="module")
def tokens(session_directory: Path) -> Iterator[Registry]:
    """With a token server."""
    with Registry(Path(tempfile.mkdtemp(dir=session_directory)), auth="token") as registry:
        yield registry


@pytest.fixture(scope="module", params=["basic", "token"])
def private(request: pytest.FixtureRequest, session_directory: Path) -> Iterator[Registry]:
    """Of either kind."""
    with Registry(Path(tempfile.mkdtemp(dir=session_directory)), auth=request.param) as registry:
        yield registry


@pytest.fixture
def home(engine: Engine, session_directory: Path) -> Iterator[Path]:
    """A home of its own for the clients' configuration."""
    before, home = engine.environment, Path(tempfile.mkdtemp(dir=session_directory))
    engine.environment = before | {"HOME": str(home)}
    yield home
    engine.environment = before


@pytest.fixture
def skopeo() -> Command:
    return lambda *argv: _run("skopeo", *argv)


@pytest.fixture
def podman() -> Iterator[Command]:
    """podman with a store of its own, which has only to hold images. Its paths may be 50 characters long."""
    if shutil.which("podman") is None:
        pytest.skip("needs podman: make setup")
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/var/tmp") as top:
        places = [word for name in ("root", "runroot", "tmpdir") for word in (f"--{name}", f"{top}/{name}")]
        yield lambda *argv: _run("podman", *places, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", *argv)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout.strip()
