"""One container's monitor is stopped, another's processes are frozen: all commands on the others answer, and those that
only look answer for these two as well. Whatever would wait for them does not come back, and is the failure.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.leaks import hierarchies
from tests.root.containers.room import wait_until
from tests.waiting import stop

HANG = 60.0  # seconds: by far more than any of these takes


def init_of(engine: Engine, name: str) -> int:
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))


def monitor_of(engine: Engine, name: str) -> int:
    return int(Path(f"/proc/{init_of(engine, name)}/stat").read_text().rpartition(")")[2].split()[1])


def freezer(token: str, id: str) -> tuple[Path, str, str]:
    """The file that freezes the container's cgroup, and what is written to it: v1's, or v2's."""
    for hierarchy in hierarchies():
        for name, frozen, thawed in (("freezer.state", "FROZEN", "THAWED"), ("cgroup.freeze", "1", "0")):
            if (path := hierarchy / token / id / name).exists():
                return path, frozen, thawed
    raise AssertionError("no freezer")


@contextmanager
def stuck(engine: Engine, token: str) -> Iterator[None]:
    """`deaf` has a stopped monitor, `frozen` is frozen behind our back, `well` is neither."""
    ids = {name: engine.ok("run", "-d", "--name", name, "busybox", "sh", "-c", f"echo {name}; exec sleep 1000")
           for name in ("deaf", "frozen", "well")}
    for name in ids:
        wait_until(lambda name=name: engine.ok("logs", name) == name)
    monitor = monitor_of(engine, "deaf")
    file, freeze, thaw = freezer(token, ids["frozen"])
    stop(monitor)
    file.write_text(freeze)
    try:
        yield
    finally:
        file.write_text(thaw)
        os.kill(monitor, signal.SIGCONT)


@pytest.fixture
def three(engine: Engine, token: str) -> Iterator[Engine]:
    with stuck(engine, token):
        yield engine


def quick(engine: Engine, *argv: str) -> str:
    return engine.ok(*argv, timeout=HANG)


def look(engine: Engine) -> None:
    assert sorted(quick(engine, "ps", "--format", "{{.Names}}").split()) == ["deaf", "frozen", "well"]
    found = json.loads(quick(engine, "inspect", "deaf", "frozen", "well"))
    assert [one["State"]["Status"] for one in found] == ["running"] * 3
    assert [quick(engine, "logs", name) for name in ("deaf", "frozen", "well")] == ["deaf", "frozen", "well"]
    figures = quick(engine, "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}").splitlines()
    assert sorted(figures) == ["deaf 1", "frozen 1", "well 1"]
    for name in ("deaf", "frozen", "well"):
        assert "sleep 1000" in quick(engine, "top", name, "-o", "pid,args")


def test_who_looks_is_answered(three: Engine) -> None:
    look(three)


def test_by_a_server_that_begins_now_as_well(make_engine: Callable[..., Engine], token: str) -> None:
    engine = make_engine()
    engine.import_busybox()
    with stuck(engine, token):
        engine.kill()
        look(engine)


def test_the_others_do_everything(three: Engine) -> None:
    assert quick(three, "exec", "well", "echo", "x") == "x"
    assert quick(three, "run", "--rm", "busybox", "echo", "y") == "y"
    quick(three, "pause", "well")
    quick(three, "unpause", "well")
    quick(three, "update", "--cpu-shares", "512", "well")
    quick(three, "rename", "deaf", "other")
    quick(three, "restart", "-t", "0", "well")
    quick(three, "rm", "-f", "well")
    assert sorted(quick(three, "ps", "-a", "--format", "{{.Names}}").split()) == ["frozen", "other"]


def test_who_needs_the_monitor_is_told(three: Engine) -> None:
    """What was asked for in vain is not done later, when nobody expects it any more."""
    monitor = monitor_of(three, "deaf")
    for command in ("exec deaf true", "exec -d deaf touch /late", "attach --no-stdin deaf", "pause deaf",
                    "update --cpu-shares 512 deaf"):
        said = three.pydocker(*command.split(), timeout=HANG)
        assert (said.code, said.err.partition(": its ")[2]) == (
            1, f"monitor, process {monitor}, is stopped: kill -CONT {monitor} lets it go on\n")
        verb = {"exec": "exec in", "attach": "attach to"}.get(command.split()[0], command.split()[0])
        assert f"{verb} container " in said.err
    os.kill(monitor, signal.SIGCONT)
    assert quick(three, "exec", "deaf", "sh", "-c", "ls /late 2>&1 || true") == "ls: /late: No such file or directory"


@pytest.fixture
def waiting(engine: Engine) -> Iterator[int]:
    """`deaf` waits for its next run, and its monitor, whose pid this is, has been stopped."""
    engine.ok("run", "-d", "--name", "deaf", "--restart", "always", "busybox", "sleep", "1000")
    monitor = monitor_of(engine, "deaf")
    while quick(engine, "ps", "--format", "{{.State}}") != "restarting":  # each end doubles the time to the next start
        os.kill(monitor, signal.SIGCONT)
        wait_until(lambda: init_of(engine, "deaf"))
        os.kill(init_of(engine, "deaf"), signal.SIGKILL)
        wait_until(lambda: not init_of(engine, "deaf"))
        stop(monitor)
    yield monitor
    with suppress(ProcessLookupError):
        os.kill(monitor, signal.SIGCONT)


def test_between_two_runs_too_who_needs_it_is_told(engine: Engine, waiting: int) -> None:
    for command in ("update --cpu-shares 512 deaf", "pause deaf"):
        said = engine.pydocker(*command.split(), timeout=HANG)
        assert (said.code, said.err.partition(": its ")[2]) == (
            1, f"monitor, process {waiting}, is stopped: kill -CONT {waiting} lets it go on\n")
    quick(engine, "rename", "deaf", "other")
    quick(engine, "rename", "other", "deaf")


@pytest.mark.parametrize("command", ["stop -t 0", "kill", "restart -t 0", "rm -f"])
def test_between_two_runs_too_who_ends_it_lets_its_monitor_go_on(engine: Engine, waiting: int, command: str) -> None:
    quick(engine, *command.split(), "deaf")
    shown = engine.ok("ps", "-a", "--filter", "name=deaf", "--format", "{{.State}}")
    assert shown == {"restart -t 0": "running", "rm -f": ""}.get(command, "exited")


@pytest.mark.parametrize("command", ["stop -t 0", "kill", "restart -t 0", "rm -f"])
def test_who_ends_the_container_lets_its_monitor_go_on(engine: Engine, command: str) -> None:
    engine.ok("run", "-d", "--name", "deaf", "--restart", "always", "busybox", "sleep", "1000")
    init, monitor = init_of(engine, "deaf"), monitor_of(engine, "deaf")
    stop(monitor)
    quick(engine, *command.split(), "deaf")
    assert not os.path.exists(f"/proc/{init}")
    shown = engine.ok("ps", "-a", "--filter", "name=deaf", "--format", "{{.State}}")
    assert shown == {"restart -t 0": "running", "rm -f": ""}.get(command, "exited")


def test_with_rm_a_restart_lets_it_go_on_too(engine: Engine) -> None:
    """It is asked first not to remove the container at this end."""
    engine.ok("run", "-d", "--rm", "--name", "deaf", "busybox", "sleep", "1000")
    init = init_of(engine, "deaf")
    stop(monitor_of(engine, "deaf"))
    quick(engine, "restart", "-t", "0", "deaf")
    assert init_of(engine, "deaf") not in (0, init)
