"""The frame of all tests: which session they belong to, and what the machine must have for them.

    tests/unit/<room>/   no root, no network, no daemon: values in, values out
    tests/root/<room>/   black boxes on a real kernel; each test is followed by the leak check (tests/leaks.py)
    tests/peers/         real programs of others to test against: a registry, a docker client, …
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import leaks
from tests.engine import compile_command

TOKEN = f"pydocker-test-{uuid.uuid4().hex[:8]}"

# Inherited by everything that a test starts, so that the leak check knows its own (each xdist worker has its own).
os.environ[leaks.MARKER] = TOKEN
# The machine's own network is none of a test's business: bridges, addresses and firewall rules of engines under test
# lie in a network of this session's, which ends with it. Before anything is started, and before there are threads.
if os.geteuid() == 0:
    leaks.isolate_network()
# The engine of the machine, and a server that the developer talks to, are none of a test's business.
for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "PYDOCKER_CONFIG"):
    os.environ.pop(name, None)

# A loaded machine is no fault of the code: hypothesis' limits of time would make it one. And who changes nothing gets
# the same examples again.
hypothesis.settings.register_profile(
    "pydocker", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("pydocker")


# Half a minute and more each. They come first, so that at the end nobody waits for one of them (`--dist loadfile`).
LONGEST = (
    "tests/root/monitor/test_steps_killed.py", "tests/root/judges/test_life.py", "tests/security/test_attacks.py",
    "tests/root/network/test_bridge.py", "tests/root/images/test_umoci.py", "tests/root/images/test_check.py",
    "tests/root/judges/test_swarm.py", "tests/root/images/test_kill9.py", "tests/root/monitor/test_streams.py",
    "tests/unit/test_house.py", "tests/root/api/test_docker.py", "tests/root/judges/test_run.py",
    "tests/root/cli/test_observe.py", "tests/root/cli/test_launch.py", "tests/root/cli/test_format.py",
    "tests/root/images/test_debian.py")


def pytest_configure(config: pytest.Config) -> None:
    """Our order: pytest-xdist's own begins with the files that have the most tests, however short these are."""
    config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the unit tests last."""
    ranks = {file: rank for rank, file in enumerate(LONGEST)}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        file = item.nodeid.partition("::")[0]
        return ranks.get(file, len(ranks)), file.startswith("tests/unit/")

    items.sort(key=rank)


@pytest.fixture(scope="session")
def token() -> str:
    """This session's own word. Whatever a test names on the machine (cgroups, ids, networks) has to contain it."""
    return TOKEN


NEXT = """\
To try next:
  pydocker run --rm -it demo sh    a shell in a container (`make demo` makes the image)
  pydocker run --dry-run demo sh   every step that makes it, with its reason
  make bench                       the speed, side by side with docker and podman
  make help                        what else there is"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """`make test` ends with what to try next, above pytest's own last line."""
    if os.environ.get("PYDOCKER_NEXT") and exitstatus == pytest.ExitCode.OK:
        terminalreporter.write_line(NEXT)


@pytest.fixture(scope="session")
def mount_namespace() -> str:
    """Session-wide, and before anything is started: see `leaks.isolate_mounts`."""
    return leaks.isolate_mounts()


@pytest.fixture(scope="session")
def session_directory(mount_namespace: str, token: str) -> Iterator[Path]:
    """A directory of this session on a disk (/tmp is often memory), with a short name: sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix=f"{token}-", dir="/var/tmp"))
    yield path
    leaks.remove_tree(path)


@pytest.fixture(scope="session")
def compiled(session_directory: Path) -> tuple[str, ...]:
    """`pydocker` as it is installed. (The first command of an engine, which starts the server, is Python even so.)"""
    return compile_command(session_directory / "pydocker")


@pytest.fixture(scope="session")
def scope(
    token: str, mount_namespace: str, session_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[leaks.Scope]:
    yield leaks.Scope(token, (session_directory, tmp_path_factory.getbasetemp()), mount_namespace)
    leaks.remove_parents(token)
