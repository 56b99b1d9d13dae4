"""Fixtures for the tests on a real kernel: directories, cgroups, whole engines, and the leak check after each test."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests import leaks
from tests.engine import CHECKOUT, Engine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root these tests are skipped, and say so."""
    if os.geteuid() == 0:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs root: sudo make test"))


@pytest.fixture(scope="session")
def engines() -> list[Engine]:
    """The engines that are alive now; the leak check looks into their roots."""
    return []


@pytest.fixture(autouse=True)
def leak_check(scope: leaks.Scope, engines: list[Engine]) -> Iterator[None]:
    """After the test, the host is what it was before it.

    What a test leaves in an engine that outlives it (containers, images) is removed through that engine first: so
    tests need no cleaning up, and every one of them tests removal.
    """
    lasting = tuple(engines)
    for engine in lasting:
        engine.remember()
    scope = replace(scope, roots=tuple(root for engine in lasting for root in engine.roots))
    before = leaks.snapshot(scope)
    yield
    for engine in lasting:
        engine.clear()
    left = leaks.settled(before, scope)
    if left:
        pytest.fail("the test left the host changed:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture
def readable_checkout() -> Path:
    """For tests that run its commands as somebody else than root."""
    if any(not directory.stat().st_mode & 0o001 for directory in (CHECKOUT, *CHECKOUT.parents)):
        pytest.skip("the checkout lies in a directory of root's, where nobody else can run it")
    return CHECKOUT


@pytest.fixture
def cgroup_parent(token: str) -> str:
    """A cgroup path for tests that call the runtime themselves: `<cgroup_parent>/<id>`."""
    return f"/{token}"


@pytest.fixture(scope="module")
def engine(session_directory: Path, token: str, compiled: tuple[str, ...], engines: list[Engine]) -> Iterator[Engine]:
    """A whole engine with its server, shared by the tests of one file; `busybox` is in it.

    It has had one container already: the locks and directories that stay from the first one on are no leaks.
    """
    with Engine(Path(tempfile.mkdtemp(dir=session_directory)), token, compiled) as engine:
        engine.import_busybox()
        engine.ok("run", "--rm", "busybox", "true")
        engine.warmed()
        engines.append(engine)
        yield engine
        engines.remove(engine)


@pytest.fixture
def make_engine(leak_check: None, session_directory: Path, token: str,
                compiled: tuple[str, ...]) -> Iterator[Callable[..., Engine]]:
    """Makes engines for one test alone; the arguments are further keys of their configuration."""
    with ExitStack() as stack:
        def make(**config: object) -> Engine:
            return stack.enter_context(Engine(Path(tempfile.mkdtemp(dir=session_directory)), token, compiled, **config))

        yield make


@pytest.fixture
def fresh_engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine for one test alone, without images, not started: for those that break it."""
    return make_engine()
