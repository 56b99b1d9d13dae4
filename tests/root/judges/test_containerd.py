"""containerd's shim runs our runtime: what `ctr` asks of it, with runc as control."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import leaks
from tests.engine import Result
from tests.root.judges.conftest import RUNTIMES, Pair
from tests.root.judges.containerd import IMAGE, Containerd
from tests.root.judges.engines import Island, Judge, eventually, missing
from tests.waiting import catches


@pytest.fixture(scope="module")
def containerd(make_directory: Callable[[str], Path], launcher: Path, token: str,
               scope: leaks.Scope) -> Iterator[Containerd]:
    if reason := missing("containerd", "ctr", "runc"):
        pytest.skip(reason)
    island = Island()
    engine = Containerd(make_directory("containerd"), island, launcher, token)
    yield engine
    engine.close()
    island.close()


@pytest.fixture
def ctrs(leak_check: None, containerd: Containerd) -> Iterator[Pair]:
    yield containerd.by("runc"), containerd.by("pydocker")
    containerd.clear()


@pytest.fixture(params=RUNTIMES)
def ctr(request: pytest.FixtureRequest, ctrs: Pair) -> Judge:
    return ctrs[RUNTIMES.index(request.param)]


@pytest.fixture
def cgroup(cgroup_parent: str) -> str:
    return f"{cgroup_parent}/box"


# `ctr` gives up pipes that it has not opened yet when the program has ended, and with them what was said
# (containerd issue 5741): a program that has to be heard begins when it is told that they are open.
TOLD = "read go; "


def heard(ctr: Judge, *words: str) -> Result:
    """The answer to a command that runs a program which begins with TOLD."""
    with ctr.popen(*words) as process:
        eventually(lambda: process.poll() is not None or open_pipes(process.pid) == {"stdin", "stdout", "stderr"})
        out, err = process.communicate("\n", timeout=60)
    return Result(process.returncode, out, err)


def open_pipes(pid: int) -> set[str]:
    """Of a container's pipes, which are called ID-stdin and so on, those that the process reads or writes."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile, or gone with the process
            flags = int(descriptor.read_text().partition("flags:")[2].split()[0], 8)
            if not flags & os.O_PATH:
                found.add(os.readlink(f"/proc/{pid}/fd/{descriptor.name}").rpartition("-")[2])
    return found & {"stdin", "stdout", "stderr"}


def background(ctr: Judge, cgroup: str, script: str, *options: str) -> None:
    ctr.ok("run", "--detach", "--cgroup", cgroup, *options, IMAGE, "box", "/bin/sh", "-c", script)


def status(ctr: Judge) -> str:
    """Of the only task."""
    return ctr.ok("tasks", "ls").splitlines()[1].split()[2]


@pytest.mark.parametrize(("options", "script", "code", "answer"), [
    ("", "id; hostname; pwd; grep Cap /proc/self/status; exit 42", 42, "uid=0(root)"),
    ("--read-only", "touch /x", 1, "Read-only file system"),
    ("--uidmap 0:100000:1000 --gidmap 0:200000:1000", "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '", 0,
     " 0 100000 1000\n 0 200000 1000"),
    ("--seccomp", "grep ^Seccomp: /proc/self/status; unshare -U true", 1, "Seccomp:\t2"),
    ("--cap-drop CAP_CHOWN --env WHO=you --cwd /tmp", "echo $WHO; pwd; chown 1 /tmp", 1, "you\n/tmp"),
    ("--net-host", "readlink /proc/self/ns/net", 0, "net:["),
])
def test_run(options: str, script: str, code: int, answer: str, ctrs: Pair, cgroup: str) -> None:
    results = []
    for ctr in ctrs:
        results.append(heard(ctr, "run", "--rm", "--cgroup", cgroup, *options.split(), IMAGE, "box", "/bin/sh", "-c",
                             TOLD + script))
    assert results[1] == results[0]
    assert results[1].code == code, results
    assert answer in results[1].out + results[1].err


def test_exec_and_terminal(ctr: Judge, cgroup: str) -> None:
    background(ctr, cgroup, "exec sleep 1000")
    said = heard(ctr, "tasks", "exec", "--exec-id", "one", "box", "/bin/sh", "-c", TOLD + "cat /proc/1/comm")
    assert said == Result(0, "sleep\n", "")
    assert ctr("tasks", "exec", "--exec-id", "two", "box", "/bin/sh", "-c", "exit 9").code == 9
    on_terminal = ("tasks", "exec", "--tty", "--exec-id", "three")
    with ctr.terminal(*on_terminal, "box", "/bin/sh", rows=30, columns=100) as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; until stty size 2>/dev/null | grep -v '^0 0'; do sleep 0.1; done; exit 4\n")
        terminal.expect("/dev/pts/")
        terminal.expect("30 100")
        assert terminal.end() == 4
    assert "box" in ctr.ok("tasks", "ls", "--quiet")
    assert len(ctr.ok("tasks", "ps", "box").splitlines()) == 2


def test_run_on_a_terminal(ctr: Judge, cgroup: str) -> None:
    with ctr.terminal("run", "--rm", "--tty", "--cgroup", cgroup, IMAGE, "box", "/bin/sh") as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; exit 3\n")
        terminal.expect("/dev/pts/0")
        assert terminal.end() == 3


def test_pause_and_resume(ctr: Judge, cgroup: str) -> None:
    background(ctr, cgroup, "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.05; done")
    pid = ctr.ok("tasks", "ls").splitlines()[1].split()[1]
    count = Path(f"/proc/{pid}/root/tmp/count")
    eventually(lambda: count.exists() and count.read_text() > "")
    ctr.ok("tasks", "pause", "box")
    assert status(ctr) == "PAUSED"
    before = count.read_text()
    time.sleep(0.3)
    assert count.read_text() == before, "a paused container counts"
    ctr.ok("tasks", "resume", "box")
    assert status(ctr) == "RUNNING"
    eventually(lambda: count.read_text() not in ("", before))


def test_metrics(ctr: Judge, cgroup: str) -> None:
    background(ctr, cgroup, "exec sleep 1000", "--memory-limit", "67108864")
    metrics = json.loads(ctr.ok("tasks", "metrics", "--format", "json", "box"))
    data = json.dumps(metrics)
    assert "67108864" in data, data
    assert "pids" in data


def test_kill_and_delete(ctr: Judge, cgroup: str) -> None:
    background(ctr, cgroup, "trap 'echo one > /tmp/one' USR1; while :; do sleep 0.05; done")
    pid = ctr.ok("tasks", "ls").splitlines()[1].split()[1]
    eventually(lambda: catches(int(pid), signal.SIGUSR1))
    ctr.ok("tasks", "kill", "--signal", "SIGUSR1", "box")
    eventually(Path(f"/proc/{pid}/root/tmp/one").exists)
    ctr.ok("tasks", "kill", "--all", "--signal", "SIGKILL", "box")
    eventually(lambda: status(ctr) == "STOPPED")
    assert "137" in ctr("tasks", "delete", "box").err
    ctr.ok("containers", "delete", "box")


def test_what_cannot_be_started_leaves_nothing(ctrs: Pair, cgroup: str) -> None:
    for ctr in ctrs:
        result = ctr("run", "--rm", "--cgroup", cgroup, IMAGE, "box", "/nowhere")
        assert result.code == 1
        assert "no such file or directory" in result.err
        assert ctr.ok("tasks", "ls", "--quiet") == ""
