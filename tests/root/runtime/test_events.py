"""`events`: the figures in runc's shape, how often, out-of-memory notices, and when it ends."""

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from typing import Any

import pytest

from runtime import cgroups
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime
from tests.waiting import wait_until

MIB = 1 << 20
EAT = "dd if=/dev/zero of=/dev/null bs=60M count=1"  # a buffer of 60 MiB, in a container that has 24


def follow(runtime: Runtime, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, "--root", str(runtime.root), "events", *words, "c"], text=True, cwd=REPOSITORY,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def shape(value: Any) -> Any:
    """A document's names and types, without the figures."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_the_figures_are_the_kernels(runtime):
    runtime.background("sleep", "100")
    event = json.loads(runtime("events", "--stats", "c", check=True).stdout)
    assert (event["type"], event["id"]) == ("stats", "c")
    data = event["data"]
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert 0 < data["memory"]["usage"]["usage"] < 64 * MIB
    assert data["pids"] == {"current": 1, "limit": 64}
    assert data["cpu"]["usage"]["total"] > 0
    assert data["intel_rdt"] == {} and data["network_interfaces"] is None


def test_the_shape_is_runcs(runtime, cgroup_parent):
    """Both runtimes, the same bundle, one after the other: the same names everywhere, of the same types."""
    if shutil.which("runc") is None:
        pytest.skip("needs runc")
    runtime.background("sleep", "100")
    ours = json.loads(runtime("events", "--stats", "c", check=True).stdout)["data"]
    runtime("delete", "--force", "c", check=True)
    runc = ["runc", "--root", str(runtime.directory / "runc")]
    quiet: dict[str, Any] = {"check": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                             "stderr": subprocess.DEVNULL}
    subprocess.run([*runc, "run", "--detach", "--bundle", str(runtime.bundle), "c"], **quiet)
    try:
        theirs = json.loads(subprocess.check_output([*runc, "events", "--stats", "c"]))["data"]
    finally:
        subprocess.run([*runc, "delete", "--force", "c"], **quiet)
        shutil.rmtree(runtime.directory / "runc")
    # What was read from a disk depends on what was in memory before; a 0 is left out, by both.
    for part in (ours["memory"], theirs["memory"]):
        part.pop("cache", None)
    if not cgroups.open(runtime.cgroup).first:
        for part in (ours["cpu"], ours["memory"], theirs["cpu"], theirs["memory"]):
            part.pop("psi", None)  # since runc 1.2
        for part in (ours["memory"]["usage"], theirs["memory"]["usage"]):
            part.pop("max", None)  # memory.peak, since runc 1.2 and Linux 5.19
    assert {**shape(ours), "blkio": 0} == {**shape(theirs), "blkio": 0}
    assert ours["memory"]["raw"].keys() == theirs["memory"]["raw"].keys()
    assert ours["cpuset"] == theirs["cpuset"]


def test_a_line_every_interval_until_the_container_ends(runtime):
    runtime.background("sleep", "100")
    began = time.monotonic()
    events = follow(runtime, "--interval", "100ms")
    assert events.stdout is not None
    lines = [json.loads(events.stdout.readline()) for _ in range(3)]
    assert {line["type"] for line in lines} == {"stats"}
    assert time.monotonic() - began > 0.2
    runtime("kill", "c", "KILL", check=True)
    assert events.communicate(timeout=60)[1] == ""
    assert events.returncode == 0


def test_out_of_memory_is_told(runtime):
    runtime.configure("sh", "-c", f"{EAT}; sleep 100")
    runtime.change(linux__resources__memory={"limit": 24 * MIB, "swap": 24 * MIB})
    runtime.create()
    events = follow(runtime, "--interval", "1h")
    assert events.stdout is not None
    wait_until(lambda: listens(events.pid))
    runtime("start", "c", check=True)
    assert json.loads(events.stdout.readline()) == {"type": "oom", "id": "c"}
    runtime("kill", "c", "KILL")
    events.communicate(timeout=60)
    assert events.returncode == 0


def listens(pid: int) -> bool:
    """Whether the process waits for the kernel's notice: it has v1's eventfd, or v2's memory.events, and has come to
    the end of preparing that.
    """
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    waits = any("eventfd" in one or one.endswith("/memory.events") for one in found)
    return waits and not any(one.endswith(("/memory.oom_control", "/cgroup.event_control")) for one in found)


@pytest.mark.parametrize("words, refused", [
    (("--interval", "0s"), "duration interval must be greater than 0"),
    (("--interval", "soon"), "invalid value 'soon' for flag --interval"),
    ((), "container with id c is not running"),
    (("--stats",), "container with id c is not running"),
])
def test_what_is_refused(runtime, words, refused):
    runtime.background("true")
    runtime.await_status("stopped")
    done = runtime("events", *words, "c")
    assert (done.returncode, refused in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr
