"""Bundles by chance: what `explain` and `--trace` tell is true for whatever is combined."""

import json
import os
import shutil
from collections.abc import Iterator
from difflib import unified_diff

import pytest

from tests.root.runtime import bundles
from tests.root.runtime.conftest import Runtime
from tests.root.runtime.strace import Watched, differences
from tests.root.runtime.test_script import PROGRAM, Seen, compared, unordered

# Which ones; `PYDOCKER_CHANCE=100-200` tries others.
FIRST, LAST = map(int, os.environ.get("PYDOCKER_CHANCE", "0-8").split("-"))


def differing(told: Seen, done: Seen) -> Iterator[str]:
    """What the one has and not the other, line by line."""
    for aspect in done:
        if told[aspect] != done[aspect]:
            lines = [one if isinstance(one, list) else str(one).splitlines() for one in (told[aspect], done[aspect])]
            yield from (f"{aspect}: {line}" for line in unified_diff(*lines, "told", "done", lineterm="", n=0))


@pytest.mark.parametrize("number", range(FIRST, LAST))
def test_the_script_makes_the_same_container(runtime: Runtime, number: int) -> None:
    runtime.configure("sh", "-c", PROGRAM)
    bundles.change(runtime, number)
    if "hared" in json.loads((runtime.bundle / "config.json").read_text())["linux"].get("rootfsPropagation", ""):
        pytest.skip("rootfsPropagation shared has no script")
    told, done = compared(runtime)
    if bundles.Chance(number).mapped:
        told, done = unordered(told), unordered(done)
    assert not (found := [*differing(told, done)]), "\n".join(found)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("number", range(FIRST, LAST))
def test_the_trace_tells_what_is_done(runtime: Runtime, number: int) -> None:
    runtime.configure("true")
    bundles.change(runtime, number)
    watched = Watched(runtime)
    watched("run", "--bundle", str(runtime.bundle), "c")
    assert differences(watched) == []
