"""A scene of `make compat`, which has more and takes longer: what Docker and we make of the same flags."""

from pathlib import Path

import pytest

from tests.compat.play import Side, play
from tests.compat.table import read
from tests.engine import Engine
from tests.root.cli.dockerd import Dockerd, installed

MADE_WITH = "20.10."  # Debian 12's: what another version has otherwise, `make compat` tells


@pytest.fixture(scope="module")
def sides(request: pytest.FixtureRequest, engine: Engine, session_directory: Path) -> tuple[Side, Side]:
    if not installed():
        pytest.skip("dockerd is not installed")
    daemon: Dockerd = request.getfixturevalue("dockerd")
    daemon.empty()
    docker = Side(daemon.host, "", session_directory)
    version = docker.call("version", "--format", "{{.Server.Version}}").out
    if not version.startswith(MADE_WITH):
        pytest.skip(f"the table of differences was made with Docker {MADE_WITH}, this is {version.strip()}")
    root = daemon.host.removeprefix("unix://").rpartition("/")[0]
    return Side(daemon.host, root, session_directory), Side(engine.host, str(engine.root), session_directory)


def test_what_differs_is_explained(sides: tuple[Side, Side]) -> None:
    common, scenes = read()
    [scene] = [scene for scene in scenes if scene.title.startswith("create")]
    played = list(play([scene], *sides, common))
    assert len(played) > 40
    assert [one for _, found in played for one in found if not one.reason] == []


def test_every_reason_is_at_a_line() -> None:
    common, scenes = read()
    lines = [line for scene in scenes for line in scene.lines]
    assert len(lines) >= 150
    reasons = [*common.values(), *(line.reason for line in lines if line.reason),
               *(reason for line in lines for reason in line.fields.values())]
    assert all(len(reason) > 10 or reason in ("the same", "as above") for reason in reasons)
