"""Options of `run`, as the real docker client sends them."""

import json
from pathlib import Path

from tests.root.api.conftest import Docker
from tests.root.containers.room import wait_until


def test_confinement_mounts_and_namespaces(docker: Docker, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
    (tmp_path / "in").mkdir()
    said = docker(
        "run", "--rm", "--init", "--security-opt", f"seccomp={profile}", "--security-opt", "no-new-privileges",
        "--security-opt", "systempaths=unconfined", "-v", f"{tmp_path}/in:/in", "--tmpfs", "/t:size=1m",
        "--mount", f"type=bind,source={tmp_path},target=/ro,readonly", "--device", "/dev/zero:/dev/z", "--uts", "host",
        "--ipc", "shareable", "--shm-size", "3m", "--cap-drop", "ALL", "--ulimit", "nofile=64", "busybox", "sh", "-c",
        "mkdir /x; touch /in/new /ro/new; ls /dev/z; grep -c ' /proc/' /proc/self/mountinfo; ulimit -n; "
        "grep NoNew /proc/self/status; cat /proc/1/comm")
    assert said.err == ("mkdir: can't create directory '/x': No space left on device\n"
                        "touch: /ro/new: Read-only file system\n")
    assert said.out.split() == ["/dev/z", "0", "64", "NoNewPrivs:", "1", "docker-init"]
    assert (tmp_path / "in/new").exists()


def test_restart_policy_and_health(docker: Docker) -> None:
    name = docker.ok("run", "-d", "--restart", "on-failure:2", "--health-cmd", "true", "--health-interval", "100ms",
                     "busybox", "sleep", "100")
    wait_until(lambda: docker.ok("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy")
    assert docker.ok("ps", "--format", "{{.Status}}").endswith(" (healthy)")
    [shown] = json.loads(docker.ok("inspect", name))
    assert shown["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert shown["State"]["Health"]["Log"][0]["ExitCode"] == 0
    docker.ok("rm", "-f", name)
    failing = docker.ok("run", "-d", "--restart", "on-failure:2", "busybox", "false")
    wait_until(lambda: docker.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", failing) == "exited 2")
    docker.ok("rm", failing)
