"""What dockerd has alone: restart policies, health probes by itself, all that --privileged means, its own network."""

import time

from tests.root.judges.conftest import Pair
from tests.root.judges.engines import Judge, eventually, same


def inspect(docker: Judge, word: str) -> str:
    return docker.ok("inspect", "--format", f"{{{{{word}}}}}", "box")


def test_restart_on_failure(docker: Judge) -> None:
    docker.ok("run", "--detach", "--name", "box", "--restart", "on-failure:2", "busybox", "sh", "-c",
              "echo again; exit 3")
    eventually(lambda: inspect(docker, ".State.Status") == "exited" and inspect(docker, ".RestartCount") == "2")
    assert docker.ok("logs", "box").split() == ["again"] * 3
    assert inspect(docker, ".State.ExitCode") == "3"


def test_restart_always(docker: Judge) -> None:
    docker.ok("run", "--detach", "--name", "box", "--restart", "always", "busybox", "sh", "-c",
              "sleep 0.5; exit 1")
    eventually(lambda: int(inspect(docker, ".RestartCount")) >= 2)
    docker.ok("update", "--restart", "no", "box")
    eventually(lambda: inspect(docker, ".State.Status") == "exited")
    count = inspect(docker, ".RestartCount")
    time.sleep(0.5)
    assert inspect(docker, ".RestartCount") == count


def test_health(docker: Judge) -> None:
    docker.ok("run", "--detach", "--name", "box", "--health-cmd", "test -e /var/well", "--health-interval", "200ms",
              "--health-retries", "2", "busybox", "sleep", "1000")
    eventually(lambda: inspect(docker, ".State.Health.Status") == "unhealthy")
    docker.ok("exec", "box", "touch", "/var/well")
    eventually(lambda: inspect(docker, ".State.Health.Status") == "healthy")


def test_init(dockers: Pair) -> None:
    result = same(*dockers, "run", "--rm", "--init", "busybox", "sh", "-c", "cat /proc/1/cmdline; exit 3")
    assert result.code == 3
    assert result.out.startswith("/sbin/docker-init\0--\0sh\0")


def test_privileged(dockers: Pair) -> None:
    """All capabilities: where root itself does not hold all, neither runtime can give them.

    All devices, but for those that other tests of this machine make and remove meanwhile.
    """
    control, ours = (judge("run", "--rm", "--privileged", "busybox", "sh", "-c",
                           "grep -E '^(Cap|Seccomp:)' /proc/self/status; ls /dev | grep -v ^loop | sort; "
                           "mount -t tmpfs tmpfs /mnt && grep ' /sys ' /proc/mounts; "
                           "echo 1 > /proc/sys/net/ipv4/ip_forward && echo written")
                     for judge in dockers)
    if control.code == 0:
        assert ours == control
        assert "written" in ours.out
    else:
        assert "operation not permitted" in control.err
        assert (ours.code, "operation not permitted" in ours.err) == (control.code, True)


def test_the_bridge(docker: Judge) -> None:
    """Two containers on docker0, whose interfaces libnetwork's hook moved into their namespaces."""
    docker.ok("run", "--detach", "--name", "box", "busybox", "sh", "-c",
              "mkdir /www; echo hello > /www/index.html; exec httpd -f -h /www")
    address = inspect(docker, ".NetworkSettings.IPAddress")
    eventually(lambda: docker("run", "--rm", "busybox", "wget", "-qO-", f"http://{address}/").out == "hello\n")


def test_a_network_of_its_own_with_names(docker: Judge) -> None:
    docker.ok("network", "create", "mine")
    try:
        docker.ok("run", "--detach", "--name", "box", "--network", "mine", "busybox", "sleep", "1000")
        told = docker.ok("run", "--rm", "--network", "mine", "busybox", "ping", "-c", "1", "box")
        assert "1 packets received" in told
        docker.ok("network", "disconnect", "mine", "box")
        docker.ok("network", "connect", "bridge", "box")
        assert "172." in docker.ok("exec", "box", "ip", "address")
    finally:
        docker.ok("rm", "--force", "box")
        docker.ok("network", "rm", "mine")


def test_update(docker: Judge) -> None:
    docker.ok("run", "--detach", "--name", "box", "--memory", "64m", "busybox", "sleep", "1000")
    docker.ok("update", "--memory", "32m", "--memory-swap", "64m", "--pids-limit", "33", "--cpu-shares", "256",
              "--cpuset-cpus", "0", "box")
    told = docker.ok("exec", "box", "sh", "-c", "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max "
                     "2>/dev/null || cat memory.max pids.max; grep Cpus_allowed_list /proc/self/status")
    assert told.split()[:2] == ["33554432", "33"]
    assert told.endswith("\t0")


def test_volumes(docker: Judge) -> None:
    try:
        docker.ok("run", "--rm", "--volume", "jar:/jar", "busybox", "sh", "-c", "echo jam > /jar/label")
        assert docker.ok("run", "--rm", "--volume", "jar:/jar:ro", "busybox", "cat", "/jar/label") == "jam"
    finally:
        docker.ok("volume", "rm", "jar")
