"""Each engine once for the whole session, in an island of its own; and the runtimes that it is told to use.

    judges   an engine's two command lines: the control, and ours, to ask both the same
    judge    one after the other: what a test demands holds with the control, too
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.root.judges.docker import Docker
from tests.root.judges.engines import Island, Judge, missing, write_launcher
from tests.root.judges.podman import Podman

RUNTIMES = ("runc", "pydocker")
ENGINES = ("podman", "docker")
Engine = Podman | Docker
Pair = tuple[Judge, Judge]


@pytest.fixture(scope="session")
def launcher(session_directory: Path) -> Path:
    """The runtime, as an engine is told of it."""
    return write_launcher(session_directory / "pydocker-runtime")


@pytest.fixture(scope="session")
def make_directory(session_directory: Path) -> Callable[[str], Path]:
    """Short names, as podman wants its --runroot to have no more than 50 characters; whoever a map names may pass."""
    session_directory.chmod(0o711)

    def make(name: str) -> Path:
        path = session_directory / name
        path.mkdir()
        return path
    return make


@pytest.fixture(scope="session")
def settings(make_directory: Callable[[str], Path]) -> dict[str, str]:
    """What options refer to: a directory that containers share, a seccomp profile that forbids to make directories."""
    directory = make_directory("settings")
    (directory / "shared").mkdir()
    (directory / "shared/file").write_text("shared\n")
    forbidden = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [forbidden]}
    (directory / "profile.json").write_text(json.dumps(profile))
    return {"shared": str(directory / "shared"), "profile": str(directory / "profile.json")}


@pytest.fixture(scope="session")
def podman_engine(make_directory: Callable[[str], Path], launcher: Path, token: str,
                  scope: leaks.Scope) -> Iterator[Podman]:
    if reason := missing("podman", "runc"):
        pytest.skip(reason)
    island = Island()
    engine = Podman(make_directory("pod"), island, f"/{token}", launcher)
    yield engine
    engine.close()
    island.close()


@pytest.fixture(scope="session")
def docker_engine(make_directory: Callable[[str], Path], launcher: Path, token: str,
                  scope: leaks.Scope) -> Iterator[Docker]:
    if reason := missing("dockerd", "docker", "containerd", "runc"):
        pytest.skip(reason)
    island = Island()
    engine = Docker(make_directory("docker"), island, f"/{token}", launcher)
    engine.by("runc").ok("run", "--rm", "--network", "host", "busybox", "true")
    yield engine
    engine.close()
    island.close()


@pytest.fixture(scope="session", params=ENGINES)
def engine_asked(request: pytest.FixtureRequest) -> Engine:
    """Both engines. They are there before a test begins, or they would be taken for what it left behind."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def judges(leak_check: None, engine_asked: Engine) -> Iterator[Pair]:
    yield from pair(engine_asked)


@pytest.fixture
def podmans(leak_check: None, podman_engine: Podman) -> Iterator[Pair]:
    yield from pair(podman_engine)


@pytest.fixture
def dockers(leak_check: None, docker_engine: Docker) -> Iterator[Pair]:
    yield from pair(docker_engine)


def pair(engine: Engine) -> Iterator[Pair]:
    yield engine.by("runc"), engine.by("pydocker")
    engine.clear()


@pytest.fixture(params=RUNTIMES)
def judge(request: pytest.FixtureRequest, judges: Pair) -> Judge:
    return judges[RUNTIMES.index(request.param)]


@pytest.fixture(params=RUNTIMES)
def podman(request: pytest.FixtureRequest, podmans: Pair) -> Judge:
    return podmans[RUNTIMES.index(request.param)]


@pytest.fixture(params=RUNTIMES)
def docker(request: pytest.FixtureRequest, dockers: Pair) -> Judge:
    return dockers[RUNTIMES.index(request.param)]
