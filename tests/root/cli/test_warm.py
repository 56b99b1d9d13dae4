"""The installed command, whose work is done by a child of a process that is warm already: what a caller can tell.

These launchers know no Python: where they would execute one (COLD), they fail, and say which.
"""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pydocker.cli import warm
from tests.engine import CHECKOUT, COLD, Engine
from tests.root.cli.terminals import Terminal
from tests.waiting import stop

NO_PYTHON = "/nowhere/python"
Call = Callable[..., "subprocess.Popen[str]"]
RUN = ("run", "--rm", "--network", "none", "busybox")


@pytest.fixture(scope="module")
def launcher(engine: Engine) -> str:
    path = engine.root / "launcher"
    words = (f'-D{name}="{value}"' for name, value in (("PYTHON", NO_PYTHON), ("PROGRAM", ""), ("HERE", str(CHECKOUT))))
    subprocess.run(("gcc", "-Wall", "-Wextra", "-Werror", *words, CHECKOUT / "pydocker/launcher.c", "-o", path),
                   check=True)
    return str(path)


@pytest.fixture
def call(engine: Engine, launcher: str) -> Iterator[Call]:
    """Start the command, once its warm process is there."""
    engine.start()
    wait_until(lambda: (engine.root / "daemon.json.warm").exists())
    begun: list[subprocess.Popen[str]] = []

    def start(*argv: str, **options: Any) -> "subprocess.Popen[str]":
        streams = dict[str, Any].fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"env": engine.environment}
        begun.append(subprocess.Popen((launcher, *argv), text=True, **(streams | options)))
        return begun[-1]

    yield start
    for process in begun:
        with process:
            process.kill()


def wait_until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(engine: Engine) -> list[int]:
    """The children that do the work of commands."""
    warm = _warm(engine)
    return [pid for pid, parent in warm.items() if parent in warm]


def _warm(engine: Engine) -> dict[int, int]:
    """The warm process and its children, and the parent of each."""
    named = {pid: _stat(pid) for pid in engine.processes()}
    return {pid: int(rest.split()[1]) for pid, (name, rest) in named.items() if name.endswith("(pydocker-warm")}


