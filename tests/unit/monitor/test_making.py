"""Who makes a container and who cleans up behind its monitor: never both."""

import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from pydocker.errors import PydockerError
from pydocker.monitor import making


def in_child(does: Callable[[], bool], until: int) -> bool:
    """What it returns in a process of its own, which lives until `until` is closed by all others."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, b"%d" % does())
        os.read(until, 1)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb", buffering=0) as told:
        return told.read(1) == b"1"


@pytest.fixture
def launch(tmp_path: Path) -> Path:
    path = tmp_path / "launch.json"
    path.write_text("{}")
    return path


def test_who_cleans_up_waits_for_who_makes_and_not_for_its_children(launch: Path) -> None:
    until, end = os.pipe()
    document = os.open(launch, os.O_RDONLY)

    def makes() -> bool:
        os.close(end)
        taken = making.take(launch, document)
        if os.fork() == 0:  # the container's process, which lives on
            os.close(dies)
            os.read(lives, 1)
            os._exit(0)
        return taken

    lives, dies = os.pipe()
    assert in_child(makes, until)
    with pytest.raises(PydockerError, match="still at work"):
        making.forbid(launch, 0.01)
    os.close(end)
    making.forbid(launch, 60)
    for fd in (document, until, lives, dies):
        os.close(fd)
    os.wait()


def test_nobody_begins_while_somebody_cleans_up_or_has(launch: Path) -> None:
    until, end = os.pipe()
    document = os.open(launch, os.O_RDONLY)
    assert in_child(lambda: os.close(end) or making.forbid(launch, 1) is None, until)
    assert not making.take(launch, document)
    os.close(end)
    os.wait()
    assert making.take(launch, document)
    launch.rename(launch.with_suffix(".old"))
    launch.write_text("{}")  # of the next start
    assert not making.take(launch, document)
    launch.unlink()
    assert not making.take(launch, document)
    os.close(document)
    assert select.select([until], [], [], 0)[0]
    os.close(until)
