"""The same attacks in `make test`: few tries, and our runtime alone."""

import os

import pytest

from tests.security.runtimes import OURS, Runtime, installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root no container can be made, and nothing attacked."""
    for item in items:
        if os.geteuid() != 0 and "ground" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="needs root: sudo make test"))


@pytest.fixture(scope="session")
def ours(session_directory) -> Runtime:  # type: ignore[no-untyped-def]
    """This checkout's runtime, in a directory of its own."""
    directory = session_directory / "security"
    directory.mkdir()
    (runtime,) = installed([OURS], directory)
    return runtime
