"""`--systemd-cgroup` on cgroup v2: what systemd was told is in the kernel's files, and stays there."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from runtime.cgroups import busctl, read_layout
from tests.root.runtime.conftest import Runtime

pytestmark = pytest.mark.skipif(not busctl.running() or read_layout().mode != "v2",
                                reason="needs a host with systemd and cgroup v2 alone: make test-vm")

MIB = 1 << 20
RESOURCES = {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}, "pids": {"limit": 33},
             "cpu": {"shares": 512, "quota": 50_000, "period": 100_000}}
FILES = {"memory.max": str(64 * MIB), "memory.swap.max": "0", "pids.max": "33", "cpu.max": "50000 100000",
         "cpu.weight": "59"}


def show(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit; systemd tells them in an order of its own."""
    words = ("systemctl", "show", *(f"--property={name}" for name in names), unit)
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


def make(runtime: Runtime, name: str) -> str:
    """A container that is created, in a scope below system.slice: the scope's name."""
    runtime.configure("sleep", "100")
    runtime.change(linux__resources=RESOURCES, linux__cgroupsPath=f"system.slice:pydocker:{name}")
    runtime("--systemd-cgroup", "create", "--bundle", str(runtime.bundle), "c", check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return f"pydocker-{name}.scope"


def values(unit: str) -> dict[str, str]:
    return {file: Path("/sys/fs/cgroup/system.slice", unit, file).read_text().strip() for file in FILES}


def test_the_container_is_a_scope_with_its_limits(runtime: Runtime, token: str) -> None:
    unit = make(runtime, token)
    expected = {"ActiveState": "active", "Delegate": "yes", "MemoryMax": str(64 * MIB), "TasksMax": "33"}
    assert show(unit, *expected) == expected
    assert Path(f"/proc/{runtime.pid()}/cgroup").read_text() == f"0::/system.slice/{unit}\n"
    assert values(unit) == FILES


def test_the_limits_survive_a_reload_of_systemd(runtime: Runtime, token: str) -> None:
    """It writes its units' cgroups anew then; what it was not told of would be lost."""
    unit = make(runtime, token)
    runtime("update", "--memory", str(32 * MIB), "--memory-swap", str(32 * MIB), "c", check=True)
    subprocess.run(("systemctl", "daemon-reload"), check=True, timeout=60)
    assert values(unit) == FILES | {"memory.max": str(32 * MIB)}


def test_exec_enters_the_scope_and_delete_ends_it(runtime: Runtime, token: str) -> None:
    unit = make(runtime, token)
    runtime("start", "c", check=True)
    done = runtime("exec", "c", "sh", "-c", "sleep 0.3; echo $$")
    assert done.returncode == 0, done.stderr
    runtime("delete", "--force", "c", check=True)
    await_end(unit)


def await_end(unit: str) -> None:
    """Return when neither systemd nor the kernel knows of the scope."""
    deadline = time.monotonic() + 60
    while show(unit, "LoadState") != {"LoadState": "not-found"}:
        assert time.monotonic() < deadline, "systemd keeps the unit"
        time.sleep(0.1)
    assert not os.path.exists(f"/sys/fs/cgroup/system.slice/{unit}")


@pytest.mark.parametrize("moment", ["before", "asking", "inside", "created"])
def test_a_killed_create_leaves_no_scope(runtime: Runtime, token: str, moment: str) -> None:
    """kill -9 of the runtime: before it asks systemd, while it asks, with the process in the scope, and at the end."""
    runtime.configure("sleep", "100")
    runtime.change(linux__resources=RESOURCES, linux__cgroupsPath=f"system.slice:pydocker:{token}")
    unit = f"pydocker-{token}.scope"
    fake = runtime.directory / "fake"
    fake.mkdir()
    busctl_ = shutil.which("busctl")
    (fake / "busctl").write_text({"before": "#!/bin/sh\nkill -9 $PPID\n",
                                  "asking": f"#!/bin/sh\n{busctl_} \"$@\"\nkill -9 $PPID\n"}.get(
                                      moment, f"#!/bin/sh\nexec {busctl_} \"$@\"\n"))
    (fake / "busctl").chmod(0o755)
    if moment == "inside":
        runtime.change(hooks={"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]})
    done = runtime("--systemd-cgroup", "create", "--bundle", str(runtime.bundle), "c", stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"})
    if moment == "created":
        assert done.returncode == 0
        os.kill(runtime.pid(), signal.SIGKILL)
    else:
        assert done.returncode == -signal.SIGKILL
    await_end(unit)  # by itself: nobody has called `delete`
    runtime("delete", "--force", "c", check=True)


def test_a_container_that_is_killed_ends_its_scope(runtime: Runtime, token: str) -> None:
    unit = make(runtime, token)
    runtime("start", "c", check=True)
    os.kill(runtime.pid(), signal.SIGKILL)
    runtime.await_status("stopped")
    await_end(unit)
    runtime("delete", "c", check=True)


def test_the_device_filter_holds_there_too(runtime: Runtime, token: str) -> None:
    number = next(name for name in os.listdir("/sys/dev/block") if not name.startswith(("7:", "1:")))
    make(runtime, token)
    runtime("start", "c", check=True)
    done = runtime("exec", "c", "sh", "-c", f"mknod /tmp/disk b {number.replace(':', ' ')}; head -c 1 /tmp/disk")
    assert "Operation not permitted" in done.stderr
