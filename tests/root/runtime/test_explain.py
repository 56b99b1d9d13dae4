"""explain: the plan of a bundle, told without root and without doing anything."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.root.runtime.conftest import COMMAND, Runtime


@pytest.mark.parametrize("format", ["text", "json", "sh"])
def test_it_needs_no_root_and_touches_nothing(runtime: Runtime, readable_checkout: Path, format: str) -> None:
    runtime.configure("sh", "-c", "echo 'it''s'")
    for path in (runtime.directory.parent, runtime.directory, runtime.bundle):
        path.chmod(0o755)
    command = [*COMMAND, "--root", str(runtime.root), "explain", "--bundle", str(runtime.bundle), "--format", format]
    done = subprocess.run(command, cwd=readable_checkout, capture_output=True, text=True, user=65534, group=65534,
                          extra_groups=[], timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "pivot_root" in done.stdout and "unshare" in done.stdout
    assert not os.path.exists(runtime.root)


def test_the_script_is_one_for_bash(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "echo \"it's\" $HOME")
    script = runtime("explain", "--bundle", str(runtime.bundle), "--format", "sh", check=True).stdout
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_as_data(runtime: Runtime) -> None:
    runtime.configure("true")
    steps = json.loads(runtime("explain", "--bundle", str(runtime.bundle), "--format", "json", check=True).stdout)
    assert [step["side"] for step in steps] == sorted((step["side"] for step in steps), reverse=True)
    assert all(step["what"] and step["why"] and step["manual"] and step["shell"] for step in steps)
