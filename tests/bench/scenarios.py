"""What is timed: a function of an engine that prepares, does the work once, cleans up, and returns seconds of the work.

No scenario here uses a network, so that all engines do the same (those of `bridged` and `traffic` do). Commands are
Docker's; all three understand them.
"""

import io
import os
import statistics
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.engines import IMAGE, BenchEngine
from tests.bench.image import tool

PUSHED = 60_000_000  # bytes
COPIED = 100_000_000
MANY = 50  # containers
LINES = 300_000
RUN = ("run", "--network", "none")
# Obeys SIGTERM at once, as a well-behaved service does.
SERVICE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done")


@dataclass(frozen=True)
class Scenario:
    """`time(engine, image to pull or to push)`, in seconds if `scale` is left alone; `most_rounds`: it takes long."""

    name: str
    time: Callable[[BenchEngine, str], float]
    most_rounds: int = 1000
    pulls: bool = False
    pushes: bool = False
    scale: float = 1000.0  # what is shown: milliseconds, or (1.0) what `time` returns as it is


def clock(engine: BenchEngine, *argv: str) -> float:
    """Seconds of wall time that one command takes."""
    start = time.perf_counter()
    engine(*argv)
    return time.perf_counter() - start


def run(engine: BenchEngine, image: str) -> float:
    return clock(engine, *RUN, "--rm", IMAGE, "/bin/true")


def exec_(engine: BenchEngine, image: str) -> float:
    engine(*RUN, "-d", "--name", "bench-exec", IMAGE, "sleep", "1000")
    try:
        return statistics.median(clock(engine, "exec", "bench-exec", "/bin/true") for _ in range(3))
    finally:
        engine.remove("bench-exec")


def ps(engine: BenchEngine, image: str) -> float:
    """With one running and one ended container to list."""
    engine(*RUN, "-d", "--name", "bench-up", IMAGE, "sleep", "1000")
    engine(*RUN, "--name", "bench-ended", IMAGE, "/bin/true")
    try:
        return statistics.median(clock(engine, "ps", "-a") for _ in range(3))
    finally:
        engine.remove("bench-up", "bench-ended")


def run_detached(engine: BenchEngine, image: str) -> float:
    try:
        return clock(engine, *RUN, "-d", "--name", "bench-detached", IMAGE, "sleep", "1000")
    finally:
        engine.remove("bench-detached")


def stop_and_remove(engine: BenchEngine, image: str) -> float:
    engine(*RUN, "-d", "--name", "bench-stop", IMAGE, *SERVICE)
    time.sleep(0.2)  # until the shell has set its trap
    return clock(engine, "stop", "bench-stop") + clock(engine, "rm", "bench-stop")


def pull(engine: BenchEngine, image: str) -> float:
    """With nothing of it there, and with no writing of the last turn under way."""
    if image in engine.images():
        engine("rmi", "-f", image)
    os.sync()
    seconds = clock(engine, "pull", *engine.plain_http, image)
    engine("rmi", "-f", image)
    return seconds


def save(engine: BenchEngine, image: str) -> float:
    """To a file, of an image that was pulled."""
    if image not in engine.images():
        engine("pull", *engine.plain_http, image)
    archive = engine.root / "saved.tar"
    archive.unlink(missing_ok=True)
    os.sync()
    return clock(engine, "save", "-o", str(archive), image)


def load(engine: BenchEngine, image: str) -> float:
    """What the engine itself saves, with nothing of it there."""
    if not (archive := engine.root / "saved.tar").exists():
        save(engine, image)
    return loaded(engine, image, archive)


def load_plain(engine: BenchEngine, image: str) -> float:
    """The archive of an older Docker, whose layers are not compressed; the same one for all."""
    archive = engine.root.parent / "plain.tar"
    if not archive.exists():
        tool("skopeo", "copy", "--insecure-policy", "--src-tls-verify=false", f"docker://{image}",
             f"docker-archive:{archive}:{image}")
    return loaded(engine, image, archive)


def loaded(engine: BenchEngine, image: str, archive: Path) -> float:
    if image in engine.images():
        engine("rmi", "-f", image)
    os.sync()
    return clock(engine, "load", "-i", str(archive))


def push(engine: BenchEngine, image: str) -> float:
    """One layer that no registry has seen. Random bytes: whoever compresses them again gains nothing by it."""
    name = f"{image}:{engine.name}"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = PUSHED
        tar.addfile(entry, io.BytesIO(os.urandom(PUSHED)))
    engine("import", "-", name, input=content.getvalue())
    os.sync()
    seconds = clock(engine, "push", *engine.plain_http, name)
    engine("rmi", "-f", name)
    return seconds


