"""The engine as `make install` leaves it under systemd: a socket that is there from the boot on, a server behind it.

It is the machine's own engine, not one of the tests': what these tests put into it, they remove.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import busybox_archive

NAME = "pydocker-systemd-test"
COMMAND = "/usr/local/bin/pydocker"


def call(*words: str, **options: object) -> str:
    done = subprocess.run(words, capture_output=True, timeout=170, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def docker(*words: str) -> str:
    if shutil.which("docker") is None:
        pytest.skip("needs a docker client")
    return call("docker", *words, env=os.environ | {"DOCKER_HOST": "unix:///run/pydocker.sock"})


def server() -> int:
    return int(call("systemctl", "show", "--property=MainPID", "--value", "pydocker.service"))


def cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1]


@pytest.fixture(scope="module")
def installed() -> None:
    """Whoever ran `make test` or `make test-vm` has it."""
    if not os.path.exists("/usr/local/lib/systemd/system/pydocker.socket"):
        pytest.skip("pydocker is not installed: make install")


@pytest.fixture
def image(installed: None) -> Iterator[str]:
    call(COMMAND, "import", "-c", 'CMD ["sh"]', "-", NAME, input=busybox_archive())
    yield NAME
    subprocess.run((COMMAND, "rm", "-f", NAME), capture_output=True, check=False)
    call(COMMAND, "rmi", NAME)


def test_the_socket_brings_the_server(installed: None) -> None:
    """As after a boot: nobody has started the service."""
    call("systemctl", "stop", "pydocker.service")
    assert call("systemctl", "is-enabled", "pydocker.socket") == "enabled"
    assert call("systemctl", "is-active", "pydocker.socket") == "active"
    assert "Server:" in docker("version")
    assert call("systemctl", "is-active", "pydocker.service") == "active"
    assert cgroup(server()).endswith("/system.slice/pydocker.service")


def test_a_container_outlives_the_service_and_is_in_none_of_its_cgroups(image: str) -> None:
    docker("run", "-d", "--name", NAME, "-m", "64m", "--pids-limit", "20", image, "sleep", "1000")
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", NAME))
    assert "pydocker.service" not in cgroup(pid)
    # Every mount is shared on a host of systemd's; those of the container are its own all the same.
    host = Path("/proc/1/mountinfo").read_text()
    assert not [line for line in host.splitlines() if "/var/lib/pydocker/" in line or "/run/pydocker/" in line]
    call("systemctl", "stop", "pydocker.service")
    assert os.path.exists(f"/proc/{pid}")
    assert docker("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", NAME) == f"running {pid}"
    assert docker("exec", NAME, "echo", "here") == "here"
    docker("rm", "-f", NAME)
    assert not os.path.exists(f"/proc/{pid}")


def test_a_container_survives_that_systemd_reloads(image: str) -> None:
    """daemon-reload makes systemd write its units' cgroups anew; limits in a tree of ours are none of its business."""
    docker("run", "-d", "--name", NAME, "-m", "64m", "--pids-limit", "20", image, "sleep", "1000")
    pid = int(docker("inspect", "-f", "{{.State.Pid}}", NAME))
    limits = {name: Path(f"/sys/fs/cgroup{cgroup(pid)[3:]}", name) for name in ("memory.max", "pids.max")}
    if not limits["memory.max"].exists():
        pytest.skip("memory is a controller of cgroup v1 here")
    call("systemctl", "daemon-reload")
    call("systemd-run", "--wait", "--quiet", "-p", "MemoryMax=50M", "true")
    time.sleep(0.5)
    assert {name: path.read_text().strip() for name, path in limits.items()} == {
        "memory.max": str(64 << 20), "pids.max": "20"}
    docker("rm", "-f", NAME)