def _stat(pid: int) -> tuple[str, str]:
    """The name, and what follows it; of a process that has ended meanwhile, nothing."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return "", ""
    return name, rest


def test_streams_and_status_are_the_callers(call: Call) -> None:
    process = call(*RUN[:-1], "-i", "busybox", "sh", "-c", "cat; echo wrong >&2; exit 7")
    assert process.communicate("in\n") == ("in\n", "wrong\n")
    assert process.returncode == 7


def test_environment_directory_and_umask_are_the_callers(
        call: Call, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("A=from the file\nB\n")
    process = call(
        *RUN[:-1], "--cidfile", "id", "--env-file", "file", "-e", "C", "busybox", "sh", "-c", 'echo "$A,$B,$C"',
        cwd=tmp_path, umask=0o027, env=engine.environment | {"B": "two", "C": os.fsdecode("drei ü".encode())})
    assert process.communicate() == ("from the file,two,drei ü\n", "")
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o640


def test_limits_and_priority_are_the_callers(call: Call, engine: Engine, tmp_path: Path) -> None:
    engine.ok("create", "--network", "none", "--name", "large", "busybox")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        os.nice(7)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    process = call("export", "-o", str(tmp_path / "out"), "large", preexec_fn=limited)
    assert "large" in (err := process.communicate()[1]), err
    assert process.returncode == 1
    wait_until(lambda: not workers(engine))  # that of the command before
    process = call("events", preexec_fn=limited)
    wait_until(lambda: workers(engine))
    (worker,) = workers(engine)
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, worker) == 7)
    wait_until(lambda: resource.prlimit(worker, resource.RLIMIT_FSIZE) == (4096, 4096))
    wait_until(lambda: os.sched_getaffinity(worker) == {min(os.sched_getaffinity(0))})


def test_who_has_more_than_the_server_is_not_served_by_it(call: Call, engine: Engine) -> None:
    (server,) = engine.server()
    warm, = (pid for pid, parent in _warm(engine).items() if parent == server)
    os.setpriority(os.PRIO_PROCESS, warm, os.getpriority(os.PRIO_PROCESS, 0) + 1)
    process = call("version")
    assert NO_PYTHON in process.communicate()[1]
    os.setpriority(os.PRIO_PROCESS, warm, os.getpriority(os.PRIO_PROCESS, 0))
    if len(mine := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(warm, {min(mine)})  # as a cpuset that is not the caller's would have it
        process = call("version")
        assert NO_PYTHON in process.communicate()[1]
        os.sched_setaffinity(warm, mine)
    assert call("version").communicate()[1] == ""
    assert engine.server() == [server]


def test_more_words_than_a_message_holds(call: Call) -> None:
    words = ["x" * 1000] * 300
    assert call(*RUN, "sh", "-c", "echo $#", "sh", *words).communicate() == ("300\n", "")


def test_a_signal_is_sent_on(call: Call) -> None:
    process = call(*RUN, "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 9


def test_what_kills_the_command_kills_the_caller_and_the_other_way(
        call: Call, engine: Engine) -> None:
    process = call("events")
    wait_until(lambda: workers(engine))
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    wait_until(lambda: not workers(engine))
    process = call("events")
    wait_until(lambda: workers(engine))
    process.kill()
    wait_until(lambda: not workers(engine))


def test_a_stopped_caller_stops_the_command(call: Call, engine: Engine) -> None:
    wait_until(lambda: not workers(engine))
    process = call("events")
    wait_until(lambda: workers(engine))
    (worker,) = workers(engine)
    for number, state in ((signal.SIGTSTP, "T"), (signal.SIGCONT, "S")):
        process.send_signal(number)
        for pid in (worker, process.pid):
            wait_until(lambda pid=pid, state=state: f"State:\t{state}" in Path(f"/proc/{pid}/status").read_text())


def test_at_a_terminal(engine: Engine, launcher: str, call: Call) -> None:
    command = (launcher, *RUN[:-1], "-it", "busybox", "sh")
    with Terminal(command, engine.environment, "/", rows=33, columns=99) as terminal:
        terminal.expect("# ")
        terminal.type('until [ "$(stty size)" = "33 99" ]; do sleep 0.1; done; echo fi""rst\r')
        terminal.expect("first")
        terminal.resize(44, 111)
        terminal.type('until [ "$(stty size)" = "44 111" ]; do sleep 0.1; done; echo ne""xt\r')
        terminal.expect("next")
        terminal.type("exit 3\r")
        assert terminal.end() == 3
        assert terminal.settings() == terminal.at_first


@pytest.mark.parametrize("late", [False, True])
def test_in_the_background_the_terminal_is_the_shells(engine: Engine, launcher: str, call: Call, late: bool) -> None:
    """`late`: the command is told to stop only when the shell is being typed at again."""
    engine.ok("run", "-d", "--network", "none", "--name", "jobs", "busybox", "sleep", "1000")
    (warm,) = set(_warm(engine)) - set(workers(engine))
    script = "echo beg''un; while [ ! -e /on ]; do sleep 0.1; done; echo la''ter; read word; echo got-\\$word"
    with Terminal(("bash", "--norc", "--noediting", "-i"), engine.environment, "/") as terminal, ExitStack() as resumed:
        terminal.type(f'{launcher} exec -i jobs sh -c "{script}"\n')
        terminal.expect("begun")
        if late:
            stop(warm)
            resumed.callback(os.kill, warm, signal.SIGCONT)
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("bg; echo she''ll\n")
        terminal.expect("shell")
        resumed.close()
        engine.ok("exec", "jobs", "touch", "/on")
        terminal.expect("later")
        terminal.type("echo still she''ll\n")
        terminal.expect("still shell")
        terminal.type("fg\nword\n")
        terminal.expect("got-word")


@pytest.mark.parametrize("argv", [("serve",), ("run", "--env-file", "/dev/fd/63", "busybox")])
def test_what_only_a_process_of_its_own_can_do(call: Call,
                                               argv: tuple[str, ...]) -> None:
    process = call(*argv)
    assert process.communicate() == ("", f"pydocker: {NO_PYTHON}: No such file or directory\n")
    assert process.returncode == 1


def test_another_file_system_is_not_the_servers(call: Call, launcher: str) -> None:
    process = call("-c", 'exec unshare --mount "$0" --version', launcher, executable="/bin/sh")
    assert process.communicate()[1] == f"pydocker: {NO_PYTHON}: No such file or directory\n"
    assert call("--version").wait(60) == 0


def test_somebody_elses_socket_gets_nothing(fresh_engine: Engine, launcher: str) -> None:
    """The directory of the configuration may be one where others write, too."""
    address = fresh_engine.root / "daemon.json.warm"
    fresh_engine.root.parent.chmod(0o755)
    fresh_engine.root.chmod(0o777)
    program = ("import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]); "
               "s.listen(); print(flush=True); c = s.accept()[0]; print(c.recv(100))")
    with subprocess.Popen(("/usr/bin/python3", "-c", program, address), stdout=subprocess.PIPE, user="nobody",
                          text=True) as thief:
        assert thief.stdout is not None
        thief.stdout.readline()
        done = subprocess.run((launcher, "ps"), env=fresh_engine.environment, capture_output=True, text=True,
                              check=False)
        assert thief.stdout.read() == "b''\n"
    assert done.stderr == f"pydocker: {NO_PYTHON}: No such file or directory\n"


@pytest.mark.parametrize(("says", "words"), [
    ((), f"{NO_PYTHON}: No such file or directory"),
    ((warm.BEGUN,), "the process that ran this command was killed")])
def test_who_leaves_before_the_command_began_is_not_needed(
        fresh_engine: Engine, launcher: str, says: tuple[int, ...], words: str) -> None:
    """The warm process goes with its server. What it has not begun has no effects yet, and can be done by another."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(fresh_engine.root / "daemon.json.warm"))
        listener.listen()
        with subprocess.Popen((launcher, "ps"), env=fresh_engine.environment, stderr=subprocess.PIPE,
                              text=True) as process:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                for answer in says:
                    connection.send(struct.pack("=i", answer))
            assert process.communicate(timeout=60)[1] == f"pydocker: {words}\n"
    assert process.returncode == 1


