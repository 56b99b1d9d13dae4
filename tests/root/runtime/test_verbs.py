"""Verbs and flags whose effect is in the kernel, or in what callers of runc read."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.cli import main, preload
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime
from tests.waiting import wait_until

QUIET: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # a container would hold a pipe open


def shell(script: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], cwd=REPOSITORY, text=True, capture_output=True, timeout=60,
                          check=False, **options)


def command(runtime: Runtime, *words: str) -> str:
    return shlex.join([*COMMAND, "--root", str(runtime.root), *words])


def test_sockets_of_systemd_are_passed_on_only_if_they_are_meant_for_us(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3; ls /proc/self/fd")
    given = runtime.directory / "given"
    given.write_text("from systemd\n")
    run = command(runtime, "run", "--bundle", str(runtime.bundle), "c")
    done = shell(f"exec 3<{given}; export LISTEN_FDS=1; LISTEN_PID=$$ exec {run}")
    assert done.stdout.splitlines()[:2] == ["1 1", "from systemd"], done
    done = shell(f"exec 3<{given}; export LISTEN_FDS=1 LISTEN_PID=1; exec {run}")
    assert done.stdout.splitlines()[0] == "" and "from systemd" not in done.stdout
    more = command(runtime, "run", "--preserve-fds", "1", "--bundle", str(runtime.bundle), "c")
    done = shell(f"exec 3<{given} 4<{given} 5<{given}; export LISTEN_FDS=1; LISTEN_PID=$$ exec {more}")
    assert {"3", "4"} <= {*done.stdout.split()} and done.stdout.splitlines()[-1] != "6", done


def test_the_log_as_containerd_and_podman_read_it(runtime: Runtime) -> None:
    runtime.configure("true")
    log = runtime.directory / "log"
    runtime("--log", str(log), "--log-format", "json", "state", "nope")
    line = json.loads(log.read_text())
    assert line["level"] == "error" and line["msg"].endswith("container does not exist")
    assert time.strptime(line["time"], "%Y-%m-%dT%H:%M:%SZ")
    log.unlink()
    runtime("--log", str(log), "state", "nope")
    assert log.read_text().startswith('time="') and " level=error msg=\"" in log.read_text()
    log.unlink()
    done = runtime("--debug", "--log", str(log), "--log-format", "json", "run", "--bundle", str(runtime.bundle), "c")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert done.returncode == 0 and {line["level"] for line in lines} == {"debug"}
    assert any(line["msg"].startswith("plan: PivotRoot") for line in lines)
    assert any(line["msg"].startswith("created c: process ") for line in lines)
    log.unlink()
    runtime("--debug", "--log", str(log), "--log-format", "json", "state", "nope")
    assert "Traceback" in log.read_text() and json.loads(log.read_text().splitlines()[-1])["level"] == "error"


@pytest.mark.parametrize("verb", ("checkpoint", "restore"))
def test_checkpoints_are_not_supported(runtime: Runtime, verb: str) -> None:
    for words in (("c",), ("--image-path", "/x", "c"), ("--help",)):
        done = runtime(verb, *words)
        assert done.returncode == 1 and done.stderr == f"pydocker-runtime: {verb} is not supported by this runtime\n"


def test_the_starting_point_is_runcs_and_is_not_overwritten(runtime: Runtime) -> None:
    for words in ((), ("--rootless",)):
        for name in ("ours", "theirs"):
            (runtime.directory / name).mkdir(exist_ok=True)
            (runtime.directory / name / "config.json").unlink(missing_ok=True)
        runtime("spec", "--bundle", str(runtime.directory / "ours"), *words, check=True)
        ours = json.loads((runtime.directory / "ours/config.json").read_text())
        done = runtime("spec", "--bundle", str(runtime.directory / "ours"))
        assert done.returncode == 1 and "exists. Remove it first" in done.stderr
        if shutil.which("runc"):
            subprocess.run(["runc", "spec", "--bundle", str(runtime.directory / "theirs"), *words], check=True)
            theirs = json.loads((runtime.directory / "theirs/config.json").read_text())
            for document in (ours, theirs):
                for said_otherwise in ("ociVersion", "hostname"):
                    del document[said_otherwise]
            # Ambient capabilities without inheritable ones cannot be had; and the kernel's keyrings are few.
            theirs["process"]["capabilities"].pop("ambient", None)
            namespaces = [one["type"] for one in theirs["linux"]["namespaces"]]
            assert {*namespaces} <= {one["type"] for one in ours["linux"].pop("namespaces")}
            del theirs["linux"]["namespaces"]
            assert ours == theirs


def test_the_starting_point_runs(runtime: Runtime) -> None:
    runtime("spec", "--bundle", str(runtime.bundle), check=True)
    process = json.loads((runtime.bundle / "config.json").read_text())["process"]
    tell = ["sh", "-c", "hostname; grep CapEff /proc/self/status"]
    runtime.change(process={**process, "terminal": False, "args": tell},
                   linux__cgroupsPath=runtime.cgroup)
    done = runtime.run()
    assert done.stdout.splitlines() == ["pydocker", "CapEff:\t0000000020000420"], done


def test_features_are_what_the_checks_accept(runtime: Runtime) -> None:
    features = json.loads(runtime("features", check=True).stdout)
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.2.0")
    assert features["hooks"] == ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                                 "poststop"]
    assert {"rro", "rbind", "rslave", "nosuid", "tmpcopyup", "ro"} <= {*features["mountOptions"]}
    linux = features["linux"]
    assert {"pid", "mount", "network", "ipc", "uts", "cgroup"} <= {*linux["namespaces"]}
    assert linux["apparmor"] == linux["selinux"] == {"enabled": True}  # the code can, whether this kernel does or not
    assert linux["intelRdt"] == {"enabled": False} and "CAP_SYS_ADMIN" in linux["capabilities"]
    assert features["potentiallyUnsafeConfigAnnotations"] == ["org.systemd.property."]
    # And the other way round: what is said not to be there is refused, with that very word.
    runtime.configure("true")
    for name, change in (("apparmor", {"process__apparmorProfile": "unconfined"}),
                         ("seccomp", {"linux__seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}),
                         ("intelRdt", {"linux__intelRdt": {"closID": "a"}})):
        runtime.configure("true")
        runtime.change(**change)
        refused = "not supported by this runtime" in runtime("explain", "--bundle", str(runtime.bundle)).stderr
        assert refused != linux[name]["enabled"], name
    if shutil.which("runc"):
        theirs = json.loads(subprocess.run(["runc", "features"], capture_output=True, check=True).stdout)
        assert {*theirs["linux"]["capabilities"]} <= {*linux["capabilities"]}
        assert {*theirs["hooks"]} <= {*features["hooks"]}
        assert not {*theirs["mountOptions"]} - {*features["mountOptions"]}
        for table in ("actions", "operators", "archs"):
            assert {*theirs["linux"]["seccomp"][table]} <= {*linux["seccomp"][table]}


def test_the_version_in_three_lines(runtime: Runtime) -> None:
    name, commit, spec = runtime("--version", check=True).stdout.strip().split("\n")
    assert name.startswith("pydocker-runtime version ") and commit.startswith("commit: ") and spec == "spec: 1.2.0"


def test_list_and_state(runtime: Runtime) -> None:
    assert runtime("list", "--quiet", check=True).stdout == ""
    runtime.background("sleep", "100")
    assert runtime("list", "-q", check=True).stdout == "c\n"
    (one,) = json.loads(runtime("list", "--format", "json", check=True).stdout)
    assert one["owner"] == "root" and one["status"] == "running"
    assert runtime("list", check=True).stdout.split("\n")[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED",
                                                                         "OWNER"]


def test_exec_in_a_cgroup_below(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100")
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    name, path = next((line.split(":")[1:] for line in lines if line.split(":")[1] == "pids"), ("", ""))
    if not name:
        name, path = lines[-1].split(":")[1:]
        below = Path("/sys/fs/cgroup" + path) / "below"
        asked = "below"
    else:
        below = Path(f"/sys/fs/cgroup/pids{path}/below")
        asked = "pids:below"
    below.mkdir()
    runtime("exec", "--detach", "--cgroup", asked, "c", "sleep", "99", check=True, **QUIET)
    (member,) = (below / "cgroup.procs").read_text().split()
    wait_until(lambda: Path(f"/proc/{member}/cmdline").read_text() == "sleep\x0099\0")


def test_kill_in_a_shared_pid_namespace_reaches_all(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "sleep 98 & exec sleep 97")
    config = json.loads((runtime.bundle / "config.json").read_text())
    runtime.change(linux__namespaces=[one for one in config["linux"]["namespaces"] if one["type"] != "pid"])
    runtime.create()
    runtime("start", "c", check=True)
    wait_until(lambda: len(processes(runtime)) == 2)
    runtime("kill", "c", "KILL", check=True)
    wait_until(lambda: not processes(runtime))
    runtime.await_status("stopped")


def processes(runtime: Runtime) -> list[int]:
    """Of the container, by the host's numbers."""
    found: list[int] = json.loads(runtime("ps", "--format", "json", "c", check=True).stdout)
    return found


