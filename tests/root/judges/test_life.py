"""From `run -d` to `rm -f`: what podman and docker do to a container while it lives, on runc and on ours."""

import re
import time
from pathlib import Path

import pytest

from tests.root.cli.terminals import Terminal
from tests.root.judges.conftest import Pair
from tests.root.judges.engines import Judge, eventually, same

COUNT = "i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.05; done"


def state(judge: Judge, word: str, name: str = "box") -> str:
    return judge.ok("inspect", "--format", f"{{{{.State.{word}}}}}", name)


def background(judge: Judge, script: str, *options: str) -> None:
    judge.ok("run", "--detach", "--name", "box", *options, "busybox", "sh", "-c", script)


def sleeping(judge: Judge, *options: str) -> None:
    """One that sleeps: neither a runtime's init nor the shell any more."""
    background(judge, "exec sleep 1000", *options)
    pid = state(judge, "Pid")
    eventually(lambda: read(f"/proc/{pid}/comm") == "sleep\n")


def exited(judge: Judge) -> int:
    eventually(lambda: state(judge, "Status") == "exited")
    return int(state(judge, "ExitCode"))


def test_a_terminal(judge: Judge) -> None:
    with judge.terminal("run", "--interactive", "--tty", "--rm", "busybox", rows=30, columns=100) as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; until stty size 2>/dev/null | grep -v '^0 0'; do sleep 0.1; done; echo tel''ling\n")
        told = terminal.expect("telling")
        assert "/dev/pts/0" in told and "30 100" in told
        terminal.expect("/ # ")
        eventually(lambda: resized(terminal) == "40 120")
        terminal.type("sh -c 'trap \"exit 1\" INT; echo wai\"\"ting; while :; do sleep 0.1; done'\n")
        terminal.expect("waiting\r\n")
        terminal.type("\x03")  # the terminal sends SIGINT to what the shell waits for, not to the shell
        terminal.expect("/ # ")
        terminal.type("exit 7\n")
        assert terminal.end() == 7


def resized(terminal: Terminal) -> str:
    """The size inside after a change of ours. (Docker's client drops one that comes while it asks for another.)"""
    terminal.resize(40, 119)
    terminal.resize(40, 120)
    terminal.type("echo '<'$(stty size)'>'\n")
    terminal.expect("\n<")
    return terminal.expect(">")


def test_detach_and_attach(judge: Judge) -> None:
    with judge.terminal("run", "-it", "--name", "box", "busybox") as terminal:
        terminal.expect("/ # ")
        eventually(lambda: let_go(terminal))
        assert terminal.end() == 0
    assert state(judge, "Status") == "running"
    with judge.terminal("attach", "box") as terminal:
        terminal.await_raw()
        terminal.type("exit 3\n")
        terminal.end()
    assert exited(judge) == 3


def let_go(terminal: Terminal) -> bool:
    """Whether the keys did it: podman knows them only if it reads them one by one. What it has not known does no harm
    to the shell.
    """
    for key in "\x10\x11":
        terminal.type(key)
        time.sleep(0.2)
    return terminal.process.poll() is not None


def test_streams(judges: Pair) -> None:
    result = same(*judges, "run", "--rm", "--interactive", "busybox", "sh", "-c", "cat; echo err >&2; exit 5",
                  input="typed\n")
    assert (result.code, result.out, result.err) == (5, "typed\n", "err\n")


