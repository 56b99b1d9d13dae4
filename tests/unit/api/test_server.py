"""Connections and the server's own life: streams, hang-ups, limits, leaving."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from pydocker.api import listeners
from pydocker.api.exchange import JSON_LIMIT, Request, Response, Result
from pydocker.api.server import Server, only_server
from pydocker.config import Config
from pydocker.errors import Conflict, InvalidParameter, NotSupported, PydockerError
from pydocker.wire import http
from pydocker.wire.stdcopy import STDOUT, frame
from tests.unit.api.conftest import Running

HOST = {"Host": "docker"}


def until(condition: object, patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def detached(running: Running, *argv: str) -> str:
    id = running.call("POST", "/containers/create", {"Image": "busybox", "Cmd": argv}).json["Id"]
    assert running.call("POST", f"/containers/{id}/start").status == 204
    return str(id)


def test_one_connection_carries_many_requests(running: Running) -> None:
    client = running.client()
    for _ in range(3):
        assert client.request("GET", "/_ping", HOST).read() == b"OK"
        assert client.request("GET", "/nothing", HOST).read() == b'{"message": "page not found"}\n'


def test_every_answer_names_the_versions(running: Running) -> None:
    answer = running.call("HEAD", "/_ping")
    assert (answer.status, answer.headers["api-version"], answer.headers["ostype"]) == (200, "1.47", "linux")
    assert answer.content == b""


def test_a_wait_is_answered_before_it_is_over(running: Running) -> None:
    """`docker run` starts the container when the headers of its wait have come."""
    id = detached(running, "sleep")
    answer = running.client().request("POST", f"/containers/{id}/wait?condition=next-exit", HOST)
    assert answer.status == 200
    running.call("POST", f"/containers/{id}/kill")
    assert answer.read() == b'{"StatusCode":137}\n'


def test_a_client_that_hangs_up_ends_its_wait(running: Running) -> None:
    id = detached(running, "sleep")
    until(lambda: not running.server._connections)
    before = threading.active_count()
    for _ in range(20):
        client = http.Client(running.connect())
        client.request("POST", f"/containers/{id}/wait", HOST)
        client.close()
    until(lambda: threading.active_count() <= before + 1)  # the one that watches stays
    running.call("POST", f"/containers/{id}/kill")


def test_a_client_that_hangs_up_ends_its_logs(running: Running) -> None:
    id = detached(running, "sleep", "said")
    client = http.Client(running.connect())
    pieces = client.request("GET", f"/containers/{id}/logs?stdout=1&follow=1", HOST).pieces()
    assert next(pieces) == frame(STDOUT, b"said\n")
    client.close()
    assert running.engine.containers.follower_left.wait(60)


def test_a_client_that_hangs_up_ends_its_pull(running: Running) -> None:
    client = http.Client(running.connect())
    pieces = client.request("POST", "/images/create?fromImage=endless&tag=1", HOST).pieces()
    next(pieces)
    client.close()
    assert running.engine.images.abandoned.wait(60)


def test_keys_that_are_none_are_told_before_the_connection_is_handed_over(running: Running) -> None:
    id = running.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["echo", "x"]}).json["Id"]
    for path, body in ((f"/containers/{id}/attach?stream=1&stdout=1&detachKeys=nonsense", None),
                       (f"/containers/{id}/exec", {"Cmd": ["x"], "DetachKeys": "nonsense"})):
        answer = running.call("POST", path, body)
        assert (answer.status, answer.json["message"]) == (400, "invalid detach keys: unknown character: 'nonsense'")


def test_many_attached_clients_leave_nothing_behind(running: Running) -> None:
    running.call("GET", "/_ping")  # the server has come up, and has all the descriptors that it keeps
    until(lambda: not running.server._connections)
    fds, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(50):
        id = running.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["echo", "x"]}).json["Id"]
        client = http.Client(running.connect())
        answer = client.request("POST", f"/containers/{id}/attach?stream=1&stdout=1", {**HOST, **http.UPGRADE_HEADERS})
        taken, leftover = answer.hijack()
        running.call("POST", f"/containers/{id}/start")
        while received := taken.recv(4096):
            leftover += received
        assert leftover == frame(STDOUT, b"x\n")
        taken.close()
    until(lambda: threading.active_count() <= threads and len(os.listdir("/proc/self/fd")) <= fds)


def test_input_that_comes_with_the_request_is_not_lost(running: Running) -> None:
    id = running.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["cat"]}).json["Id"]
    with running.connect() as client:
        client.sendall(f"POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: \r\nUpgrade: tcp\r\n"
                       "Connection: Upgrade\r\nContent-Length: 0\r\n\r\nearly ".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        running.call("POST", f"/containers/{id}/start")
        assert b"".join(iter(lambda: client.recv(4096), b"")) == frame(STDOUT, b"early late")


def test_what_was_said_can_be_replayed_without_a_stream(running: Running) -> None:
    id = detached(running, "echo", "before")
    client = http.Client(running.connect())
    answer = client.request("POST", f"/containers/{id}/attach?logs=1&stdout=1", {**HOST, **http.UPGRADE_HEADERS})
    taken, leftover = answer.hijack()
    with taken:
        assert leftover + b"".join(iter(lambda: taken.recv(4096), b"")) == frame(STDOUT, b"before\n")


@pytest.mark.parametrize(("version", "tty", "expected"), [
    ("/v1.41", False, http.RAW_STREAM), ("/v1.42", False, http.MULTIPLEXED_STREAM), ("", True, http.RAW_STREAM)])
def test_framed_streams_have_a_type_of_their_own_since_1_42(
        running: Running, version: str, tty: bool, expected: str) -> None:
    body = {"Image": "busybox", "Cmd": ["echo", "x"], "Tty": tty}
    id = running.call("POST", "/containers/create", body).json["Id"]
    running.call("POST", f"/containers/{id}/start")
    answer = running.call("GET", f"{version}/containers/{id}/logs?stdout=1")
    assert answer.headers["content-type"] == expected
    assert answer.content == (b"x\n" if tty else frame(STDOUT, b"x\n"))


def test_a_body_beyond_the_limit_is_refused(running: Running) -> None:
    too_much = b'{"Image": "' + b"x" * JSON_LIMIT + b'"}'
    assert running.call("POST", "/containers/create", too_much).status == 413
    client = running.client()
    answer = client.request("POST", "/containers/create", HOST, iter([b" " * 65536] * (JSON_LIMIT // 65536 + 1)))
    assert answer.status == 413


def test_a_wrong_length_is_no_way_around_a_check(running: Running) -> None:
    """CVE-2024-41110: a request with Content-Length 0 whose body was seen by one reader and not by the other."""
    with running.connect() as client:
        client.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
                       b'{"Image": "busybox"}')
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"invalid reference format" in received  # the empty body names no image
    assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 400 ")
    assert running.engine.containers.list(all=True) == []


def test_a_server_that_is_told_to_stop_finishes_what_it_is_at(running: Running) -> None:
    id = detached(running, "sleep")
    idle = running.client()
    idle.request("GET", "/_ping", HOST).read()
    answer = running.client().request("POST", f"/containers/{id}/wait", HOST)
    running.server.stop()
    until(lambda: not running.path.exists())
    with pytest.raises(OSError):
        running.connect()
    running.engine.containers.kill(id)
    assert answer.read() == b'{"StatusCode":137}\n'


def quick(request: Request) -> Result:
    return Response(200, b"OK")


def test_an_idle_server_leaves_and_takes_its_socket_along(tmp_path: Path) -> None:
    path, busy = tmp_path / "s", threading.Event()
    busy.set()
    server = Server(listeners.opened([f"unix://{path}"]), quick, idle_timeout=0.2, busy=busy.is_set)
    thread = threading.Thread(target=server.run)
    thread.start()
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(path))
    until(lambda: server._connections)
    busy.clear()
    thread.join(1.0)
    assert thread.is_alive()  # an open connection keeps it
    connected.close()
    thread.join(60)
    assert not thread.is_alive()
    assert not path.exists()


def test_a_socket_of_a_dead_server_is_replaced_and_a_living_one_respected(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 30) / "s"  # longer than sockaddr_un holds
    path.parent.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    with listeners.reachable(path) as name:
        dead.bind(name)
    dead.close()
    [listener] = listeners.opened([f"unix://{path}"])
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(Conflict, match="another server is answering there"):
        listeners.opened([f"unix://{path}"])
    assert os.listdir(path.parent) == ["s"]
    listener.withdraw()
    listener.socket.close()
    assert not path.exists()


def test_a_socket_that_is_no_longer_ours_is_not_withdrawn(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [listener] = listeners.opened([f"unix://{path}"])
    path.unlink()
    path.write_text("somebody else's")
    listener.withdraw()
    listener.socket.close()
    assert path.exists()


def test_hosts_that_cannot_be(tmp_path: Path) -> None:
    for host, error in (("tcp://0.0.0.0:2375", NotSupported), ("unix://relative", InvalidParameter),
                        ("nonsense", InvalidParameter)):
        with pytest.raises(error, match="host"):
            listeners.opened([host])
    (tmp_path / "file").touch()
    with pytest.raises((PydockerError, NotADirectoryError, FileExistsError)):
        listeners.opened([f"unix://{tmp_path}/file/s"])
    (tmp_path / "directory").mkdir()
    with pytest.raises(PydockerError, match="listen on"):
        listeners.opened([f"unix://{tmp_path}/directory"])
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]


def test_sockets_of_a_service_manager_are_taken_only_when_meant_for_us() -> None:
    assert listeners.passed({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == []
    assert listeners.passed({}) == []


def test_there_is_one_server_for_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydocker.api.server.LOCK_PATIENCE", 0.1)
    config = Config(data_root=str(tmp_path / "data"), exec_root=str(tmp_path / "run"))
    config.paths.make()
    with only_server(config), pytest.raises(Conflict, match="another server is running"), only_server(config):
        pytest.fail("two servers at once")
    with only_server(config):
        pass
