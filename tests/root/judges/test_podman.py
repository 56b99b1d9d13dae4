"""What podman has alone: pods, user namespaces, hooks from a directory, health checks on demand."""

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.root.judges.conftest import Pair
from tests.root.judges.engines import Judge, eventually, same

# The state that a hook of each kind is told (runc 1.1 still says `created` to poststart's).
STAGES = {"prestart": ["creating"], "createRuntime": ["creating"], "createContainer": ["creating"],
          "startContainer": ["created"], "poststart": ["running", "created"], "poststop": ["stopped"]}
MAPS = "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; "


def test_explicit_maps(podmans: Pair) -> None:
    maps = ("--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000")
    result = same(*podmans, "run", "--rm", *maps, "busybox", "sh", "-c",
                  f"{MAPS} id; touch /tmp/x; stat -c '%u %g' / /tmp/x /proc; mount -t tmpfs tmpfs /tmp; "
                  "echo x > /proc/sys/kernel/hostname; cat /etc/hostname > /dev/null; ls /dev | wc -l")
    assert result.out.startswith(" 0 100000 5000\n 0 200000 5000\nuid=0(root)")
    assert result.code == 0


def test_maps_and_a_user(podmans: Pair) -> None:
    result = same(*podmans, "run", "--rm", "--uidmap", "0:100000:5000", "--user", "1000:1000", "--read-only",
                  "--sysctl", "net.ipv4.ip_default_ttl=17", "--memory", "64m", "busybox", "sh", "-c",
                  "id; touch /tmp/x; stat -c %u /tmp/x; touch /x; cat /proc/sys/net/ipv4/ip_default_ttl")
    assert result.out.startswith("uid=1000(user) gid=1000(user)")
    assert "Read-only" in result.err


def test_userns_auto(podmans: Pair) -> None:
    for judge in podmans:
        told = judge.ok("run", "--rm", "--userns", "auto:size=1024", "busybox", "sh", "-c", f"{MAPS} id -u")
        (inside, outside, size), _, (user,) = (line.split() for line in told.splitlines())
        assert (inside, size, user) == ("0", "1024", "0")
        assert int(outside) >= 300000


def test_userns_keep_id(podmans: Pair) -> None:
    """podman 4.3 has it without root only; later versions with."""
    result = same(*podmans, "run", "--rm", "--userns", "keep-id", "busybox", "id", "-u")
    assert result.code == 0 or "rootless" in result.err


def test_exec_in_a_user_namespace(podman: Judge) -> None:
    podman.ok("run", "--detach", "--name", "box", "--uidmap", "0:100000:5000", "busybox", "sleep", "1000")
    assert podman.ok("exec", "box", "sh", "-c", f"{MAPS} id -u").split() == ["0", "100000", "5000"] * 2 + ["0"]
    assert podman.ok("exec", "--user", "7", "box", "id", "-u") == "7"
    pid = podman.ok("inspect", "--format", "{{.State.Pid}}", "box")
    assert "\nUid:\t100000\t" in Path(f"/proc/{pid}/status").read_text()


def test_a_pod(podman: Judge) -> None:
    podman.ok("pod", "create", "--name", "pod", "--infra-image", "busybox", "--infra-command", "sleep 1000",
              "--share", "net,ipc,uts,pid", "--hostname", "peas")
    podman.ok("run", "--detach", "--pod", "pod", "--name", "box", "busybox", "sh", "-c",
              "while :; do echo hello | nc -l -p 8080; done")
    told: list[str] = []

    def talked() -> bool:
        told.append(podman("run", "--rm", "--pod", "pod", "busybox", "sh", "-c",
                           "hostname; nc 127.0.0.1 8080 < /dev/null; ps; readlink /proc/self/ns/ipc").out)
        return "hello" in told[-1]

    eventually(talked)
    assert told[-1].startswith("peas\nhello\n")
    assert "sleep 1000" in told[-1]
    pids = podman.ok("ps", "--format", "{{.Pid}}").split()
    for namespace in ("net", "ipc", "uts", "pid"):
        assert len({Path(f"/proc/{pid}/ns/{namespace}").readlink() for pid in pids}) == 1, namespace
    assert len({Path(f"/proc/{pid}/ns/mnt").readlink() for pid in pids}) == 2
    podman.ok("pod", "pause", "pod")
    assert podman.ok("pod", "inspect", "--format", "{{.State}}", "pod") == "Paused"
    podman.ok("pod", "unpause", "pod")
    podman.ok("pod", "stop", "--time", "0", "pod")
    podman.ok("pod", "rm", "pod")


