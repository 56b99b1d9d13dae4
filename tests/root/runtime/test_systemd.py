"""--systemd-cgroup: a scope of systemd's around the container, where systemd runs; a clear error where it does not."""

import subprocess
from pathlib import Path

import pytest

from runtime.cgroups import busctl
from tests.root.runtime.conftest import Runtime

MIB = 1 << 20


def show(unit: str, name: str) -> str:
    return subprocess.check_output(("systemctl", "show", "--property", name, "--value", unit), text=True).strip()


@pytest.fixture
def unit(runtime: Runtime) -> str:
    if not busctl.running():
        pytest.skip("systemd does not run this host")
    return f"pydockertest-{runtime.directory.name}.scope"


def configured(runtime: Runtime, unit: str, **more: object) -> None:
    prefix, _, name = unit.removesuffix(".scope").partition("-")
    runtime.configure("sleep", "100")
    runtime.change(linux__cgroupsPath=f"pydockertest.slice:{prefix}:{name}", **more)


def test_without_systemd_it_is_an_error_in_one_line(runtime):
    if busctl.running():
        pytest.skip("systemd runs this host")
    runtime.configure("true")
    done = runtime("--systemd-cgroup", "run", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "systemd not running on this host, cannot use systemd cgroups manager" in done.stderr


def test_explain_tells_what_systemd_would_be_asked(runtime):
    runtime.configure("true")
    runtime.change(linux__cgroupsPath="a-b.slice:p:1")
    told = runtime("--systemd-cgroup", "explain", "--bundle", str(runtime.bundle), "--format", "sh", check=True).stdout
    assert "StartTransientUnit" in told and "p-1.scope replace" in told and "TasksMax t 64" in told
    assert "/a.slice/a-b.slice/p-1.scope" in told
    runtime.change(linux__cgroupsPath="/a/b")
    done = runtime("--systemd-cgroup", "explain", "--bundle", str(runtime.bundle))
    assert 'expected cgroupsPath to be of format "slice:prefix:name"' in done.stderr


def test_a_container_is_a_scope_and_leaves_none(runtime, unit):
    configured(runtime, unit)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": None}
    runtime("--systemd-cgroup", "create", "--bundle", str(runtime.bundle), "c", check=True, **quiet)
    runtime("--systemd-cgroup", "start", "c", check=True)
    assert show(unit, "ActiveState") == "active"
    assert show(unit, "Slice") == "pydockertest.slice"
    assert show(unit, "Delegate") == "yes"
    assert show(unit, "TasksMax") == "64"
    assert f"/pydockertest.slice/{unit}" in Path(f"/proc/{runtime.pid()}/cgroup").read_text()
    done = subprocess.run(("systemctl", "daemon-reload"), check=False)
    assert done.returncode == 0
    runtime("--systemd-cgroup", "exec", "c", "true", check=True)
    runtime("--systemd-cgroup", "delete", "--force", "c", check=True)
    assert show(unit, "ActiveState") == "inactive" and show(unit, "LoadState") == "not-found"


def test_an_update_is_told_to_systemd(runtime, unit):
    configured(runtime, unit)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": None}
    runtime("--systemd-cgroup", "run", "--detach", "--bundle", str(runtime.bundle), "c", check=True, **quiet)
    runtime("--systemd-cgroup", "update", "--pids-limit", "33", "--memory", "96M", "c", check=True)
    assert show(unit, "TasksMax") == "33"
    assert str(96 * MIB) in (show(unit, "MemoryMax"), show(unit, "MemoryLimit"))
    done = runtime("--systemd-cgroup", "update", "--pids-limit", "44", "--cpu-quota", "5", "c")
    assert done.returncode == 1
    assert show(unit, "TasksMax") == "33", "a change that failed is told back"


def test_a_container_that_fails_leaves_no_scope(runtime, unit):
    configured(runtime, unit, process__args=["/nonexistent"])
    done = runtime("--systemd-cgroup", "run", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "nonexistent" in done.stderr
    assert show(unit, "LoadState") == "not-found"


def test_a_property_by_an_annotation(runtime, unit):
    configured(runtime, unit, annotations={"org.systemd.property.TimeoutStopSec": "7"})
    quiet = {"stdout": subprocess.DEVNULL, "stderr": None}
    runtime("--systemd-cgroup", "run", "--detach", "--bundle", str(runtime.bundle), "c", check=True, **quiet)
    assert show(unit, "TimeoutStopUSec") == "7s"
