"""No more processes are to be had: whoever needs one says so in one line, and goes on when there are some again.

The limit is a cgroup's (pids.max): RLIMIT_NPROC does not hold for root.
"""

import os
import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pydocker.errors import PydockerError
from pydocker.layers.workers import Workers
from pydocker.monitor.birth import Birth
from pydocker.monitor.launch import FILE
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.plan import Create
from tests.engine import CHECKOUT, COLD, Engine
from tests.leaks import hierarchies, remove_cgroup
from tests.root.containers.room import name, wait_until

NONE = "resource temporarily unavailable (fork(2))"


@pytest.fixture
def limited(token: str) -> Iterator[Path]:
    """A cgroup with the controller pids, v1's or v2's."""
    for hierarchy in hierarchies():
        directory = hierarchy / f"{token}-pids"
        directory.mkdir()
        if (directory / "pids.max").exists():
            yield directory
            remove_cgroup(directory)
            return
        directory.rmdir()
    pytest.skip("no cgroup limits processes here")


@contextmanager
def no_more(limited: Path, pid: int, more: int = 0) -> Iterator[None]:
    """The process may have no other one, nor its children; or so many `more`, if it has one thread.

    Nothing at all, and not as many threads as it has: one of them may be about to end.
    """
    home = cgroup_of(limited.parent, pid)
    (limited / "cgroup.procs").write_text(str(pid))
    (limited / "pids.max").write_text(str(more and 1 + more))
    try:
        yield
    finally:
        (limited / "pids.max").write_text("max")
        while left := (limited / "cgroup.procs").read_text().split():  # one may fork meanwhile
            for one in left:
                with suppress(ProcessLookupError):  # it has just ended
                    (home / "cgroup.procs").write_text(one)


def cgroup_of(hierarchy: Path, pid: int) -> Path:
    """Where it is in the hierarchy of pids (cgroups(7), /proc/pid/cgroup): v1's, if there is one."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    found = {controller: path for _, controllers, path in lines for controller in controllers.split(",")}
    return hierarchy / found.get("pids", found.get("", "/")).lstrip("/")


def called(engine: Engine, wanted: str) -> int:
    """The only one of that name: who has just been forked has its parent's."""
    found: list[int] = []

    def alone() -> bool:
        found[:] = (pid for pid in engine.processes() if name(pid) == wanted)
        return len(found) == 1

    wait_until(alone)
    return found[0]


def test_the_warm_process_leaves_it_to_the_caller(engine: Engine, limited: Path) -> None:
    with no_more(limited, called(engine, "pydocker-warm")):
        assert engine.ok("ps", "-q") == ""


def test_the_server(engine: Engine, limited: Path) -> None:
    server, = engine.server()
    with no_more(limited, server):
        assert "begin another thread: the limit of processes is reached" in engine.pydocker("ps").err
    assert engine.ok("ps", "-q") == ""
    assert engine.server() == [server]


def test_the_spawner(engine: Engine, limited: Path) -> None:
    engine.ok("run", "-d", "--name", "up", "busybox", "sleep", "1000")
    spawner = called(engine, "pydocker-spawn")
    with no_more(limited, spawner):
        refused = engine.pydocker("run", "--name", "late", "busybox", "true")
        assert refused.code == 125 and f"fork a monitor: {NONE}" in refused.err
        assert sorted(engine.ok("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()) == [
            "late created", "up running"]
    with no_more(limited, spawner, 1):
        for flags in ((), ("-d",)):
            refused = engine.pydocker("run", "--rm", *flags, "busybox", "true")
            assert refused.code == 125 and "resource temporarily unavailable" in refused.err
    engine.ok("start", "late")
    assert called(engine, "pydocker-spawn") == spawner


def test_a_monitor(engine: Engine, limited: Path) -> None:
    engine.ok("run", "-d", "--name", "up", "busybox", "sleep", "1000")
    monitor = called(engine, "pydocker-mon")
    engine.ok("exec", "up", "true")  # from the first one on, its cgroup is open
    before = len(os.listdir(f"/proc/{monitor}/fd"))
    with no_more(limited, monitor):
        refused = engine.pydocker("exec", "up", "true")
        assert (refused.code, refused.out) == (126, f"fork a process for the OCI runtime: {NONE}\n")
    assert engine.ok("exec", "up", "echo", "again") == "again"
    wait_until(lambda: len(os.listdir(f"/proc/{monitor}/fd")) <= before)


def test_who_unpacks_layers(limited: Path, tmp_path: Path) -> None:
    (tmp_path / "blob").touch()
    lock = os.open(tmp_path, os.O_RDONLY)
    with Workers() as workers:
        workers._started()
        assert workers._process is not None
        with no_more(limited, workers._process.pid):
            job = workers.unpack(tmp_path, lock, tmp_path / "blob")
            with pytest.raises(PydockerError, match=re.escape(f"fork a process to unpack: {NONE}")):
                job.result()
            job.close()
    os.close(lock)


def test_who_starts_the_server(fresh_engine: Engine, limited: Path) -> None:
    (limited / "pids.max").write_text("1")
    command = ("sh", "-c", 'echo 0 >"$0"/cgroup.procs; exec "$@"', limited, *COLD, "ps")
    done = subprocess.run(command, env=fresh_engine.environment, cwd=CHECKOUT, capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr) == (
        1, "the server did not start: fork a process: resource temporarily unavailable\n")


def test_nothing_stays_open(tmp_path: Path) -> None:
    """For others than root, the limit of a user's processes is as good."""
    (tmp_path / FILE).touch()
    (tmp_path / FILE).chmod(0o644)
    tmp_path.chmod(0o755)
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.chdir(tmp_path)
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            os.setresuid(65534, 65534, 65534)
            at = Birth(cast("Any", SimpleNamespace(run_path=Path())), Runtime((), "/nowhere", Path("/nowhere/log")))
            before = descriptors()
            at.stdio = (os.open(os.devnull, os.O_RDWR),) * 3
            with pytest.raises(PydockerError, match="fork a process for the OCI runtime: resource temporarily"):
                Create("id", "/nowhere").apply(at)
            code = 0 if descriptors() == before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def descriptors() -> set[int]:
    """Those that are open. (The directory in /proc of who has given up being root is root's.)"""
    found = set()
    for fd in range(256):
        with suppress(OSError):
            os.fstat(fd)
            found.add(fd)
    return found
