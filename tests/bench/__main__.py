"""`python -m tests.bench [--engines docker,podman,pydocker] [--only run,exec] [--rounds 10] [--json FILE]`, as root.

The engines take turns within each scenario (A B C A B C …), so a machine that gets slower does so for all of them. The
first turn of each warms up and is not counted. Everything runs in a mount namespace of its own, in temporary
directories, with sockets and cgroups of its own; what is cached for the next run is the image that is pulled, see
`image`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import leaks
from tests.bench import bridged, report, runtimes, traffic
from tests.bench.engines import ENGINES, BenchEngine, Failed, Skipped
from tests.bench.image import Registry, cache_directory, ensure_image
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.engine import busybox_archive

SIZE = 20 << 30  # bytes that the engines' disk may grow to
RUNTIMES = "runtimes"  # the scenario in which no engine takes part
BRIDGED, TRAFFIC = bridged.SCENARIO.name, "traffic"  # those in which engines have networks
ALONE = (BRIDGED, RUNTIMES, TRAFFIC)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    if os.geteuid() != 0:
        print("only root can start these engines: sudo make bench", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    leaks.isolate_network()
    leaks.isolate_mounts()
    try:
        with ExitStack() as everything:
            run(options, everything)
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is ended", file=sys.stderr)
        return 130
    return 0


def stop(number: int, frame: object) -> None:
    """End what was started, once: a second Ctrl-C must not break into that."""
    for later in (signal.SIGINT, signal.SIGTERM):
        signal.signal(later, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--engines", default=",".join(ENGINES), help="a list of: %(default)s")
    parser.add_argument("--only", default=",".join((*SCENARIOS, *ALONE)), help="a list of: %(default)s")
    parser.add_argument("--rounds", type=int, default=10, help="turns that count (default %(default)s; pull: 3)")
    parser.add_argument("--json", type=Path, help="write every single time there, too")
    options = parser.parse_args(argv)
    for field, known in (("engines", ENGINES), ("only", (*SCENARIOS, *ALONE))):
        chosen = getattr(options, field).split(",")
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"--{field}: no such thing: {', '.join(unknown)}")
        setattr(options, field, chosen)
    return options


def run(options: argparse.Namespace, everything: ExitStack) -> None:
    """Start what is needed, race, print. Whatever was started is on the stack."""
    directory = Path(tempfile.mkdtemp(prefix="pydocker-bench-", dir="/var/tmp"))
    everything.callback(leaks.remove_tree, directory)
    print(report.machine())
    everything.enter_context(own_file_system(directory))
    if scenarios := [SCENARIOS[name] for name in options.only if name not in ALONE]:
        run_engines(options, scenarios, directory, everything)
    if BRIDGED in options.only:
        run_alone(bridged.race, directory, options)
    if RUNTIMES in options.only:
        run_alone(runtimes.race, directory, options)
    if TRAFFIC in options.only:
        run_alone(traffic.race, directory, options)
    print(report.foot())


def run_engines(options: argparse.Namespace, scenarios: list[Scenario], directory: Path, everything: ExitStack) -> None:
    image = ""
    if any(scenario.pulls for scenario in scenarios):
        image, scenarios = pulled_image(directory, scenarios, everything)
    target = scratch(directory, everything) if any(scenario.pushes for scenario in scenarios) else ""
    engines = started(options.engines, directory, everything)
    print(report.head([engine.name for engine in engines]), flush=True)
    times = {}
    for scenario in scenarios:
        times[scenario.name], failures = race(
            scenario, engines, options.rounds, target if scenario.pushes else image)
        print(report.row(scenario, times[scenario.name], [engine.name for engine in engines]), flush=True)
        for name, failure in failures.items():
            print(f"    {name}: {failure}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(times, indent=1))


def run_alone(race: Callable[[Path, int], Iterator[str]], directory: Path, options: argparse.Namespace) -> None:
    try:
        for line in race(directory, options.rounds):
            print(line, flush=True)
    except Failed as failure:
        print(f"{race.__module__.rpartition('.')[2]}: {failure}")
    finally:
        leaks.remove_parents(directory.name)


@contextmanager
def own_file_system(directory: Path) -> Iterator[None]:
    """Mount a new ext4 with a journal on `directory`, where that can be had.

    The engines then write to the same fresh disk, whatever the machine's is like. (ext4 without a journal does not
    give an inode away again for some seconds: who pulls soon after a removal searches longer, turn by turn.)
    """
    disk = directory.with_suffix(".disk")
    try:
        with disk.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run(("mkfs.ext4", "-q", disk), check=True, capture_output=True)
        mounted = subprocess.run(("mount", "-o", "loop", disk, directory), check=False, capture_output=True, text=True)
        if mounted.returncode:
            print(f"on the machine's own file system: {mounted.stderr.strip()}")
        try:
            yield
        finally:
            if not mounted.returncode:
                subprocess.run(("umount", directory), check=True)
    finally:
        disk.unlink()


def pulled_image(directory: Path, scenarios: list[Scenario], everything: ExitStack) -> tuple[str, list[Scenario]]:
    """The reference of the image to pull; without the tools to make it, the scenarios that are left."""
    try:
        ensure_image(cache_directory())
        return everything.enter_context(Registry(directory, cache_directory())).image, scenarios
    except (Skipped, Failed) as reason:
        print(f"pull: skipped: {reason}")
        return "", [scenario for scenario in scenarios if not scenario.pulls]


def scratch(directory: Path, everything: ExitStack) -> str:
    """A repository of a registry that has nothing yet, and goes with this run."""
    place = directory / "pushed"
    place.mkdir()
    return everything.enter_context(Registry(place, place)).image.rpartition(":")[0]


def started(names: list[str], directory: Path, everything: ExitStack) -> list[BenchEngine]:
    """The engines that are here, started, each with the busybox image."""
    engines = []
    archive = busybox_archive()
    for name in names:
        try:
            engine = everything.enter_context(ENGINES[name](directory / name))
            engine.load(archive)
            engines.append(engine)
            print(f"{name}: {engine.version()}", flush=True)
        except (Skipped, Failed) as reason:
            print(f"{name}: skipped: {reason}", flush=True)
    return engines


def race(scenario: Scenario, engines: list[BenchEngine], rounds: int, image: str
         ) -> tuple[dict[str, list[float]], dict[str, str]]:
    """(seconds of each engine, one for each turn; why an engine that failed did)."""
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    failures: dict[str, str] = {}
    for turn in range(min(rounds, scenario.most_rounds) + 1):
        for engine in engines:
            if engine.name in failures:
                continue
            try:
                seconds = scenario.time(engine, image)
            except Failed as failure:
                failures[engine.name] = str(failure)
                times[engine.name] = []
                continue
            if turn:
                times[engine.name].append(seconds)
    return times, failures


if __name__ == "__main__":
    sys.exit(main())
