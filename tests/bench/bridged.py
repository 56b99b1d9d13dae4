"""`run --rm` on each engine's default bridge, with its firewall rules: Docker's with iptables, podman's by netavark.

Each engine has a network namespace of its own: none of them finds the others' rules, and all is gone with it.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from pydocker.network import namespace
from tests.bench import report
from tests.bench.engines import IMAGE, PODMAN_CONF, BenchEngine, Docker, Failed, Podman, Pydocker, Skipped
from tests.bench.scenarios import Scenario, clock
from tests.engine import busybox_archive
from tests.root.ports.hosts import Host


class Apart(BenchEngine):
    """In a namespace of its own, the commands too."""

    def __enter__(self) -> BenchEngine:
        self._host = Host(namespace.make())
        self._host.run("ip", "link", "set", "lo", "up")
        with self._host.inside():
            return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._host.inside():
            super().__exit__(kind, error, at)
        os.close(self._host.fd)

    def __call__(self, *argv: str, input: bytes = b"") -> str:
        with self._host.inside():
            return super().__call__(*argv, input=input)


class DockerBridge(Apart, Docker):
    network = ("--bip", "172.30.0.1/24")


class PodmanBridge(Apart, Podman):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.configuration = (f'{PODMAN_CONF}[network]\nnetwork_backend = "netavark"\n'
                              f'network_config_dir = "{root}/networks"\n')


class PydockerBridge(Apart, Pydocker):
    pass


def run(engine: BenchEngine, image: str) -> float:
    return clock(engine, "run", "--rm", "--name", "bench-bridged", IMAGE, "/bin/true")


SCENARIO = Scenario("run-net", run)


def race(directory: Path, rounds: int) -> Iterator[str]:
    """Lines of a table; the engines take turns."""
    with ExitStack() as everything:
        engines: list[BenchEngine] = []
        for kind in (DockerBridge, PodmanBridge, PydockerBridge):  # podman's paths must not be longer than 50 letters
            with suppress(Skipped):
                engine = everything.enter_context(kind(directory / f"n-{kind.name}"))
                engine.load(busybox_archive())
                engines.append(engine)
        times: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for turn in range(rounds + 1):
            for engine in tuple(engines):
                try:
                    seconds = run(engine, IMAGE)
                except (Failed, subprocess.SubprocessError) as failure:
                    yield f"{engine.name}: {failure}"
                    engines.remove(engine)
                    times[engine.name] = []
                else:
                    times[engine.name] += [seconds] * bool(turn)
        yield report.head([*times])
        yield report.row(SCENARIO, times, [*times])
