"""Throughput and requests a second: between two containers, from the host to a published port, and from outside to one.

Docker's daemon here has its bridge, its rules and its proxy. The program at both ends is the same for all (this Python,
in the containers' and the hosts' network namespaces), so what differs is only the way between them.
"""

import contextlib
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.engines import IMAGE, BenchEngine, Docker, Pydocker, Skipped
from tests.engine import busybox_archive
from tests.root.ports.hosts import ENGINE, Host, surroundings

SECONDS = 1.0
BLOCK = bytes(1 << 18)
PUBLISHED, INSIDE = 28080, 80


class DockerBridge(Docker):
    """With a network of its own."""

    network = ("--bip", "172.30.0.1/24")


def race(directory: Path, rounds: int) -> Iterator[str]:
    """Lines of a table; the engines take turns."""
    with ExitStack() as everything:
        around = surroundings()
        everything.callback(around.take_away)
        engines: list[BenchEngine] = []
        for kind in (DockerBridge, Pydocker):
            with contextlib.suppress(Skipped):
                engine = everything.enter_context(kind(directory / f"traffic-{kind.name}"))
                engine.load(busybox_archive())
                engines.append(engine)
        yield f"{'traffic':30}" + "".join(f"{engine.name:>22}" for engine in engines)
        ways: dict[str, Callable[[Ends], tuple[Host | None, str, int]]] = {
            "container to container": lambda ends: (ends.other, ends.address, INSIDE),
            "host to published port": lambda ends: (None, "127.0.0.1", PUBLISHED),
            "outside to published port": lambda ends: (around.client, ENGINE, PUBLISHED),
        }
        for name, way in ways.items():
            best: dict[str, tuple[float, float]] = {engine.name: (0.0, 0.0) for engine in engines}
            for _ in range(min(rounds, 3)):
                for engine in engines:
                    with Ends(engine) as ends:
                        found = measured(*way(ends))
                    best[engine.name] = max(best[engine.name][0], found[0]), max(best[engine.name][1], found[1])
            yield f"{name:30}" + "".join(f"{rate / 1e9:8.2f} GB/s {each:6.0f}/s" for rate, each in best.values())


class Ends:
    """Two containers, and a server in one of them that swallows what it is sent, or answers and closes."""

    def __init__(self, engine: BenchEngine) -> None:
        self._engine = engine

    def __enter__(self) -> "Ends":
        self._engine("run", "-d", "--name", "traffic-1", "-p", f"{PUBLISHED}:{INSIDE}", IMAGE, "sleep", "1000")
        self._engine("run", "-d", "--name", "traffic-2", IMAGE, "sleep", "1000")
        one, two = json.loads(self._engine("inspect", "traffic-1", "traffic-2"))
        self.address: str = one["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        hosts = [Host(os.open(f"/proc/{it['State']['Pid']}/ns/net", os.O_RDONLY)) for it in (one, two)]
        self.other = hosts[1]
        with hosts[0].inside():
            listener = socket.create_server(("0.0.0.0", INSIDE), backlog=1024)
        self._server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        self._server.start()
        listener.close()
        self._hosts = hosts
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.kill()
        self._server.join()
        for host in self._hosts:
            os.close(host.fd)
        self._engine.remove("traffic-1", "traffic-2")


def serve(listener: socket.socket) -> None:
    """The first byte says what is wanted."""
    buffer = bytearray(len(BLOCK))
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(1) == b"r":
                connection.sendall(b"x" * 100)
            else:
                while connection.recv_into(buffer):
                    pass
                with contextlib.suppress(OSError):
                    connection.sendall(b".")


def measured(host: Host | None, address: str, port: int) -> tuple[float, float]:
    """Bytes a second through one connection, and connections a second with a small answer each."""
    with host.inside() if host else contextlib.nullcontext():
        return throughput(address, port), requests(address, port)


def throughput(address: str, port: int) -> float:
    with socket.create_connection((address, port)) as connection:
        connection.sendall(b"t")
        sent, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < SECONDS:
            connection.sendall(BLOCK)
            sent += len(BLOCK)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return sent / (time.perf_counter() - begun)


def requests(address: str, port: int) -> float:
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        with socket.create_connection((address, port)) as connection:
            connection.sendall(b"r")
            while connection.recv(4096):
                pass
        done += 1
    return done / (time.perf_counter() - begun)
