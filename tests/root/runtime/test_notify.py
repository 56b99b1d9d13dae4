"""sd_notify(3) out of a container: the test is systemd, and speaks for the program, by its own /proc/PID/root."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime

PATIENCE = 60.0
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


class Systemd:
    """The socket of a service manager."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(PATIENCE)
        self.environment = {**os.environ, "NOTIFY_SOCKET": path}

    def hear(self) -> str:
        """The next message; what comes with it is closed, as systemd does."""
        message, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 1)
        for descriptor in descriptors:
            os.close(descriptor)
        return message.decode().strip()

    def silent(self) -> bool:
        self._socket.settimeout(0.3)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(runtime: Runtime) -> Iterator[Systemd]:
    found = Systemd(str(runtime.directory / "notify"))
    yield found
    found.close()


def told(pid: int) -> str:
    with open(f"/proc/{pid}/environ") as file:
        return dict(line.split("=", 1) for line in file.read().split("\0") if "=" in line).get("NOTIFY_SOCKET", "")


def say(pid: int, message: str) -> None:
    """As the program would, at the place that it was told, as soon as it is the program."""
    path = told(pid)
    while not path.startswith("/run/"):
        path = told(pid)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), f"/proc/{pid}/root{path}")


def begin(runtime: Runtime, systemd: Systemd, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, "--root", str(runtime.root), *words], cwd=REPOSITORY, text=True,
                            env=systemd.environment, **QUIET)


def created(runtime: Runtime, systemd: Systemd, *args: str) -> int:
    runtime.configure(*args)
    runtime("create", "--bundle", str(runtime.bundle), "c", check=True, env=systemd.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return runtime.pid()


def test_start_waits_for_the_word_and_passes_it_on(runtime: Runtime, systemd: Systemd) -> None:
    pid = created(runtime, systemd, "sleep", "100")
    with begin(runtime, systemd, "start", "c") as start:
        runtime.await_status("running")
        say(pid, "STATUS=nearly\nMAINPID=1")
        assert systemd.silent() and start.poll() is None
        say(pid, "STATUS=up\nREADY=1")
        assert [systemd.hear() for _ in range(3)] == [f"MAINPID={pid}", "READY=1", "BARRIER=1"]
        assert (start.wait(PATIENCE), start.stderr.read()) == (0, "")
    assert systemd.silent()


def test_a_program_that_ends_without_a_word(runtime: Runtime, systemd: Systemd) -> None:
    created(runtime, systemd, "true")
    with begin(runtime, systemd, "start", "c") as start:
        assert (start.wait(PATIENCE), start.stderr.read()) == (0, "")
    assert systemd.silent()


def test_in_the_foreground_we_are_the_process_to_watch(runtime: Runtime, systemd: Systemd) -> None:
    runtime.configure("sleep", "100")
    with begin(runtime, systemd, "run", "--bundle", str(runtime.bundle), "c") as run:
        while not (runtime.root / "c/notify/notify.sock").exists() or runtime.state()["status"] != "running":
            assert run.poll() is None
        pid = runtime.pid()
        say(pid, "READY=1")
        assert [systemd.hear() for _ in range(2)] == [f"MAINPID={run.pid}", "READY=1"]
        say(pid, "READY=1")
        assert systemd.silent() and run.poll() is None, "once is enough"
        runtime("kill", "c", "KILL", check=True)
        assert run.wait(PATIENCE) == 137


def test_detached(runtime: Runtime, systemd: Systemd) -> None:
    runtime.configure("sleep", "100")
    with begin(runtime, systemd, "run", "--detach", "--bundle", str(runtime.bundle), "c") as run:
        while not (runtime.root / "c/notify/notify.sock").exists() or runtime.state()["status"] != "running":
            assert run.poll() is None
        pid = runtime.pid()
        say(pid, "READY=1")
        assert [systemd.hear() for _ in range(3)] == [f"MAINPID={pid}", "READY=1", "BARRIER=1"]
        assert run.wait(PATIENCE) == 0


def test_nobody_listens_any_more(runtime: Runtime, systemd: Systemd) -> None:
    """A warning, and the container lives."""
    pid = created(runtime, systemd, "sleep", "100")
    os.unlink(systemd.path)
    with begin(runtime, systemd, "start", "c") as start:
        runtime.await_status("running")
        say(pid, "READY=1")
        assert start.wait(PATIENCE) == 0
        assert "no such file or directory" in start.stderr.read()
    assert runtime.state()["status"] == "running"


def test_the_place_inside(runtime: Runtime, systemd: Systemd) -> None:
    """Read-only, and not there for whom nobody asked; another user may send as well."""
    runtime.configure("sh", "-c", "env | grep NOTIFY; touch /run/notify/x; stat -c '%a' $NOTIFY_SOCKET")
    told = runtime("run", "--bundle", str(runtime.bundle), "c", env=systemd.environment)
    assert told.stdout.split() == ["NOTIFY_SOCKET=/run/notify/notify.sock", "777"]
    assert "Read-only file system" in told.stderr
    assert "NOTIFY" not in runtime.run("env").stdout


def test_started_twice(runtime: Runtime, systemd: Systemd) -> None:
    pid = created(runtime, systemd, "sleep", "100")
    with begin(runtime, systemd, "start", "c") as start:
        runtime.await_status("running")
        done = runtime("start", "c", env=systemd.environment)
        assert (done.returncode, "already running" in done.stderr) == (1, True)
        say(pid, "READY=1")
        assert systemd.hear() == f"MAINPID={pid}"
        assert systemd.hear() == "READY=1" and systemd.hear() == "BARRIER=1"
        assert start.wait(PATIENCE) == 0