def test_what_the_container_leaves_behind_is_adopted_unless_it_is_not_wanted(runtime: Runtime) -> None:
    """In a shared pid namespace an orphan goes to the nearest subreaper: `run` itself, or somebody above it."""
    runtime.configure("sh", "-c", "(sleep 96 & echo $! >/pid) ; while [ ! -e /over ]; do sleep 0.05; done")
    config = json.loads((runtime.bundle / "config.json").read_text())
    runtime.change(linux__namespaces=[one for one in config["linux"]["namespaces"] if one["type"] != "pid"])
    for words, adopted in (((), True), (("--no-subreaper",), False)):
        for name in ("pid", "over"):
            (runtime.rootfs / name).unlink(missing_ok=True)
        line = [*COMMAND, "--root", str(runtime.root), "run", *words, "--bundle", str(runtime.bundle), "c"]
        run = subprocess.Popen(line, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: (runtime.rootfs / "pid").exists() and (runtime.rootfs / "pid").read_text().strip())
        orphan = int((runtime.rootfs / "pid").read_text())
        wait_until(lambda orphan=orphan: outside(runtime, orphan))
        parent = parent_of(orphan)
        (runtime.rootfs / "over").touch()
        assert (parent == run.pid) == adopted, (words, parent, run.pid)
        assert run.wait(60) == 0


