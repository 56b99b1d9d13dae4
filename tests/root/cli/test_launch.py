"""Nobody has started a server: the first command does, for root; everybody else is told."""

import os
import pwd
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.engine import CHECKOUT, COLD, Engine
from tests.waiting import stop, wait_until

NOBODY = pwd.getpwnam("nobody")


def as_nobody(engine: Engine, *argv: str) -> subprocess.CompletedProcess[str]:
    """`pydocker ARGV` for somebody without rights; the engine's configuration can be read by all."""
    for directory in (engine.root, engine.root.parent):
        directory.chmod(0o755)
    return subprocess.run(
        (sys.executable, "-m", "pydocker", *argv), cwd=CHECKOUT, env=engine.environment, capture_output=True, text=True,
        check=False, user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=(), timeout=60)


def test_the_first_command_starts_the_server(fresh_engine: Engine) -> None:
    assert fresh_engine.server() == []
    assert fresh_engine.ok("ps", "-q") == ""
    (server,) = fresh_engine.server()
    assert os.getsid(server) == server
    assert os.getpgid(server) != os.getpgid(0)
    assert os.readlink(f"/proc/{server}/cwd") == "/"
    assert os.readlink(f"/proc/{server}/fd/0") == "/dev/null"
    fresh_engine.ok("ps")
    assert fresh_engine.server() == [server]


def test_many_first_commands_at_once_start_one(fresh_engine: Engine) -> None:
    commands = [fresh_engine.popen("ps", "-q", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(6)]
    said = [(command.wait(60), command.communicate()[1]) for command in commands]
    assert said == [(0, b"")] * 6
    wait_until(lambda: len(fresh_engine.server()) == 1)


def test_the_next_command_starts_it_again(fresh_engine: Engine) -> None:
    fresh_engine.ok("ps")
    fresh_engine.kill()
    assert fresh_engine.ok("ps", "-q") == ""


def test_a_server_that_cannot_start_is_one_line_with_its_reason(fresh_engine: Engine) -> None:
    fresh_engine.config.write_text(fresh_engine.config.read_text().replace("data-root", "data-rot"))
    result = fresh_engine.pydocker("ps")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"configuration file {fresh_engine.config}: ")
    assert result.err.count("\n") == 1


def test_a_chosen_server_is_not_started(fresh_engine: Engine) -> None:
    result = fresh_engine.pydocker("-H", fresh_engine.host, "ps")
    assert (result.code, result.err) == (
        1, f"Cannot connect to the pydocker server at {fresh_engine.host}. Is it running?\n")
    assert fresh_engine.server() == []


def test_not_root_is_told_so(fresh_engine: Engine, readable_checkout: Path) -> None:
    for _ in range(2):  # without a server, and in front of one whose socket is root's
        result = as_nobody(fresh_engine, "ps")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            f"permission denied while trying to connect to the server at {fresh_engine.host}: run pydocker as root\n")
        fresh_engine.start()
    assert as_nobody(fresh_engine, "serve").stderr.startswith("the server needs to be root")
    assert as_nobody(fresh_engine, "--version").returncode == 0


def test_a_server_that_went_away_in_the_middle(fresh_engine: Engine) -> None:
    """The client says so in one line; what it was waiting for goes on."""
    fresh_engine.import_busybox()
    fresh_engine.ok("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    with fresh_engine.popen("wait", "web", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        wait_until(lambda: connected(fresh_engine) and at_rest(fresh_engine))
        fresh_engine.kill()
        out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (1, b"")
    assert err.startswith((b"the server's answer is broken", b"the server closed the connection"))
    assert err.count(b"\n") == 1
    assert fresh_engine.ok("ps", "--format", "{{.Names}}") == "web"


def connected(engine: Engine) -> bool:
    """Whether the server has taken a connection (proc_pid_net(5), unix: state 03, and the name that its listener had
    at first)."""
    (server,) = engine.server()
    rows = (row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:])
    return any(row[5] == "03" and row[-1].endswith(f"/.{engine.socket.name}.{server}") for row in rows)


def at_rest(engine: Engine) -> bool:
    """Whether no thread of it has anything to do: what was asked has been heard."""
    states = set()
    with suppress(OSError):  # one has ended just now
        states = {task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
                  for pid in engine.processes() for task in Path(f"/proc/{pid}/task").iterdir()}
    return states == {"S"}


def test_a_reader_that_has_had_enough(fresh_engine: Engine) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with fresh_engine.popen("info", stdout=writing, stderr=subprocess.PIPE) as command:
        os.close(writing)
        assert command.stderr is not None
        assert command.wait(60) == 128 + signal.SIGPIPE
        assert command.stderr.read() == b""


def test_an_attached_run_outlives_its_server(fresh_engine: Engine) -> None:
    """Its streams are the monitor's; its exit status is asked of the next server."""
    fresh_engine.import_busybox()
    script = "echo one; sleep 1.5; echo two; exit 5"
    with fresh_engine.popen("run", "busybox", "sh", "-c", script, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"one\n"
        fresh_engine.kill()
        assert command.stdout.read() == b"two\n"
        assert command.wait(60) == 5


PROGRAM = "echo begun; sleep 1.5; echo ended; exit 6"  # it may speak before the server has answered the start


def test_a_server_killed_under_a_foreground_run_takes_no_exit_status_along(fresh_engine: Engine) -> None:
    fresh_engine.import_busybox()
    with fresh_engine.popen("run", "--rm", "busybox", "sh", "-c", PROGRAM,
                            stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"begun\n"
        fresh_engine.kill()
        assert command.stdout.read() == b"ended\n"
        assert command.wait(60) == 6


def test_an_exit_status_is_known_when_the_container_has_gone_with_it(fresh_engine: Engine) -> None:
    """Nobody was asked while it ran: the client stands still until the next server has finished the removal."""
    fresh_engine.import_busybox()
    script = "trap 'echo ended; exit 6' USR1; echo begun; while :; do sleep 0.01; done"
    with subprocess.Popen((*COLD, "run", "--name", "web", "--rm", "busybox", "sh", "-c", script), cwd=CHECKOUT,
                          env=fresh_engine.environment, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"begun\n"
        pid = int(fresh_engine.ok("inspect", "-f", "{{.State.Pid}}", "web"))
        stop(command.pid)
        fresh_engine.kill()
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: not fresh_engine.ok("ps", "-aq"))
        command.send_signal(signal.SIGCONT)
        assert command.stdout.read() == b"ended\n"
        assert command.wait(60) == 6
