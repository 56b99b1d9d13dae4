"""A warm process that makes containers as a monitor does, for the race of the runtimes.

    python -m tests.bench.warm BUNDLE ROOT      makes a container for each line that it reads, and prints the seconds
"""

import gc
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


def rounds(bundle: str, root: str) -> None:
    if not interpreter.protected():
        # As the engine's spawner, which is started so once for all containers.
        arguments = [*interpreter.bootstrap("tests.bench.warm:again"), bundle, root]
        interpreter.exec_protected(arguments, os.environ, interpreter.read_only_copy())
    preload()
    set_child_subreaper()
    gc.collect()
    gc.freeze()
    asked = os.fdopen(os.dup(0))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    for _ in asked:
        print(seconds(bundle, root), flush=True)


def again() -> None:
    rounds(*sys.argv[1:])


if __name__ == "__main__":
    again()