def outside(runtime: Runtime, pid: int) -> bool:
    """Whether its parent is no process of the container: first it is the one that has forked it."""
    inside = processes(runtime)
    return parent_of(pid) not in inside


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize(("words", "expected"), [
    (("--rootless", "true", "state", "c"), "--rootless true: this runtime needs root"),
    (("--rootless", "maybe", "state", "c"), "--rootless maybe"),
    (("--criu", "/usr/sbin/criu", "state", "c"), "checkpoint and restore are not supported"),
    (("--rootless", "auto", "state", "c"), "container does not exist"),
    (("--rootless=false", "state", "c"), "container does not exist"),
])
def test_flags_that_ask_for_what_this_runtime_is_not(runtime: Runtime, words: tuple[str, ...], expected: str) -> None:
    done = runtime(*words)
    assert done.returncode == 1 and expected in done.stderr and done.stderr.count("\n") == 1


def test_an_error_is_one_line_whatever_is_named_in_it(runtime: Runtime) -> None:
    """And no name steers the terminal of who reads it."""
    for word in ("a\nb", "a\x1b[2Jb", "\udcff"):
        runtime.configure(word.encode(errors="replace").decode())
        for words in (("state", word), ("create", "--bundle", str(runtime.bundle), "c"), ("kill", "c", word)):
            done = runtime(*words)
            assert done.returncode == 1 and done.stderr.count("\n") == 1 and "\x1b" not in done.stderr, done.stderr


