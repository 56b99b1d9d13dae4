"""The frame of all tests: which session they belong to, and what the machine must have for them.

    tests/unit/<room>/   no root, no network, no daemon: values in, values out
    tests/root/<room>/   black boxes on a real kernel; each test is followed by the leak check (tests/leaks.py)
    tests/peers/         real programs of others to test against: a registry, a docker client, …
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import leaks

TOKEN = f"pydocker-test-{uuid.uuid4().hex[:8]}"

# Inherited by everything that a test starts, so that the leak check knows its own (each xdist worker has its own).
os.environ[leaks.MARKER] = TOKEN
# The engine of the machine, and a server that the developer talks to, are none of a test's business.
for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "PYDOCKER_CONFIG"):
    os.environ.pop(name, None)

# A loaded machine is no fault of the code: hypothesis' limit of 200 ms an example would make it one.
hypothesis.settings.register_profile("pydocker", deadline=None)
hypothesis.settings.load_profile("pydocker")


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
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def scope(
    token: str, mount_namespace: str, session_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[leaks.Scope]:
    yield leaks.Scope(token, (session_directory, tmp_path_factory.getbasetemp()), mount_namespace)
    leaks.remove_parents(token)
