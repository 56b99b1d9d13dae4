"""create, start, state, kill, delete, list: in order, out of order, twice; and the words that callers match on."""

import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from runtime.spec import ConsoleSize
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime
from tests.waiting import catches, wait_until


def test_life_of_a_container(runtime: Runtime) -> None:
    pid_file = runtime.directory / "pid"
    runtime.configure("sleep", "100")
    runtime.create("--pid-file", str(pid_file))
    created = runtime.state()
    assert created["status"] == "created" and created["id"] == "c" and created["bundle"] == str(runtime.bundle)
    assert created["ociVersion"].startswith("1.") and created["pid"] == int(pid_file.read_text())
    assert Path(f"/proc/{created['pid']}/comm").read_text() != "sleep\n"
    runtime("start", "c", check=True)
    assert runtime.state()["status"] == "running"
    runtime("kill", "c", "KILL", check=True)
    runtime.await_status("stopped")
    assert runtime.state()["pid"] == 0
    runtime("delete", "c", check=True)
    assert "does not exist" in runtime("state", "c").stderr


def test_what_config_says_may_be_longer_than_a_megabyte(runtime: Runtime) -> None:
    """state.json repeats it: one that was read in part only left a container that nobody could start or delete."""
    runtime.configure("true")
    runtime.change(annotations={f"a{number}": "b" * 90 for number in range(20_000)})
    runtime.create()
    assert len(runtime.state()["annotations"]) == 20_000
    runtime("start", "c", check=True)
    runtime.await_status("stopped")
    runtime("delete", "c", check=True)


def test_the_program_begins_at_start_not_before(runtime: Runtime) -> None:
    runtime.configure("touch", "/began")
    runtime.create()
    time.sleep(0.2)
    assert not (runtime.rootfs / "began").exists()
    runtime("start", "c", check=True)
    runtime.await_status("stopped")
    assert (runtime.rootfs / "began").exists()


def test_of_many_starts_one_succeeds(runtime: Runtime) -> None:
    runtime.configure("sleep", "100")
    runtime.create()
    command = [*COMMAND, "--root", str(runtime.root), "start", "c"]
    calls = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL) for _ in range(5)]
    assert sorted(call.wait(60) for call in calls) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(("state", "verb", "words"), [
    ("created", "create", "container with given ID already exists"),
    ("running", "start", "cannot start an already running container"),
    ("running", "delete", "cannot delete container c that is not stopped: running"),
    ("stopped", "start", "cannot start a container that has stopped"),
    ("stopped", "kill", "container not running"),
    ("stopped", "exec", "cannot exec in a stopped container"),
    ("none", "start", "container does not exist"),
    ("none", "state", "container does not exist"),
    ("none", "kill", "container does not exist"),
    ("none", "delete", "container does not exist"),
    ("none", "exec", "container does not exist"),
])
def test_what_cannot_be_done_now(runtime: Runtime, state: str, verb: str, words: str) -> None:
    runtime.configure("sleep", "100")
    if state != "none":
        runtime.create()
    if state in ("running", "stopped"):
        runtime("start", "c", check=True)
    if state == "stopped":
        runtime("kill", "c", "9", check=True)
        runtime.await_status("stopped")
    arguments = {"create": ["--bundle", str(runtime.bundle), "c"], "exec": ["c", "true"]}.get(verb, ["c"])
    done = runtime(verb, *arguments)
    assert done.returncode == (255 if verb == "exec" else 1)
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_delete_of_a_created_or_forced(runtime: Runtime) -> None:
    runtime.configure("sleep", "100")
    runtime.create()
    runtime("delete", "c", check=True)
    runtime.background("sleep", "100")
    runtime("delete", "--force", "c", check=True)
    runtime("delete", "--force", "never-was", check=True)


@pytest.mark.parametrize("word", ["TERM", "SIGTERM", "15", "sigterm"])
def test_signals_have_names_and_numbers(runtime: Runtime, word: str) -> None:
    pid = runtime.background("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")
    wait_until(lambda: catches(pid, signal.SIGTERM))
    runtime("kill", "c", word, check=True)
    runtime.await_status("stopped")


def test_kill_all_reaches_every_process(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "sleep 300 & sleep 300; true")
    runtime.change(linux__namespaces=[{"type": "mount"}], hostname="",
                   mounts=[{"destination": "/proc", "type": "proc"}])
    runtime.create()
    runtime("start", "c", check=True)
    wait_until(lambda: len(json.loads(runtime("ps", "--format", "json", "c", check=True).stdout)) == 3)
    runtime("kill", "--all", "c", "KILL", check=True)
    runtime.await_status("stopped")


@pytest.mark.parametrize("word", ["NOPE", "99", "-1", "", "SIG"])
def test_unknown_signals_are_named(runtime: Runtime, word: str) -> None:
    runtime.background("sleep", "100")
    done = runtime("kill", "c", word)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("id", ["", "..", ".", "a/b", "a b", "../x", "a\n", "ü"])
