"""A warm process that makes containers as a monitor does, for the race of the runtimes.

    python -m tests.bench.warm BUNDLE ROOT ROUNDS      prints the seconds of each round as a JSON list
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

from runtime.cli import main, preload
from runtime.linux import interpreter
from runtime.linux.prctl import set_child_subreaper


def call(root: str, *words: str) -> None:
    """One command of the runtime."""
    if code := main(["--root", root, *words]):
        sys.exit(f"{' '.join(words)}: exit code {code}")


def seconds(bundle: str, root: str) -> float:
    """Create, start, wait, delete."""
    pid_file = Path(root, "pid")
    began = time.perf_counter()
    call(root, "create", "--bundle", bundle, "--pid-file", str(pid_file), "warm")
    call(root, "start", "warm")
    os.waitpid(int(pid_file.read_text()), 0)
    call(root, "delete", "warm")
    return time.perf_counter() - began


def rounds(bundle: str, root: str, count: str) -> None:
    if not interpreter.protected():
        # As the engine's spawner, which is started so once for all containers.
        arguments = [*interpreter.bootstrap("tests.bench.warm:again"), bundle, root, count]
        interpreter.exec_protected(arguments, os.environ, interpreter.read_only_copy())
    preload()
    set_child_subreaper()
    gc.collect()
    gc.freeze()
    print(json.dumps([seconds(bundle, root) for _ in range(int(count) + 1)][1:]))


def again() -> None:
    rounds(*sys.argv[1:])


if __name__ == "__main__":
    again()