def test_a_health_check(podman: Judge) -> None:
    podman.ok("run", "--detach", "--name", "box", "--health-cmd", "test -e /var/well", "--health-interval", "disable",
              "busybox", "sleep", "1000")
    assert podman("healthcheck", "run", "box").code == 1
    podman.ok("exec", "box", "touch", "/var/well")
    assert podman("healthcheck", "run", "box").code == 0
    assert podman.ok("inspect", "--format", "{{.State.Health.Status}}", "box") == "healthy"


def test_init(podmans: Pair) -> None:
    tini = shutil.which("tini-static")  # the image has no libraries
    if tini is None:
        pytest.skip("tini is not installed")
    result = same(*podmans, "run", "--rm", "--init", "--init-path", tini, "busybox", "sh", "-c",
                  "cat /proc/1/cmdline; exit 3")
    assert result.code == 3
    assert result.out.startswith("/run/podman-init\0--\0sh\0")


@pytest.mark.parametrize("stage", STAGES)
def test_hooks(stage: str, podman: Judge, tmp_path: Path) -> None:
    """Those of a directory, as the NVIDIA toolkit and others install theirs."""
    out = tmp_path / "told"
    told = "/var/told" if stage == "startContainer" else str(out)
    program = "/bin/sh" if stage == "startContainer" else shutil.which("sh")
    hook = {"version": "1.0.0", "when": {"always": True}, "stages": [stage],
            "hook": {"path": program, "args": ["sh", "-c", f"cat > {told}"]}}
    (tmp_path / "hook.json").write_text(json.dumps(hook))
    hooked = replace(podman, command=(*podman.command, "--hooks-dir", str(tmp_path)))
    hooked.ok("run", "--detach", "--name", "box", "busybox", "sleep", "1000")
    if stage == "poststop":
        podman.ok("stop", "--time", "0", "box")

    def heard() -> str:
        if stage == "startContainer":
            return podman("exec", "box", "cat", told).out
        return out.read_text() if out.exists() else ""

    eventually(lambda: heard().endswith("}"))
    state = json.loads(heard())
    assert state["id"] == podman.ok("inspect", "--format", "{{.Id}}", "box")
    assert state["status"] in STAGES[stage]


def test_descriptors_are_handed_on(podmans: Pair) -> None:
    for judge in podmans:
        with judge.popen("run", "--rm", "--preserve-fds", "0", "busybox", "ls", "/proc/self/fd") as process:
            out, _ = process.communicate(timeout=60)
        assert out.split() == ["0", "1", "2", "3"], judge.name


def test_ready_is_passed_on(podman: Judge, tmp_path: Path, token: str) -> None:
    """--sdnotify container: conmon is between systemd and the runtime, and the runtime between conmon and the program.

    The program's word is said by the test, at the place inside.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        told = replace(podman, environment={**podman.environment, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        program = ("sleep", f"4711.{int(token[-8:], 16)}")  # nobody else's on this machine
        with told.popen("run", "--detach", "--name", "box", "--sdnotify", "container", "busybox", *program) as process:
            eventually(lambda: bool(running(program)))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inside:
                inside.sendto(b"READY=1", f"/proc/{running(program)[0]}/root/run/notify/notify.sock")
            heard = ""
            while "READY=1" not in heard:
                heard += systemd.recv(4096).decode()
            process.communicate(timeout=60)
    assert "MAINPID=" in heard
    assert podman.ok("inspect", "--format", "{{.State.Status}}", "box") == "running"


def running(program: tuple[str, ...]) -> list[str]:
    """The processes with this command line."""
    words = "\0".join((*program, "")).encode()
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if content(path) == words]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