def test_ids_are_plain_file_names(runtime: Runtime, id: str) -> None:
    done = runtime("state", id)
    assert done.returncode == 1 and "invalid id format" in done.stderr


def test_list(runtime: Runtime) -> None:
    assert runtime("list", check=True).stdout.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED",
                                                                "OWNER"]
    pid = runtime.background("sleep", "100")
    found = json.loads(runtime("list", "--format", "json", check=True).stdout)
    assert [(one["id"], one["pid"], one["status"]) for one in found] == [("c", pid, "running")]


def test_a_container_whose_create_was_killed_can_be_deleted(runtime: Runtime) -> None:
    """At whatever moment: what is left is found by `delete --force`, and init does not live on without its creator."""
    runtime.configure("sleep", "100")
    command = [*COMMAND, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "c"]
    for delay in (0.05, 0.08, 0.1, 0.12, 0.14):
        call = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                stdin=subprocess.DEVNULL)
        time.sleep(delay)
        call.kill()
        call.wait()
        runtime("delete", "--force", "c", check=True)
        assert not os.path.exists(runtime.root / "c")


def test_errors_are_logged_as_json(runtime: Runtime) -> None:
    log = runtime.directory / "log"
    runtime("--log", str(log), "--log-format", "json", "start", "nothing")
    line = json.loads(log.read_text())
    assert line["level"] == "error" and "container does not exist" in line["msg"]


def test_init_becomes_a_child_of_the_nearest_subreaper(runtime: Runtime) -> None:
    """As the engine's monitor and podman's conmon rely on: they wait for init."""
    runtime.configure("sh", "-c", "exit 5")
    script = (
        "import ctypes, os, subprocess, sys\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        f"base = {[*COMMAND, '--root', str(runtime.root)]!r}\n"
        f"create = ['create', '--bundle', {str(runtime.bundle)!r}, '--pid-file', {str(runtime.directory)!r} + '/pid']\n"
        "subprocess.run([*base, *create, 'c'], check=True)\n"
        "subprocess.run([*base, 'start', 'c'], check=True)\n"
        f"pid = int(open({str(runtime.directory)!r} + '/pid').read())\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
                          check=True)
    assert done.stdout == "5\n"


def test_signals_are_passed_on_by_a_foreground_run(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done")
    call = subprocess.Popen([*COMMAND, "--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "c"],
                            cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert call.stdout and call.stdout.readline() == b"ready\n"
    call.send_signal(signal.SIGTERM)
    assert call.wait(60) == 42
    call.stdout.close()


class ConsoleServer:
    """What conmon and containerd's shim do: listen, and receive the master of the container's terminal."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        directory = os.open(path.parent, os.O_PATH)
        self.listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        self.listener.listen()
        self.message = b""
        self.master = -1
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self) -> None:
        connection, _ = self.listener.accept()
        self.message, (self.master,), _, _ = socket.recv_fds(connection, 1000, 1)
        connection.close()
        self.listener.close()

    def output(self, until: bytes = b"") -> str:
        """All that the container writes, until these words, or its terminal is closed."""
        found = b""
        try:
            while until and until not in found:
                found += os.read(self.master, 1000)
            if until:
                return found.decode()
            while piece := os.read(self.master, 1000):
                found += piece
        except OSError:
            os.close(self.master)
        return found.decode()


def test_console_socket(runtime: Runtime) -> None:
    """The path is longer than a socket address can be."""
    deep = runtime.directory / ("d" * 100)
    deep.mkdir()
    server = ConsoleServer(deep / "console.sock")
    script = "tty; stty size; ls -l /dev/console; echo hi > /dev/console; read x; echo got $x; exit 4"
    runtime.configure("sh", "-c", script, terminal=True, console_size=ConsoleSize(height=24, width=99))
    runtime.create("--console-socket", str(deep / "console.sock"))
    server.thread.join(60)
    assert server.message == b"/dev/pts/0"
    assert os.isatty(server.master) and termios.tcgetattr(server.master)
    runtime("start", "c", check=True)
    said = server.output(until=b"hi\r\n")  # or the terminal's echo of what is typed could come anywhere
    os.write(server.master, b"typed\n")
    lines = (said + server.output()).splitlines()
    assert {"/dev/pts/0", "24 99", "hi", "got typed"} <= {*lines}
    assert any(line.startswith("crw") and "136" in line for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
def test_terminal_and_console_socket_go_together(runtime: Runtime, terminal: bool) -> None:
    runtime.configure("true", terminal=terminal)
    socket_flag = [] if terminal else ["--console-socket", "/nowhere"]
    done = runtime("create", "--bundle", str(runtime.bundle), *socket_flag, "c")
    assert done.returncode == 1 and "console socket" in done.stderr


def test_preserved_descriptors(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "cat <&3; ls /proc/self/fd")
    command = [*COMMAND, "--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "--preserve-fds", "1"]
    done = subprocess.run(["sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", *command, "c"], input="through\n", text=True,
                          cwd=REPOSITORY, capture_output=True, timeout=60, check=False)
    assert done.stdout.split() == ["through", "0", "1", "2", "3", "4"], done.stderr
