"""A Docker Swarm of one node whose default runtime is ours: services, and what becomes of them.

Ingress and virtual addresses need the kernel's ip_vs: published ports are left out, and services are found by name with
one address for each task (`dnsrr`), over Swarm's own VXLAN overlay network.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.root.judges.docker import Docker
from tests.root.judges.engines import Island, Judge, eventually, missing

SERVE = "mkdir -p /www; hostname > /www/index.html; trap exit TERM; httpd -h /www; while :; do sleep 0.1; done"


# Its answers with runc are the same (`--default-runtime runc` here), and cost half a minute at each run of the tests.
RUNTIME = "pydocker"


@pytest.fixture(scope="module")
def swarm(make_directory: Callable[[str], Path], launcher: Path, token: str, scope: leaks.Scope) -> Iterator[Judge]:
    """A daemon that is manager and worker in one, with an overlay network."""
    if reason := missing("dockerd", "docker", "containerd", "runc"):
        pytest.skip(reason)
    island = Island()
    engine = Docker(make_directory("swarm"), island, f"/{token}", launcher, "--default-runtime", RUNTIME)
    docker = engine.client
    docker.ok("swarm", "init", "--advertise-addr", "127.0.0.1")
    docker.ok("network", "create", "--driver", "overlay", "--attachable", "mesh")
    # Swarm makes its own ingress network's namespaces a moment later, and keeps them.
    mounts = Path("/proc/self/mountinfo")
    eventually(lambda: all(name in mounts.read_text() for name in ("/netns/ingress_sbox", "/netns/1-")))
    yield docker
    docker.ok("swarm", "leave", "--force")
    engine.clear()
    engine.close()
    island.close()


def running(swarm: Judge) -> list[str]:
    """The tasks' containers that run now and are meant to."""
    tasks = swarm.ok("service", "ps", "--no-trunc", "--filter", "desired-state=running", "--format",
                     "{{.ID}} {{.CurrentState}}", "web")
    return [line.split()[0] for line in tasks.splitlines() if line.split()[1] == "Running"]


def test_a_service_lives(swarm: Judge, leak_check: None) -> None:
    """Three replicas, ten and three again; a rolling update; a task that is killed and replaced."""
    assert swarm.ok("info", "--format", "{{.Swarm.LocalNodeState}}") == "active"
    swarm.ok("service", "create", "--detach", "--quiet", "--name", "web", "--replicas", "3", "--network", "mesh",
             "--endpoint-mode", "dnsrr", "--no-resolve-image", "--limit-memory", "64m", "--env", "EDITION=first",
             "--update-delay", "0s", "--update-monitor", "100ms", "--restart-delay", "0s", "--stop-grace-period", "2s",
             "busybox", "sh", "-c", SERVE)
    try:
        eventually(lambda: len(running(swarm)) == 3)
        runtimes = swarm.ok("inspect", "--format", "{{.HostConfig.Runtime}}", *swarm.ok("ps", "-q").split())
        assert set(runtimes.split()) == {RUNTIME}
        swarm.ok("service", "scale", "--detach", "web=10")
        eventually(lambda: len(running(swarm)) == 10, 60)
        # Each of them is reached by the service's name, through the overlay network.
        found = swarm.ok("run", "--rm", "--network", "mesh", "busybox", "nslookup", "tasks.web")
        assert found.count("Address: 10.") == 10
        told = swarm.ok("run", "--rm", "--network", "mesh", "busybox", "wget", "-qO-", "http://web/")
        assert told in [name[:12] for name in swarm.ok("ps", "-q", "--no-trunc").split()]
        swarm.ok("service", "scale", "--detach", "web=3")
        eventually(lambda: len(swarm.ok("ps", "-q").split()) == 3, 60)

        before = set(running(swarm))
        swarm.ok("service", "update", "--detach", "--env-add", "EDITION=second", "--no-resolve-image", "web")
        status = ("service", "inspect", "--format", "{{.UpdateStatus.State}}", "web")
        eventually(lambda: swarm.ok(*status) == "completed", 60)
        eventually(lambda: len(running(swarm)) == 3 and not before & set(running(swarm)), 60)
        eventually(lambda: len(swarm.ok("ps", "-q").split()) == 3)
        containers = swarm.ok("ps", "-q").split()
        assert {swarm.ok("exec", container, "sh", "-c", "echo $EDITION") for container in containers} == {"second"}

        before = set(running(swarm))
        os.kill(int(swarm.ok("inspect", "--format", "{{.State.Pid}}", containers[0])), signal.SIGKILL)
        eventually(lambda: len(running(swarm)) == 3 and len(before & set(running(swarm))) == 2, 60)
        assert "137" in swarm.ok("service", "ps", "--no-trunc", "--format", "{{.Error}}", "web")
    finally:
        swarm.ok("service", "rm", "web")
        eventually(lambda: swarm.ok("ps", "-aq") == "")
