"""A server over a backend in memory, on a real socket; and the clients that talk to it."""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import docker as docker_py
import pytest

from pydocker.api.exchange import Request, failure
from pydocker.api.listeners import opened
from pydocker.api.router import Router, parse_target
from pydocker.api.routes import routes
from pydocker.api.server import Server
from pydocker.errors import InvalidParameter
from pydocker.wire import http
from tests.unit.api.fakes import Engine

CLIENTS = [path for path in dict.fromkeys([shutil.which("docker"), "/usr/bin/docker"]) if path and os.path.exists(path)]


@dataclass
class Running:
    """A server in a thread."""

    path: Path
    engine: Engine
    server: Server
    _open: list[http.Client] = field(default_factory=list)

    def connect(self) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(60)
        try:
            connected.connect(str(self.path))
        except OSError:
            connected.close()
            raise
        return connected

    def client(self) -> http.Client:
        self._open.append(http.Client(self.connect()))
        return self._open[-1]

    def call(self, method: str, target: str, body: object = None, **headers: str) -> SimpleNamespace:
        """One request on a connection of its own; the JSON of the answer, or its bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        client = http.Client(self.connect())
        try:
            answer = client.request(method, target, {"Host": "docker", **headers}, content)
            received = answer.read()
            if answer.headers.get("content-type") == "application/json" and received:
                return SimpleNamespace(status=answer.status, headers=answer.headers, json=json.loads(received))
            return SimpleNamespace(status=answer.status, headers=answer.headers, content=received)
        finally:
            client.close()

    def close(self) -> None:
        for client in self._open:
            client.close()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def running(tmp_path: Path, engine: Engine) -> Iterator[Running]:
    path = tmp_path / "s"
    listeners = opened([f"unix://{path}"])
    server = Server(listeners, Router(*routes(engine)).handle)
    thread = threading.Thread(target=server.run)
    thread.start()
    running = Running(path, engine, server)
    try:
        yield running
    finally:
        running.close()
        server.stop()
        thread.join(60)
        assert not thread.is_alive()
        assert not path.exists()


@pytest.fixture(params=CLIENTS or [None])
def docker(request: pytest.FixtureRequest, running: Running, tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """Run a real docker client: `docker("ps", "-a")`."""
    if request.param is None:
        pytest.skip("no docker client is installed")

    def run(*argv: str, input: str = "") -> SimpleNamespace:
        done = subprocess.run([request.param, *argv], input=input, capture_output=True, text=True, timeout=60,
                              check=False, env={"DOCKER_HOST": f"unix://{running.path}", "HOME": str(tmp_path)})
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def sdk(running: Running) -> Iterator[docker_py.DockerClient]:
    client = docker_py.DockerClient(base_url=f"unix://{running.path}")
    yield client
    client.close()


@pytest.fixture
def handle(engine: Engine) -> Callable[..., object]:
    """The router without any transport: `handle("GET", "/version")`."""
    router = Router(*routes(engine))

    def call(method: str, target: str, body: object = None, **headers: str) -> object:
        try:
            path, query = parse_target(target)
        except InvalidParameter as error:
            return failure(error)
        content = [] if body is None else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        return router.handle(Request(method=method, path=path, query=query, headers=headers, body=content))

    return call
