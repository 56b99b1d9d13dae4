"""What the run prints: the machine, and a row for each scenario with medians in milliseconds and pydocker's ratios."""

import os
import statistics
from collections.abc import Mapping, Sequence

from tests.bench.scenarios import Scenario

LAST = "pydocker"
# What the project aims at on two processors, beside the figures.
GOALS = {"run": "≤ 0.40 x docker", "run-net": "≤ 0.40 x docker, podman",
         "exec": "≤ 0.70 x docker", "ps": "≤ 80 ms", "pull": "≤ 0.33 x docker",
         "run-d": "≤ 0.40 x docker", "stop+rm": "≤ 0.50 x docker", "start-50": "≤ 0.50 x docker, 0.70 x podman",
         "rm-50": "≤ 0.50 x docker", "lines": "≤ 1.00 x podman", "logs": "≤ 0.50 x docker",
         "idle MiB": "≤ 1.5", "cp-in": "≤ 1.00 x docker", "push": "≤ 0.50 x podman",
         "save": "≤ 0.70 x docker", "load": "≤ 0.70 x docker", "load-plain": "≤ 0.70 x docker"}
FIRST, WIDTH = 11, 14


def machine() -> str:
    """One line: what else the figures depend on."""
    kernel = os.uname()
    return (f"{os.cpu_count()} processors, Linux {kernel.release} {kernel.machine}, "
            f"load {os.getloadavg()[0]:.2f}: medians, in milliseconds")


def head(names: Sequence[str]) -> str:
    ratios = [f"{LAST}/{name}" for name in names if name != LAST] if LAST in names else []
    return "\n" + f"{'scenario':{FIRST}}" + "".join(f"{name:>{WIDTH}}" for name in names) + "".join(
        f"{ratio:>{WIDTH + 4}}" for ratio in ratios) + ("   goal" if ratios else "")


def row(scenario: Scenario, times: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    medians = {name: statistics.median(times[name]) for name in names if times[name]}
    line = f"{scenario.name:{FIRST}}" + "".join(
        f"{medians[name] * scenario.scale:{WIDTH}.1f}" if name in medians else f"{'failed':>{WIDTH}}" for name in names)
    if LAST not in names:
        return line
    for name in names:
        if name != LAST:
            both = name in medians and LAST in medians
            line += f"{medians[LAST] / medians[name]:{WIDTH + 4}.2f}" if both else f"{'-':>{WIDTH + 4}}"
    return f"{line}   {GOALS.get(scenario.name, '')}".rstrip()


def foot() -> str:
    return """
A ratio below 1.00: pydocker is faster. To try next:
  python -m tests.bench --only run,exec --rounds 30    a closer look at two of them
  python -m tests.bench --json times.json              every single time
  make help                                            what else there is"""
