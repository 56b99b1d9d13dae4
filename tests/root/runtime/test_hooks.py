"""Hooks: when and where each kind runs, what it is given, what is left when it fails; as the kernel sees it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runtime.state import start_time
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime
from tests.waiting import wait_until

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
HOST = ("prestart", "createRuntime", "poststart", "poststop")
NAMESPACES = ("mnt", "pid", "net", "uts", "ipc", "cgroup", "user")

# Run by the host's sh, or the container's busybox, with an empty PATH: says everything about itself in one JSON line.
RECORD = """
exec >>"$1/$2"
printf '{"state": '; while read -r line || [ -n "$line" ]; do printf %s "$line"; done
printf ', "cwd": "%s", "zero": "%s", "arguments": "%s", "ns": {' "$(pwd -P)" "$0" "$*"
for n in mnt pid net uts ipc cgroup user; do printf '"%s": "%s", ' $n "$($READLINK /proc/self/ns/$n)"; done
printf '"end": ""}, "environment": "%s", "descriptors": "%s"}\\n' \
  "$($CAT /proc/self/environ | $TR '\\000' ' ')" "$(echo /proc/self/fd/*)"
"""


class Recorder:
    """Hooks that write down what they see, into a directory that host and container share."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.directory = runtime.directory / "seen"
        self.directory.mkdir(mode=0o777)
        self.directory.chmod(0o777)

    def hook(self, kind: str) -> dict[str, Any]:
        inside = kind == "startContainer"
        tools = "/bin/readlink", "/bin/tr" if inside else "/usr/bin/tr"
        return {"path": "/bin/sh", "args": ["sh", "-c", RECORD, "recorder", "/seen" if inside else str(self.directory),
                                            kind],
                "env": [f"READLINK={tools[0]}", f"TR={tools[1]}", "CAT=/bin/cat", "OWN=value"], "timeout": 60}

    def seen(self, kind: str) -> dict[str, Any]:
        return json.loads((self.directory / kind).read_text())  # type: ignore[no-any-return]


def configured(runtime: Runtime, hooks: dict[str, Any], *args: str, **process: Any) -> None:
    runtime.configure(*(args or ("sleep", "100")), **process)
    config = json.loads((runtime.bundle / "config.json").read_text())
    shared = runtime.directory / "seen"
    if shared.exists():
        config["mounts"].append({"destination": "/seen", "type": "bind", "source": str(shared), "options": ["bind"]})
    runtime.change(hooks=hooks, mounts=config["mounts"], annotations={"colour": "red"})


def namespaces(pid: int | str) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}


def test_each_kind_runs_in_its_namespaces_with_the_state_and_a_clean_environment(runtime: Runtime) -> None:
    recorder = Recorder(runtime)
    (runtime.rootfs / "bin/tr").symlink_to("busybox")
    configured(runtime, {kind: [recorder.hook(kind)] for kind in KINDS})
    runtime.change(process={**json.loads((runtime.bundle / "config.json").read_text())["process"],
                            "env": ["PATH=/bin", "LD_PRELOAD=/evil.so"]})
    runtime.create()
    assert {path.name for path in recorder.directory.iterdir()} == {"createContainer", "createRuntime", "prestart"}
    pid = runtime.pid()
    inside = namespaces(pid)
    runtime("start", "c", check=True)
    assert {path.name for path in recorder.directory.iterdir()} == {*KINDS} - {"poststop"}
    runtime("delete", "--force", "c", check=True)

    status = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating",
              "startContainer": "created", "poststart": "running", "poststop": "stopped"}
    for kind in KINDS:
        seen = recorder.seen(kind)
        state = {"ociVersion": "1.2.0", "id": "c", "status": status[kind], "bundle": str(runtime.bundle),
                 "annotations": {"colour": "red"}}
        if kind != "poststop":
            state["pid"] = pid if kind in HOST else 1
        assert seen["state"] == state, kind
        expected = namespaces("self") if kind in HOST else inside
        if kind == "createContainer":
            assert seen["ns"]["mnt"] == inside["mnt"]
        assert {name: seen["ns"][name] for name in NAMESPACES} == expected, kind
        assert seen["zero"] == "recorder" and seen["arguments"].split()[1] == kind
        words = set(seen["environment"].split())
        names = {word.partition("=")[0] for word in words} - {"PWD", "SHLVL", "_", "PATH"}  # the shell's own
        assert names == {"READLINK", "TR", "CAT", "OWN"} and "OWN=value" in words, kind
        assert "PATH=/bin" not in words, "that is the container's"
        # 0, 1, 2 and what the shell holds for its own substitutions; none of ours
        assert {Path(name).name for name in seen["descriptors"].split()} <= {"0", "1", "2", "10", "255", "3"}, seen
    where = {"prestart": str(runtime.bundle), "createRuntime": str(runtime.bundle),
             "createContainer": str(runtime.rootfs), "startContainer": "/"}
    assert {kind: recorder.seen(kind)["cwd"] for kind in where} == where


