"""The picture of a stack: bars, sums, and the formats for programs."""

import json

import pytest

from pydocker.cli.layers import bar
from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

STACK = [
    {"ID": "sha256:" + "a" * 64, "DiffID": "sha256:" + "b" * 64, "CreatedBy": "ADD rootfs /", "Size": 10_000_000,
     "Wasted": 5_000_000, "Added": 7, "Changed": 0, "Removed": 0},
    {"ID": "sha256:" + "c" * 64, "DiffID": "sha256:" + "d" * 64, "CreatedBy": "RUN  make\t" + "x" * 60, "Size": 0,
     "Wasted": 0, "Added": 0, "Changed": 1, "Removed": 2},
]
ANSWER = answer("200 OK", json.dumps(STACK).encode())


def test_the_uppermost_layer_comes_first(pydocker: CommandLine) -> None:
    pydocker.server.answers = [ANSWER]
    said = pydocker("image", "layers", "team/app:1")
    assert pydocker.server.requests[0].split()[1] == b"/v1.47/pydocker/images/team/app:1/layers"
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines == [
        "LAYER SIZE WASTED ADDED CHANGED REMOVED CREATED BY",
        f"{'c' * 12} 0B 0B 0 1 2 RUN make {'x' * 35}…",
        f"{'a' * 12} 10MB {'█' * 12}{'░' * 12} 5MB 7 0 0 ADD rootfs /",
        "2 layers, 10MB, of which 5MB (50%) are wasted",
    ]


def test_formats_are_for_programs(pydocker: CommandLine) -> None:
    pydocker.server.answers = [ANSWER] * 2
    said = pydocker("image", "layers", "--format", "json", "x")
    assert [json.loads(line) for line in said.out.splitlines()] == STACK[::-1]
    said = pydocker("image", "layers", "--no-trunc", "--format", "{{.ID}} {{.Added}} {{.Size}}", "x")
    assert said.out == f"sha256:{'c' * 64} 0 0B\nsha256:{'a' * 64} 7 10MB\n"


def test_an_image_without_layers(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("200 OK", b"[]")]
    assert pydocker("image", "layers", "x").out.endswith("\n0 layers, 0B, of which 0B are wasted\n")


@pytest.mark.parametrize(("size", "wasted", "drawn"), [
    (0, 0, ""), (100, 0, "█" * 24), (100, 100, "░" * 24), (50, 25, "█" * 6 + "░" * 6), (1, 0, "█"), (1, 1, "░"),
    (100, 1, "█" * 23 + "░"), (100, 99, "█" + "░" * 23),
])
def test_bars(size: int, wasted: int, drawn: str) -> None:
    assert bar(size, wasted, 100) == drawn
