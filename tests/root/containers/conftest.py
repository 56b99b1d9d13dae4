"""A room for each test file; tests that ask for `any_room` run with our runtime and with runc."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.root.containers.room import Room

RUNTIMES = ("pydocker-runtime", "runc")


@pytest.fixture(scope="module")
def _room(session_directory: Path, token: str) -> Iterator[Room]:
    room = Room(session_directory, token)
    room.run("true")  # so that the spawner is there, under its own name, when the leak check first looks
    room.clear()
    yield room
    room.close()


@pytest.fixture
def room(_room: Room, leak_check: None) -> Iterator[Room]:
    """What a test leaves is removed by the engine itself."""
    yield _room
    _room.clear()


@pytest.fixture(params=RUNTIMES)
def any_room(request: pytest.FixtureRequest, session_directory: Path, token: str, leak_check: None) -> Iterator[Room]:
    """A room of its own, for each runtime that is installed."""
    if request.param != "pydocker-runtime" and not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    room = Room(session_directory, token, request.param)
    yield room
    room.close()


@pytest.fixture
def own_room(session_directory: Path, token: str, leak_check: None) -> Iterator[Room]:
    """A room for one test alone."""
    room = Room(session_directory, token)
    yield room
    room.close()


@pytest.fixture(autouse=True)
def _checked(leak_check: None, scope: leaks.Scope) -> None:
    """The leak check surrounds everything here."""