def test_hooks_find_the_state_and_the_network_namespace_and_mounts_that_they_make_are_in_the_container(
        runtime: Runtime) -> None:
    """What podman's and dockerd's network hooks rely on, and what NVIDIA's does."""
    seen = runtime.directory / "seen"
    (runtime.rootfs / "mnt").mkdir()
    source = runtime.directory / "source"
    source.mkdir()
    (source / "from-the-hook").touch()
    script = f"""
    read -r state; pid=${{state#*\\"pid\\":}}; pid=${{pid%%,*}}
    nsenter --net=/proc/$pid/ns/net ip address add 192.0.2.7/32 dev lo
    cat {runtime.root}/c/state.json > {seen}
    """
    mount = {"path": "/bin/mount", "args": ["mount", "--bind", str(source), "mnt"], "env": ["PATH=/bin:/usr/bin"]}
    configured(runtime, {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script],
                                            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}],
                         "createContainer": [mount]}, "sh", "-c", "ls /mnt; ip address")
    done = runtime.run()
    assert done.returncode == 0 and "from-the-hook" in done.stdout and "192.0.2.7" in done.stdout, done
    assert json.loads(seen.read_text())["pid"] > 1
    assert not os.listdir(runtime.rootfs / "mnt"), "the host sees the mount"


FAILING = {"path": "/bin/sh", "args": ["sh", "-c", "echo out; echo very >&2; echo wrong >&2; exit 3"]}


@pytest.mark.parametrize("kind", ("prestart", "createRuntime", "createContainer"))
def test_a_failing_hook_fails_the_creation_and_undoes_it(runtime: Runtime, kind: str) -> None:
    """The leak check afterwards looks for cgroups, mounts, namespaces and processes."""
    done_after = runtime.directory / "poststop"
    stop = {"path": "/bin/sh", "args": ["sh", "-c", f"cat > {done_after}"], "env": ["PATH=/bin"]}
    configured(runtime, {kind: [{"path": "/bin/true"}, FAILING], "poststop": [stop]})
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1
    assert done.stderr == (f"pydocker-runtime: error running {kind} hook #1: exit status 3, stdout: out, "
                           "stderr: very wrong\n")
    assert not (runtime.root / "c").exists()
    assert json.loads(done_after.read_text())["status"] == "stopped"


def test_a_failing_start_container_hook_fails_the_start(runtime: Runtime) -> None:
    configured(runtime, {"startContainer": [FAILING]}, "touch", "/ran")
    runtime.create()
    done = runtime("start", "c")
    assert done.returncode == 1
    assert done.stderr == ("pydocker-runtime: error running startContainer hook #0: exit status 3, stdout: out, "
                           "stderr: very wrong\n")
    assert runtime.state()["status"] == "stopped" and not (runtime.rootfs / "ran").exists()
    runtime("delete", "c", check=True)
    for words in ((), ("--detach",)):
        done = runtime("run", *words, "--bundle", str(runtime.bundle), "c")
        assert done.returncode == 1 and "startContainer hook #0" in done.stderr
        assert not (runtime.root / "c").exists()


def test_a_failing_poststart_hook_ends_the_container_and_a_failing_poststop_hook_is_a_warning(runtime: Runtime) -> None:
    second = runtime.directory / "second"
    touch = {"path": "/usr/bin/touch", "args": ["touch", str(second)]}
    configured(runtime, {"poststart": [FAILING, touch], "poststop": [FAILING, touch]})
    runtime.create()
    pid = runtime.pid()
    done = runtime("start", "c")
    assert done.returncode == 1 and "error running poststart hook #0: exit status 3" in done.stderr
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    assert runtime.state()["status"] == "stopped" and not second.exists()
    log = runtime.directory / "log"
    done = runtime("--log", str(log), "--log-format", "json", "delete", "c")
    assert (done.returncode, done.stderr) == (0, "") and second.exists() and not (runtime.root / "c").exists()
    told = json.loads(log.read_text())
    assert told["level"] == "warning" and told["msg"].startswith("error running poststop hook #0: exit status 3")


