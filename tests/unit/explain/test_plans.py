"""A plan told in three ways."""

import json

import pytest

from pydocker.errors import Unavailable
from pydocker.explain import plans

ID = "0f" * 32
STEPS = [
    {"why": "a UTS namespace starts as a copy of its parent's names", "manual": "sethostname(2)",
     "describe": f"set the hostname of {ID}", "shell": f"hostname {ID}"},
    {"why": "word " * 40, "manual": "mount(2)", "describe": "mount it", "shell": "mount a\nmount b"},
]
PLAN = json.dumps(STEPS).encode()


def test_as_text_with_short_ids_and_whole_shell_lines() -> None:
    text = plans.told(PLAN, "text")
    assert text.startswith(
        " 1. set the hostname of 0f0f0f0f0f0f\n"
        "    why    a UTS namespace starts as a copy of its parent's names\n"
        "    manual sethostname(2)\n"
        f"    shell  hostname {ID}\n\n 2. mount it\n")
    assert text.endswith("    shell  mount a\n           mount b\n")
    assert max(len(line) for line in text.splitlines() if ID not in line) <= 100


def test_as_json_it_is_what_the_server_said() -> None:
    assert json.loads(plans.told(PLAN, "json")) == STEPS


def test_as_shell_lines() -> None:
    text = plans.told(PLAN, "sh")
    assert text.startswith("#!/bin/bash\n")
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == [
        "set -e", f"hostname {ID}", "mount a", "mount b"]


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"why": 1}]', b"\xff"])
def test_what_is_no_plan(content: bytes) -> None:
    with pytest.raises(Unavailable, match="the server's plan is broken"):
        plans.told(content, "text")