def test_what_the_first_caller_ignored_ends_the_next_one(fresh_engine: Engine, launcher: str) -> None:
    """A job in the background of a script ignores SIGINT; the server that it starts, and its warm process, do not."""
    with subprocess.Popen(("/bin/sh", "-c", 'trap "" INT QUIT HUP; exec "$@"', "-", *COLD, "ps"), cwd=CHECKOUT,
                          env=fresh_engine.environment, stdout=subprocess.DEVNULL) as first:
        assert first.wait(60) == 0
    fresh_engine.warmed()
    with subprocess.Popen((launcher, "events"), env=fresh_engine.environment) as process:
        wait_until(lambda: workers(fresh_engine))
        (worker,) = workers(fresh_engine)
        ignored = next(line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if "SigIgn" in line)
        assert int(ignored.split()[1], 16) & sum(1 << one - 1 for one in (signal.SIGINT, signal.SIGQUIT)) == 0
        process.terminate()
        process.wait(60)


def test_a_client_outlives_the_server(fresh_engine: Engine, launcher: str) -> None:
    fresh_engine.import_busybox()
    wait_until(lambda: (fresh_engine.root / "daemon.json.warm").exists())
    with subprocess.Popen((launcher, *RUN, "sh", "-c", "echo ready; sleep 1; exit 5"), env=fresh_engine.environment,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        fresh_engine.kill()
        assert process.wait(60) == 5


def test_without_a_server_it_is_python(fresh_engine: Engine, launcher: str) -> None:
    fresh_engine.start()
    wait_until(lambda: (fresh_engine.root / "daemon.json.warm").exists())
    fresh_engine.stop()
    assert not (fresh_engine.root / "daemon.json.warm").exists()
    done = subprocess.run((launcher, "ps"), env=fresh_engine.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"pydocker: {NO_PYTHON}: No such file or directory\n")


@pytest.mark.parametrize(("stream", "out", "err"), [
    (0, "out\n", "err\n"), (1, "", "err\n"), (2, "out\n", "")])
def test_a_closed_stream_is_nothing_and_ends_nobody_elses_command(
        call: Call, launcher: str, stream: int, out: str, err: str) -> None:
    other = call(*RUN[:-1], "-i", "busybox", "cat")
    script = f'exec "$0" "$@" {stream}<&-'
    process = call("-c", script, launcher, *RUN, "sh", "-c", "echo out; echo err >&2; exit 3", executable="/bin/sh")
    assert process.communicate() == (out, err)
    assert process.returncode == 3
    assert other.communicate("still there\n") == ("still there\n", "")
    assert other.returncode == 0


@pytest.mark.parametrize(("stream", "out"), [(0, "out\n"), (1, ""), (2, "out\n")])
def test_a_closed_stream_without_the_launcher(engine: Engine, stream: int, out: str) -> None:
    script = f'exec "$0" -m pydocker "$@" {stream}<&-'
    done = subprocess.run(("/bin/sh", "-c", script, sys.executable, *RUN, "sh", "-c", "echo out; exit 3"),
                          env=engine.environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, out, "")