@pytest.mark.parametrize("kind", ("prestart", "createContainer", "startContainer"))
def test_a_hook_that_takes_too_long_is_killed_with_its_children(runtime: Runtime, kind: str) -> None:
    pids = runtime.directory / "seen"
    pids.mkdir()
    pids.chmod(0o777)
    where = "/seen" if kind == "startContainer" else str(pids)
    sleep = f"sleep 777.{os.getpid()}"  # nobody else's on this machine; and longer than anybody here has patience
    script = f"{sleep} & echo $! > {where}/child; wait"
    for seconds in (1, 10, 40):  # until it had the time to have a child
        configured(runtime, {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"],
                                     "timeout": seconds}]})
        done = runtime("run", "--bundle", str(runtime.bundle), "c")
        assert done.returncode == 1
        assert done.stderr == (f"pydocker-runtime: error running {kind} hook #0: hook ran past specified timeout of "
                               f"{seconds}.0s\n")
        if (pids / "child").exists():
            break
    assert (pids / "child").exists()
    wait_until(lambda: subprocess.run(["pgrep", "-f", sleep], capture_output=True, check=False).returncode == 1)


@pytest.mark.parametrize(("hook", "words"), [
    ({"path": "/no/such"}, "fork/exec /no/such: no such file or directory"),
    ({"path": "/etc/passwd"}, "fork/exec /etc/passwd: permission denied"),
    ({"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $$"]}, "signal: killed, stdout: , stderr: "),
    ({"path": "/bin/sh", "args": ["sh", "-c", "exec <&-; head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1"],
      "env": ["PATH=/bin:/usr/bin"]}, "exit status 1, stdout: , stderr: xxxx"),
])
def test_the_words_about_a_hook(runtime: Runtime, hook: dict[str, Any], words: str) -> None:
    for kind in ("prestart", "createContainer"):
        configured(runtime, {kind: [hook]})
        runtime.change(annotations={"large": "x" * 200_000})  # more than a pipe holds, for one that does not read it
        done = runtime("create", "--bundle", str(runtime.bundle), "c")
        assert done.returncode == 1
        assert done.stderr.startswith(f"pydocker-runtime: error running {kind} hook #0: {words}"), done.stderr[:300]
        assert done.stderr.count("\n") == 1 and len(done.stderr) < 10_000


def test_a_daemon_that_a_hook_leaves_behind_is_not_waited_for(runtime: Runtime) -> None:
    pid = runtime.directory / "pid"
    daemon = {"path": "/bin/sh", "args": ["sh", "-c", f"sleep 1000 & echo $! > {pid}"], "env": ["PATH=/bin"]}
    configured(runtime, {"prestart": [daemon]}, "true")
    assert runtime.run().returncode == 0  # within a minute, which is all that it may take
    os.kill(int(pid.read_text()), 9)


def test_a_container_is_being_created_while_its_hooks_run(runtime: Runtime) -> None:
    fifo, second = runtime.directory / "fifo", runtime.directory / "second"
    os.mkfifo(fifo)
    os.mkfifo(second)
    configured(runtime, {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f": > {fifo}; : > {second}"]}]})
    process = subprocess.Popen([*COMMAND, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "c"],
                               cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    fifo.read_text()
    assert runtime.state()["status"] == "creating"
    done = runtime("start", "c")
    assert done.returncode == 1 and "being created" in done.stderr
    second.read_text()
    assert process.wait(60) == 0 and runtime.state()["status"] == "created"


@pytest.mark.parametrize("timeout", (0, -1))
def test_a_time_out_that_is_none_is_refused(runtime: Runtime, timeout: int) -> None:
    configured(runtime, {"poststop": [{"path": "/bin/true", "timeout": timeout}]})
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "`$.hooks.poststop[0].timeout`" in done.stderr and done.stderr.count("\n") == 1


def test_a_hook_ends_with_a_runtime_that_is_killed(runtime: Runtime) -> None:
    """Else it would go on with a pid that is nobody's, or somebody else's; and `delete` could not find it."""
    said = runtime.directory / "said"
    words = ["sh", "-c", f"echo $$ > {said}; exec sleep 1000"]
    configured(runtime, {"createRuntime": [{"path": "/bin/sh", "args": words}]})
    create = subprocess.Popen([*COMMAND, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "c"],
                              cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"))
    create.kill()
    create.wait()
    runtime("delete", "--force", "c", check=True)
    wait_until(lambda: start_time(int(said.read_text())) is None)
