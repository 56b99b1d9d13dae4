"""What is timed: a function of an engine that prepares, does the work once, cleans up, and returns seconds of the work.

No scenario uses a network, so that all engines do the same. Commands are Docker's; all three understand them.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.engines import IMAGE, BenchEngine

RUN = ("run", "--network", "none")
# Obeys SIGTERM at once, as a well-behaved service does.
SERVICE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.01; done")


@dataclass(frozen=True)
class Scenario:
    """`time(engine, image to pull)` in seconds; `most_rounds` bounds what takes long."""

    name: str
    time: Callable[[BenchEngine, str], float]
    most_rounds: int = 1000
    pulls: bool = False


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


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario("run", run),
    Scenario("exec", exec_),
    Scenario("ps", ps),
    Scenario("run-d", run_detached),
    Scenario("stop+rm", stop_and_remove),
    Scenario("pull", pull, most_rounds=3, pulls=True),
)}
