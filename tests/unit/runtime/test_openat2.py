"""Directories made below a root."""

import os
import subprocess
from pathlib import Path

from runtime.linux.openat2 import make_directories

DEEP = "/a" * 1100  # an image may have any WORKDIR, and Python calls itself a thousand times


def test_a_deep_path_is_no_reason_to_fail(tmp_path: Path) -> None:
    below = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    made, again = make_directories(below, DEEP), make_directories(below, DEEP)
    assert os.path.samestat(os.fstat(made), os.fstat(again))
    assert os.path.samestat(os.fstat(made), os.stat(f"{tmp_path}{DEEP}"))
    for fd in (below, made, again):
        os.close(fd)
    subprocess.run(("rm", "-r", tmp_path / "a"), check=True)  # pytest would call itself, too
