"""podman and dockerd where systemd makes the cgroups (`--systemd-cgroup`): scopes with the limits, and none left."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.cgroups import busctl
from tests import leaks
from tests.root.judges.conftest import ENGINES, RUNTIMES, Engine, Pair, pair
from tests.root.judges.containerd import daemon
from tests.root.judges.docker import Docker
from tests.root.judges.engines import Island, Judge, eventually, missing, same, unmount_below
from tests.root.judges.podman import Podman

pytestmark = pytest.mark.skipif(not busctl.running(), reason="needs a host with systemd: make test-vm")

PREFIX = {"podman": "libpod", "docker": "docker"}
NEEDED = {"podman": ("podman", "runc"), "docker": ("dockerd", "docker", "containerd", "runc")}
LIMITS = ("--memory", "64m", "--memory-swap", "64m", "--pids-limit", "33", "--cpus", "0.5")
MIB = 1 << 20


def systemctl(*words: str) -> str:
    return subprocess.run(("systemctl", *words), capture_output=True, text=True, check=False, timeout=60).stdout.strip()


@pytest.fixture(scope="module")
def slice_(token: str) -> Iterator[str]:
    """A slice for the containers, which is there before a test begins: systemd keeps it until it is told to stop."""
    name = f"{token.replace('-', '_')}.slice"
    yield name
    systemctl("stop", name)


@pytest.fixture(scope="module", params=ENGINES)
def managed(request: pytest.FixtureRequest, make_directory: Callable[[str], Path], launcher: Path, slice_: str,
            scope: leaks.Scope) -> Iterator[Engine]:
    if reason := missing(*NEEDED[request.param]):
        pytest.skip(reason)
    with ExitStack() as ending:
        island = Island()
        ending.callback(island.close)
        if request.param == "podman":
            engine: Engine = Podman(make_directory("pods"), island, slice_, launcher)
        else:
            containerd = make_directory("cd")
            options = started(containerd, island, ending)
            engine = Docker(make_directory("docks"), island, slice_, launcher, *options)
        ending.callback(engine.close)
        engine.by("runc").ok("run", "--rm", "--network", "none", "busybox", "true")
        yield engine


def started(root: Path, island: Island, ending: ExitStack) -> tuple[str, str]:
    """A containerd for dockerd, which gives its own one too little time on an emulated machine."""
    process = daemon(root, island)
    ending.callback(unmount_below, root)
    ending.callback(process.wait, 60)
    ending.callback(process.terminate)
    ctr = ("ctr", "--address", f"{root}/sock", "version")
    eventually(lambda: subprocess.run(ctr, capture_output=True, check=False).returncode == 0)
    return "--containerd", f"{root}/sock"


@pytest.fixture
def judges(leak_check: None, managed: Engine) -> Iterator[Pair]:
    yield from pair(managed)


@pytest.fixture(params=RUNTIMES)
def judge(request: pytest.FixtureRequest, judges: Pair) -> Judge:
    return judges[RUNTIMES.index(request.param)]


def background(judge: Judge, *options: str) -> str:
    """A container; returns the name of its scope."""
    id = judge.ok("run", "--detach", "--network", "none", "--name", "box", *options, "busybox", "sh", "-c",
                  "trap 'exit 3' TERM; while :; do sleep 0.1; done")
    return f"{PREFIX[judge.name.split()[0]]}-{id}.scope"


def inspect(judge: Judge, word: str) -> str:
    return judge.ok("inspect", "--format", f"{{{{.State.{word}}}}}", "box")


def show(unit: str, *names: str) -> dict[str, str]:
    said = systemctl("show", *(f"--property={name}" for name in names), unit)
    return dict(line.split("=", 1) for line in said.splitlines())


def gone(unit: str) -> bool:
    return show(unit, "LoadState") == {"LoadState": "not-found"}


def test_the_limits_inside(judges: Pair) -> None:
    """What runc's container sees, ours does."""
    result = same(*judges, "run", "--rm", "--network", "none", *LIMITS, "busybox", "sh", "-c",
                  "cd /sys/fs/cgroup; cat /proc/self/cgroup memory.max memory.swap.max pids.max cpu.max")
    assert result.code == 0
    assert result.out.splitlines() == ["0::/", str(64 * MIB), "0", "33", "50000 100000"]


def test_a_life_in_a_scope(judge: Judge, slice_: str) -> None:
    """run, exec, pause, update, stop: systemd knows of each limit, and of nothing afterwards."""
    unit = background(judge, *LIMITS)
    expected = {"ActiveState": "active", "Slice": slice_, "Delegate": "yes", "MemoryMax": str(64 * MIB),
                "TasksMax": "33", "CPUQuotaPerSecUSec": "500ms"}  # (runc 1.1 tells no MemorySwapMax that is 0)
    assert show(unit, *expected) == expected
    pid = inspect(judge, "Pid")
    assert Path(f"/proc/{pid}/cgroup").read_text() == f"0::/{slice_}/{unit}\n"
    place = Path("/sys/fs/cgroup", slice_, unit)
    assert judge.ok("exec", "box", "sh", "-c", "echo $$; cat /proc/self/cgroup").split()[1] == "0::/"
    judge.ok("pause", "box")
    assert (place / "cgroup.freeze").read_text() == "1\n"
    judge.ok("unpause", "box")
    if judge.name.startswith("docker") or "update" in judge("help").out:
        judge.ok("update", "--memory", "32m", "--memory-swap", "32m", "box")
        assert show(unit, "MemoryMax") == {"MemoryMax": str(32 * MIB)}
        systemctl("daemon-reload")
        assert (place / "memory.max").read_text() == f"{32 * MIB}\n"
    judge.ok("stop", "box")
    eventually(lambda: inspect(judge, "ExitCode") == "3")
    eventually(lambda: gone(unit))


def test_killed_from_outside(judge: Judge) -> None:
    unit = background(judge)
    os.kill(int(inspect(judge, "Pid")), signal.SIGKILL)
    eventually(lambda: inspect(judge, "Status") == "exited")
    assert inspect(judge, "ExitCode") == "137"
    eventually(lambda: gone(unit))
