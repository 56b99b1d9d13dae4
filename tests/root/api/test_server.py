"""The server comes and goes; containers and their words stay."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pydocker.wire import http
from tests.engine import Engine, answers

HOST = {"Host": "docker"}
Count = Callable[[], tuple[int, int]]


def until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def connected(engine: Engine) -> Iterator[http.Client]:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(60)
        end.connect(str(engine.socket))
        yield http.Client(end)


def test_killed_while_a_container_speaks(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    name = engine.ok("run", "-d", "busybox", "sh", "-c", "for i in $(seq 20); do echo $i; sleep 0.1; done; exit 3")
    time.sleep(0.5)
    engine.kill()
    time.sleep(0.5)
    assert engine.ok("wait", name) == "3"
    assert engine.ok("logs", name).split() == [str(number) for number in range(1, 21)]


def test_killed_while_a_container_ends(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    kept = engine.ok("run", "-d", "busybox", "sh", "-c", "sleep 0.5; exit 4")
    engine.ok("run", "-d", "--rm", "busybox", "sh", "-c", "sleep 0.5")
    engine.kill()
    until(lambda: not engine.monitors())
    assert "Exited (4)" in engine.ok("ps", "-a")
    until(lambda: engine.ok("ps", "-aq", "--no-trunc") == kept)


def test_a_client_that_is_attached_outlives_the_server(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    with engine.popen("run", "-i", "busybox", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                      stderr=subprocess.DEVNULL) as attached:
        assert attached.stdin and attached.stdout
        attached.stdin.write(b"before\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == b"before\n"
        engine.kill()
        attached.stdin.write(b"after\n")
        attached.stdin.close()
        assert attached.stdout.read() == b"after\n"


def test_told_to_stop_it_leaves_and_containers_run_on(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    name = engine.ok("run", "-d", "busybox", "sleep", "100")
    [pid] = engine.server()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not engine.server())
    assert not engine.socket.exists()
    assert engine.ok("ps", "-q", "--no-trunc") == name


def test_an_idle_one_leaves(session_directory: Path, token: str) -> None:
    with Engine(Path(tempfile.mkdtemp(dir=session_directory)), token, **{"idle-timeout": 0.5}) as engine:
        engine.import_busybox()
        name = engine.ok("run", "-d", "busybox", "sleep", "100")
        until(lambda: not engine.server())
        assert not engine.socket.exists()
        assert engine.ok("ps", "-q", "--no-trunc") == name


def test_a_second_server_is_refused(engine: Engine) -> None:
    second = engine.pydocker("serve")
    assert second.code != 0
    assert "another server" in second.err
    assert "Traceback" not in second.err
    assert answers(engine.socket)


def test_a_server_for_systemd_takes_its_socket(fresh_engine: Engine) -> None:
    """`systemd-socket-activate`, by hand: descriptor 3, LISTEN_FDS and LISTEN_PID."""
    engine = fresh_engine
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(engine.socket))
        listening.listen()
        script = 'exec 3<&"$0" && export LISTEN_FDS=1 LISTEN_PID=$$ && exec "$@"'
        command = ["bash", "-c", script, str(listening.fileno()), sys.executable, "-m", "pydocker", "serve"]
        with subprocess.Popen(command, pass_fds=[listening.fileno()], env=engine.environment,
                              stderr=subprocess.DEVNULL) as server:
            with connected(engine) as client:
                assert client.request("GET", "/_ping", HOST).read() == b"OK"
            server.terminate()
            assert server.wait(60) == 0
        assert engine.socket.exists()  # it is not ours to remove


def test_clients_that_come_and_go_leave_nothing_in_the_server(engine: Engine, threads: Count) -> None:
    """CVE-2022-23471: a server that keeps something for every attach, resize or wait that was given up."""
    name = engine.ok("run", "-d", "-t", "busybox", "sleep", "100")
    before = threads()
    for _ in range(100):
        with connected(engine) as client:
            client.request("POST", f"/containers/{name}/wait", HOST)
        with connected(engine) as client:
            client.request("GET", f"/containers/{name}/logs?stdout=1&follow=1", HOST)
        with connected(engine) as client:
            client.request("GET", "/events?since=1", HOST)
        with connected(engine) as client:
            client.request("GET", f"/containers/{name}/stats", HOST)
        with connected(engine) as client:
            path = f"/containers/{name}/attach?stream=1&stdout=1&stdin=1"
            client.request("POST", path, {**HOST, **http.UPGRADE_HEADERS}).hijack().socket.close()
        with connected(engine) as client:
            assert client.request("POST", f"/containers/{name}/resize?h=30&w=90", HOST).status == 200
    until(lambda: threads()[0] <= before[0] + 1 and threads()[1] <= before[1] + 4)
    engine.ok("rm", "-f", name)


def test_a_client_that_attaches_and_never_starts(engine: Engine, threads: Count) -> None:
    name = engine.ok("create", "busybox", "true")
    before = threads()
    for _ in range(10):
        with connected(engine) as client:
            path = f"/containers/{name}/attach?stream=1&stdout=1"
            client.request("POST", path, {**HOST, **http.UPGRADE_HEADERS}).hijack().socket.close()
    engine.ok("rm", name)
    until(lambda: threads()[1] <= before[1] + 4)


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "..%2f..%2fetc", "a%00b", "x" * 5000, "%ff", "a b", "*", "~"])
def test_names_are_no_paths(engine: Engine, name: str) -> None:
    for method, path in (("GET", "json"), ("POST", "start"), ("POST", "kill"), ("GET", "logs?stdout=1")):
        with connected(engine) as client:
            answer = client.request(method, f"/containers/{name.replace(' ', '%20')}/{path}", HOST)
            assert answer.status in (400, 404), answer.read()
            assert b"Traceback" not in answer.read()


def test_strings_that_no_kernel_takes(engine: Engine) -> None:
    """Engine API strings end up in execve(2), sethostname(2), paths: NUL bytes and the like are the client's fault."""
    for body in ({"Cmd": ["a\0b"]}, {"Env": ["A=\0"]}, {"Env": ["=x"]}, {"Hostname": "a\0"}, {"Hostname": "x" * 300},
                 {"WorkingDir": "a\0b"}, {"User": "a\0"}, {"User": "4294967296"}, {"Labels": {"a": "b\0"}},
                 {"Image": "busybox\0"}, {"Image": ""}, {"StopSignal": "SIGNOTHING"}):
        with connected(engine) as client:
            content = json.dumps({"Image": "busybox", "Cmd": ["true"], **body}).encode()
            answer = client.request("POST", "/containers/create", HOST, content)
            received = answer.read()
            if answer.status == 201:  # then starting it must say what is wrong, and break nothing
                id = json.loads(received)["Id"]
                started = client.request("POST", f"/containers/{id}/start", HOST)
                assert started.status < 501, started.read()
                started.read()
                client.request("DELETE", f"/containers/{id}?force=1", HOST).read()
            else:
                assert answer.status in (400, 404), (body, received)
            assert b"Traceback" not in received
