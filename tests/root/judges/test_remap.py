"""dockerd with --userns-remap: every container in a user namespace whose root is some other user of the host."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import leaks
from tests.root.judges.conftest import RUNTIMES, Pair, pair
from tests.root.judges.docker import Docker
from tests.root.judges.engines import Island, Judge, eventually, missing, same

FIRST, SIZE = 300000, 65536
SUBORDINATE = ("/etc/subuid", "/etc/subgid")
MAPS = "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; "


@pytest.fixture(scope="module")
def remapped(make_directory: Callable[[str], Path], launcher: Path, token: str,
             scope: leaks.Scope) -> Iterator[Docker]:
    if reason := missing("dockerd", "docker", "containerd", "runc"):
        pytest.skip(reason)
    if subprocess.run(("unshare", "--user", "true"), capture_output=True, check=False).returncode:
        pytest.skip("this kernel makes no user namespaces")
    directory = make_directory("remap")
    ids = directory / "ids"
    ids.write_text(f"nobody:{FIRST}:{SIZE}\n")
    island = Island()
    # Read when the daemon starts; this machine's own files are not ours to change.
    for path in SUBORDINATE:
        subprocess.run(("mount", "--bind", ids, path), check=True)
    try:
        engine = Docker(directory, island, f"/{token}", launcher, "--userns-remap", "nobody:nogroup")
    finally:
        for path in SUBORDINATE:
            subprocess.run(("umount", path), check=True)
    yield engine
    engine.close()
    island.close()


@pytest.fixture
def dockers(leak_check: None, remapped: Docker) -> Iterator[Pair]:
    yield from pair(remapped)


@pytest.fixture(params=RUNTIMES)
def docker(request: pytest.FixtureRequest, dockers: Pair) -> Judge:
    return dockers[RUNTIMES.index(request.param)]


def status(pid: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))


def test_root_is_nobody_outside(dockers: Pair) -> None:
    """The same answers as runc's: maps, owners, devices, and what this root may not do."""
    result = same(*dockers, "run", "--rm", "--memory", "64m", "--pids-limit", "50", "--tmpfs", "/scratch",
                  "--sysctl", "net.ipv4.ip_default_ttl=17", "--hostname", "web", "busybox", "sh", "-c",
                  f"{MAPS} id; hostname; touch /x /scratch/x; stat -c '%u %g %n' / /x /proc /dev /etc/hosts; "
                  "echo x > /dev/null; ls /dev; cat /proc/sys/net/ipv4/ip_default_ttl; "
                  "echo x > /proc/sys/kernel/hostname; mount -t tmpfs tmpfs /mnt; ip -o address show lo | wc -l")
    assert result.out.startswith(f" 0 {FIRST} {SIZE}\n" * 2 + "uid=0(root) gid=0(root)")
    assert result.out.endswith("\n1\n") and "\n17\n" in result.out and "\n0 0 /x\n" in result.out
    assert "Read-only file system" in result.err and "permission denied" in result.err.lower(), result


def test_other_users_and_capabilities(dockers: Pair) -> None:
    result = same(*dockers, "run", "--rm", "--user", "1000:1000", "--read-only", "--cap-drop", "all", "--security-opt",
                  "no-new-privileges", "busybox", "sh", "-c", "id; touch /x; grep -E '^(Cap|NoNew)' /proc/self/status")
    assert result.out.startswith("uid=1000(user) gid=1000(user)")
    assert "CapBnd:\t0000000000000000" in result.out


def test_a_life(docker: Judge) -> None:
    """From run to rm: exec, pause, update, stop."""
    docker.ok("run", "--detach", "--name", "box", "--volume", "jar:/jar", "busybox", "sh", "-c",
              "trap 'exit 3' TERM; touch /jar/lid; while :; do sleep 0.1; done")
    try:
        docker.ok("exec", "box", "sh", "-c", "until [ -e /jar/lid ]; do sleep 0.1; done")
        pid = docker.ok("inspect", "--format", "{{.State.Pid}}", "box")
        assert status(pid)["Uid"].split() == [str(FIRST)] * 4
        told = docker.ok("exec", "--user", "7", "box", "sh", "-c", f"{MAPS} id -u; stat -c %u /jar/lid")
        assert told.split() == ["0", str(FIRST), str(SIZE)] * 2 + ["7", "0"]
        with docker.terminal("exec", "-it", "box", "sh") as terminal:
            terminal.expect("/ # ")
            terminal.type("tty; exit 4\n")
            terminal.expect("/dev/pts/")
            assert terminal.end() == 4
        docker.ok("pause", "box")
        docker.ok("unpause", "box")
        docker.ok("update", "--memory", "32m", "--memory-swap", "64m", "box")
        told = docker.ok("exec", "box", "sh", "-c", "cd /sys/fs/cgroup; "
                         "cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max")
        assert told == str(32 << 20)
        docker.ok("stop", "box")
        eventually(lambda: docker.ok("inspect", "--format", "{{.State.ExitCode}}", "box") == "3")
    finally:
        docker.ok("rm", "--force", "box")
        docker.ok("volume", "rm", "jar")


def test_a_terminal(docker: Judge) -> None:
    with docker.terminal("run", "--rm", "-it", "busybox") as terminal:
        terminal.expect("/ # ")
        terminal.type("stat -c '<%u %t>' /dev/console; tty\n")
        terminal.expect("<0 88>")
        terminal.expect("/dev/pts/0")
        terminal.type("exit 7\n")
        assert terminal.end() == 7


def test_on_the_bridge(docker: Judge) -> None:
    docker.ok("run", "--detach", "--name", "box", "busybox", "sh", "-c",
              "mkdir /www; echo hello > /www/index.html; exec httpd -f -h /www")
    address = docker.ok("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "box")
    eventually(lambda: docker("run", "--rm", "busybox", "wget", "-qO-", f"http://{address}/").out == "hello\n")


def test_one_without(dockers: Pair) -> None:
    """--userns host: as if the daemon were not told."""
    result = same(*dockers, "run", "--rm", "--userns", "host", "busybox", "sh", "-c", f"{MAPS} id -u; touch /x")
    assert result.out.split() == ["0", "0", str(2**32 - 1)] * 2 + ["0"]