@pytest.mark.parametrize(("program", "code"), [("/nowhere", 127), ("nowhere", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_run(program: str, code: int, judges: Pair) -> None:
    for judge in judges:
        assert judge("run", "--rm", "busybox", program).code == code, judge.name


@pytest.mark.parametrize("place", ["x", "x/y", "sys"])
def test_a_volume_inside_proc(place: str, judges: Pair, tmp_path: Path) -> None:
    """An engine that read "no such file or directory" would say that the program is not there (127)."""
    runs = [judge("run", "--rm", "--volume", f"{tmp_path}:/proc/{place}", "busybox", "true") for judge in judges]
    assert [one.code for one in runs] == [runs[0].code] * 2
    assert all("cannot be mounted because it is inside /proc" in one.err for one in runs), runs


def test_exec(judge: Judge) -> None:
    sleeping(judge, "--env", "WHO=you", "--cap-drop", "all")
    assert judge.ok("exec", "box", "sh", "-c", "echo $WHO; cat /proc/1/cmdline | tr '\\0' ' '") == "you\nsleep 1000"
    assert judge("exec", "box", "sh", "-c", "exit 9").code == 9
    assert judge.ok("exec", "--user", "1000:1000", "--workdir", "/var", "--env", "WHO=me", "box", "sh", "-c",
                    "id -u; pwd; echo $WHO") == "1000\n/var\nme"
    assert judge.ok("exec", "--interactive", "box", "cat", input="typed") == "typed"
    assert "CapEff:\t0000000000000000" in judge.ok("exec", "box", "cat", "/proc/self/status")
    assert judge("exec", "box", "/nowhere").code in (126, 127)  # docker 20.10 says 126
    judge.ok("exec", "--detach", "box", "touch", "/var/made")
    eventually(lambda: judge("exec", "box", "test", "-e", "/var/made").code == 0)
    with judge.terminal("exec", "-it", "box", "sh", rows=30, columns=100) as terminal:
        terminal.expect("/ # ")
        terminal.type("until stty size 2>/dev/null | grep -v '^0 0'; do sleep 0.1; done; tty; exit 4\n")
        terminal.expect("30 100")
        terminal.expect("/dev/pts/")
        assert terminal.end() == 4
    listed = judge.ok("top", "box")
    assert "sleep 1000" in listed


def test_stop(judge: Judge) -> None:
    background(judge, "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    eventually(lambda: "ready" in judge.ok("logs", "box"))
    judge.ok("stop", "box")
    assert exited(judge) == 3
    assert judge.ok("logs", "box") == "ready\nbye"
    judge.ok("start", "box")
    eventually(lambda: judge.ok("logs", "box").count("ready") == 2)
    judge.ok("restart", "box")
    eventually(lambda: judge.ok("logs", "box").count("ready") == 3)
    judge.ok("stop", "box")


def test_stop_of_one_who_does_not_listen(judge: Judge) -> None:
    background(judge, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    eventually(lambda: "ready" in judge.ok("logs", "box"))
    judge.ok("stop", "--time", "1", "box")
    assert exited(judge) == 137


def test_kill_wait_and_logs(judge: Judge) -> None:
    background(judge, "trap 'echo one' USR1; echo out; echo err >&2; while :; do sleep 0.05; done")
    eventually(lambda: "out" in judge.ok("logs", "box"))
    judge.ok("kill", "--signal", "USR1", "box")
    eventually(lambda: "one" in judge.ok("logs", "box"))
    eventually(lambda: judge("logs", "box").err == "err\n")
    with judge.popen("wait", "box") as waiting:
        time.sleep(0.2)
        judge.ok("kill", "box")
        assert waiting.communicate(timeout=60)[0].strip() == "137"
    assert exited(judge) == 137


def test_pause(judge: Judge) -> None:
    background(judge, COUNT)
    pid = state(judge, "Pid")
    count = f"/proc/{pid}/root/count"
    eventually(lambda: read(count) > "")
    judge.ok("pause", "box")
    assert state(judge, "Status") == "paused"
    before = read(count)
    time.sleep(0.3)
    assert read(count) == before, "a paused container counts"
    assert judge("exec", "box", "true").code != 0
    judge.ok("unpause", "box")
    assert state(judge, "Status") == "running"
    eventually(lambda: read(count) not in ("", before))


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def test_stats(judge: Judge) -> None:
    background(judge, "dd if=/dev/zero of=/dev/shm/filled bs=1M count=20; exec sleep 1000", "--memory", "256m")
    pid = state(judge, "Pid")
    eventually(lambda: read(f"/proc/{pid}/comm") == "sleep\n")  # all is filled
    used, of, most, pids = judge.ok("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "box").split()
    assert float(re.match("[0-9.]+", used)[0]) >= 20 and "M" in used, used
    assert (of, most[:2], pids) == ("/", "25" if "Mi" in most else "26", "1"), most


def test_out_of_memory(judge: Judge) -> None:
    background(judge, "tail /dev/zero", "--memory", "32m", "--memory-swap", "32m")
    assert exited(judge) == 137
    if judge.name.startswith("docker"):  # podman's conmon may miss it, with runc as well
        eventually(lambda: told_of_it(judge))


def told_of_it(judge: Judge) -> bool:
    """Again, if it is not: containerd's shim may send the word of the end before that of its reason."""
    if state(judge, "OOMKilled") == "true":
        return True
    judge.ok("start", "box")
    assert exited(judge) == 137
    return False


def test_the_pids_limit(judges: Pair) -> None:
    result = same(*judges, "run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c",
                  "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done")
    assert "can't fork" in result.err


def test_remove_a_running_one_by_force(judge: Judge) -> None:
    background(judge, "trap '' TERM; while :; do sleep 0.1; done")
    pid = state(judge, "Pid")
    assert judge("rm", "box").code != 0
    judge.ok("rm", "--force", *(("--time", "0") if judge.name.startswith("podman") else ()), "box")
    with pytest.raises(FileNotFoundError):
        read(f"/proc/{pid}/comm")


def test_one_container_in_the_namespaces_of_another(judge: Judge) -> None:
    sleeping(judge, "--ipc", "shareable")
    shared = [word for kind in ("network", "pid", "ipc") for word in (f"--{kind}", "container:box")]
    seen = judge.ok("run", "--rm", *shared, "busybox", "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; echo; "
                    "for n in net ipc pid uts; do readlink /proc/self/ns/$n; readlink /proc/1/ns/$n; done")
    program, *names = seen.splitlines()
    assert program.strip() == "sleep 1000"
    pairs = list(zip(names[::2], names[1::2], strict=True))
    assert [mine == theirs for mine, theirs in pairs] == [True, True, True, False]


def test_copy(judge: Judge, tmp_path: Path) -> None:
    background(judge, "mkdir /made; echo inside > /made/file; exec sleep 1000")
    eventually(lambda: judge("exec", "box", "test", "-s", "/made/file").code == 0)
    judge.ok("cp", "box:/made/file", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "inside\n"
    judge.ok("cp", str(tmp_path / "copied"), "box:/var/back")
    assert judge.ok("exec", "box", "cat", "/var/back") == "inside"


def test_update(judge: Judge) -> None:
    background(judge, "exec sleep 1000", "--memory", "64m", "--memory-swap", "64m")
    judge.ok("update", "--memory", "128m", "--memory-swap", "128m", "--cpus", "0.25", "box")
    told = judge.ok("exec", "box", "sh", "-c", "cd /sys/fs/cgroup; "
                    "cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us 2>/dev/null || cat memory.max cpu.max")
    assert told.split()[:2] == ["134217728", "25000"]