def test_the_calls_of_conmon_and_containerds_shim(runtime: Runtime) -> None:
    """Their command lines, word for word (conmon's conn_sock.c and runtime_args.c, go-runc)."""
    runtime.configure("sleep", "100")
    log, pid_file, process = (runtime.directory / name for name in ("log", "pid", "process.json"))
    front = ("--log-format=json", "--log", str(log))
    runtime(*front, "create", "--bundle", str(runtime.bundle), "--pid-file", str(pid_file), "c", check=True, **QUIET)
    runtime(*front, "start", "c", check=True)
    assert int(pid_file.read_text()) == runtime.pid()
    process.write_text(json.dumps({"cwd": "/", "args": ["/bin/sleep", "99"], "user": {"uid": 7, "gid": 7}}))
    runtime(*front, "exec", "--pid-file", str(pid_file), "--process", str(process), "--detach", "c", check=True,
            **QUIET)
    assert os.stat(f"/proc/{pid_file.read_text()}").st_uid in (7, 0)  # 0 where it is not dumpable
    assert "Uid:\t7" in Path(f"/proc/{pid_file.read_text()}/status").read_text()
    runtime(*front, "exec", "--process", str(process), "--detach", "--pid-file", str(pid_file), "c", check=True,
            **QUIET)
    runtime(*front, "kill", "--all", "c", "9", check=True)
    runtime.await_status("stopped")
    runtime(*front, "delete", "--force", "c", check=True)
    runtime(*front, "delete", "--force", "c", check=True)
    assert not log.read_text()


def test_nobody_reads_or_nothing_fits(runtime: Runtime) -> None:
    """No traceback: silent as a program that SIGPIPE ended where nobody reads, one line where the disk is full."""
    for words in (("list",), ("features",), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        done = runtime(*words, stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, ""), words
        with Path("/dev/full").open("w") as full:
            done = runtime(*words, stdout=full)
        assert (done.returncode, done.stderr) == (1, "pydocker-runtime: no space left on device\n"), words


def test_a_log_or_a_root_that_cannot_be(runtime: Runtime, tmp_path: Path) -> None:
    """Said, and nothing is done: neither is the log silently dropped, nor is a root that is a file an empty one."""
    runtime.configure("true")
    done = runtime("--log", str(tmp_path / "no" / "log"), "run", "--bundle", str(runtime.bundle), "c")
    assert (done.returncode, done.stderr) == (
        1, f"pydocker-runtime: --log {tmp_path}/no/log: no such file or directory (open(2))\n")
    (tmp_path / "file").touch()
    done = runtime("--root", str(tmp_path / "file"), "list")
    assert (done.returncode, done.stderr) == (1, f"pydocker-runtime: {tmp_path}/file: not a directory\n")
    assert runtime("--root", str(tmp_path / "no"), "list", "--quiet", check=True).stdout == ""


def test_who_is_not_root_is_told(runtime: Runtime) -> None:
    """By a child that was root: not everybody may read the repository."""
    preload()
    for words in (("create", "c"), ("run", "c"), ("run", "--detach", "c")):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 2)
            os.setresuid(65534, 65534, 65534)
            os._exit(main(["--root", str(runtime.root), *words]))
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read().startswith("pydocker-runtime: to make a container takes root"), words
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1 and not runtime.root.exists()


def test_help_of_a_command(runtime: Runtime) -> None:
    assert runtime("help", "kill", check=True).stdout == runtime("kill", "--help", check=True).stdout
    assert runtime("help", check=True).stdout == runtime("--help", check=True).stdout
