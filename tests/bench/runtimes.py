"""The race of the OCI runtimes: `run` of /bin/true, one bundle, in turns; and where our time goes, step by step.

    command line   each as a command, from fork to the end
    warm           ours alone, as the engine's monitor calls it (see `warm`): create, start, wait, delete

The bundle is what runc's own `spec` writes, in short: new namespaces, the usual mounts, no network set up. What the
runtimes note lies in memory, as it does in /run: a disk would make those wait who replace a file that is not yet on it.
"""

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runtime.cgroups import read_layout
from runtime.spec import Linux, Process, Root, Spec, encode
from runtime.spec.defaults import (
    DEFAULT_PATH,
    MASKED_PATHS,
    READONLY_PATHS,
    default_mounts,
    default_namespaces,
)
from tests.bench.engines import Failed, installed
from tests.engine import CHECKOUT

OURS = "pydocker-runtime"
# Beside runc 1.1.5, on two processors.
COMMAND_LINE, WARM = "command line", "warm"
GOALS = {COMMAND_LINE: "≤ 2.00 x runc", WARM: "≤ 0.50 x runc"}
SHOWN = 12  # steps


def race(directory: Path, rounds: int) -> Iterator[str]:
    """Lines to print: the medians, and the steps of ours."""
    with memory(directory / "run") as run:
        yield from raced(directory, run, rounds)


@contextmanager
def memory(place: Path) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "tmpfs", place), check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", place), check=True)


def raced(directory: Path, run: Path, rounds: int) -> Iterator[str]:
    bundle = made_bundle(directory)
    names = [name for name in ("runc", "crun") if shutil.which(name)]
    if "crun" in names and read_layout().v1:
        names.remove("crun")
        yield "crun: skipped: it refuses hosts with cgroup v1 hierarchies"
    commands = {name: [name, "--root", str(run / name)] for name in names}
    commands[OURS] = [str(installed(directory) / OURS), "--root", str(run / OURS)]
    with warm(run / WARM, bundle) as clocked:
        clocks = {name: functools.partial(clock_run, command, bundle) for name, command in commands.items()}
        found = medians({**clocks, WARM: clocked}, rounds)
    yield ""
    yield f"{'runtime':14}" + "".join(f"{name:>18}" for name in commands) + f"{'ratio':>10}   goal"
    for row, ours in ((COMMAND_LINE, found[OURS]), (WARM, found[WARM])):
        others = "".join(f"{found[name] * 1000:18.1f}" for name in names)
        ratio = f"{ours / found['runc']:10.2f}" if "runc" in found else f"{'-':>10}"
        yield f"{row:14}{others}{ours * 1000:18.1f}{ratio}   {GOALS[row]}"
    yield ""
    yield "where it goes (--trace, medians of each kind of step):"
    yield from steps(commands[OURS], directory, bundle, rounds)


def made_bundle(directory: Path) -> Path:
    bundle = directory / "bundle"
    programs = bundle / "rootfs" / "bin"
    programs.mkdir(parents=True)
    shutil.copy("/bin/busybox", programs / "true")
    spec = Spec(oci_version="1.0.2", hostname="bench", root=Root(path="rootfs"), mounts=default_mounts(),
                process=Process(args=("/bin/true",), cwd="/", env=(DEFAULT_PATH,)),
                linux=Linux(namespaces=default_namespaces(), masked_paths=MASKED_PATHS, readonly_paths=READONLY_PATHS,
                            cgroups_path=f"/{directory.name}/bench"))
    (bundle / "config.json").write_bytes(encode(spec))
    return bundle


def medians(clocks: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Seconds, by name, of those that take turns; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in clocks}
    for turn in range(rounds + 1):
        for name, clocked in clocks.items():
            seconds = clocked()
            times[name] += [seconds] if turn else []
    return {name: statistics.median(found) for name, found in times.items()}


def clock_run(command: list[str], bundle: Path) -> float:
    return clock([*command, "run", "--bundle", str(bundle), "turn"])


def clock(command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise Failed(f"{command[0]}: exit code {done.returncode}: {done.stderr.strip()}")
    return seconds


@contextmanager
def warm(root: Path, bundle: Path) -> Iterator[Callable[[], float]]:
    """A warm process; what is yielded has it make one container."""
    root.mkdir()
    with subprocess.Popen((sys.executable, "-m", "tests.bench.warm", bundle, root), cwd=CHECKOUT, text=True,
                          env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, told = process.stdin, process.stdout

        def clocked() -> float:
            print(file=asked, flush=True)
            if not (line := told.readline()):
                raise Failed("warm: it has ended")
            return float(line)

        yield clocked


def steps(command: list[str], directory: Path, bundle: Path, rounds: int) -> Iterator[str]:
    """The kinds of steps that take longest; what one waits for while another works is in both."""
    took: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds):
        trace = directory / f"trace{turn}"
        clock([*command, "run", "--bundle", str(bundle), "--trace", str(trace), f"traced{turn}"])
        sums: dict[str, int] = defaultdict(int)
        for line in map(json.loads, trace.read_text().splitlines()):
            sums[f"{line['side']:9}{line['step']}"] += line["took"]
        for name, microseconds in sums.items():
            took[name].append(microseconds / 1000)
    rows = sorted(((statistics.median(found), name) for name, found in took.items()), reverse=True)
    yield from (f"  {name:36}{milliseconds:8.2f}" for milliseconds, name in rows[:SHOWN])
    yield f"  {'all others':36}{sum(milliseconds for milliseconds, _ in rows[SHOWN:]):8.2f}"