def copy_in(engine: BenchEngine, image: str) -> float:
    """One file of random bytes, into a running container."""
    source = engine.root.parent / "copied"
    if not source.exists():
        source.write_bytes(os.urandom(COPIED))
    engine(*RUN, "-d", "--name", "bench-cp", IMAGE, "sleep", "1000")
    os.sync()
    try:
        return clock(engine, "cp", str(source), "bench-cp:/copied")
    finally:
        engine.remove("bench-cp")


def copy_out(engine: BenchEngine, image: str) -> float:
    """The same file, out of it."""
    target = engine.root / "copied"
    target.unlink(missing_ok=True)
    engine(*RUN, "-d", "--name", "bench-cp", IMAGE, "sh", "-c", f"head -c {COPIED} /dev/urandom > /copied; sleep 1000")
    while int(engine("exec", "bench-cp", "sh", "-c", "wc -c < /copied")) < COPIED:
        time.sleep(0.1)
    os.sync()
    try:
        return clock(engine, "cp", "bench-cp:/copied", str(target))
    finally:
        engine.remove("bench-cp")


def many_starts(engine: BenchEngine, image: str) -> float:
    """Fifty containers, eight commands at a time."""
    names = [f"bench-many-{number}" for number in range(MANY)]
    began = time.perf_counter()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: engine(*RUN, "-d", "--name", name, IMAGE, "sleep", "1000"), names))
        return time.perf_counter() - began
    finally:
        engine.remove(*names)


def many_removals(engine: BenchEngine, image: str) -> float:
    """Fifty running containers, by one command."""
    names = [f"bench-many-{number}" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: engine(*RUN, "-d", "--name", name, IMAGE, "sleep", "1000"), names))
    return clock(engine, *engine.kill_and_remove, *names)


def lines_attached(engine: BenchEngine, image: str) -> float:
    """What a container prints, seen by who runs it (and written to its log)."""
    return clock(engine, *RUN, "--rm", IMAGE, "seq", str(LINES))


def lines_read(engine: BenchEngine, image: str) -> float:
    """The same, from its log."""
    engine(*RUN, "--name", "bench-lines", IMAGE, "seq", str(LINES))
    try:
        return clock(engine, "logs", "bench-lines")
    finally:
        engine.remove("bench-lines")


def memory(engine: BenchEngine, image: str) -> float:
    """MiB (PSS) that one more idle container costs, its own process not counted."""
    names = [f"bench-idle-{number}" for number in range(11)]
    try:
        engine(*RUN, "-d", "--name", names[0], IMAGE, "sleep", "1000")
        before = proportional_kilobytes(engine)
        for name in names[1:]:
            engine(*RUN, "-d", "--name", name, IMAGE, "sleep", "1000")
        return (proportional_kilobytes(engine) - before) / 1024 / (len(names) - 1)
    finally:
        engine.remove(*names)


def proportional_kilobytes(engine: BenchEngine) -> int:
    """Of all processes that know the engine's directory: daemons, monitors, shims (proc(5), smaps_rollup)."""
    time.sleep(1)  # what has just begun comes to rest
    found, mark = 0, os.fsencode(engine.root)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if mark in (process / "cmdline").read_bytes() or mark in (process / "environ").read_bytes():
                found += int((process / "smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
    return found


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("run", run),
    Scenario("exec", exec_),
    Scenario("ps", ps),
    Scenario("run-d", run_detached),
    Scenario("stop+rm", stop_and_remove),
    Scenario("start-50", many_starts, most_rounds=3),
    Scenario("rm-50", many_removals, most_rounds=3),
    Scenario("lines", lines_attached, most_rounds=3),
    Scenario("logs", lines_read, most_rounds=3),
    Scenario("idle MiB", memory, most_rounds=1, scale=1.0),
    Scenario("cp-in", copy_in, most_rounds=5),
    Scenario("cp-out", copy_out, most_rounds=5),
    Scenario("pull", pull, most_rounds=3, pulls=True),
    Scenario("push", push, most_rounds=5, pushes=True),
    Scenario("save", save, most_rounds=3, pulls=True),
    Scenario("load", load, most_rounds=3, pulls=True),
    Scenario("load-plain", load_plain, most_rounds=3, pulls=True),
)}
