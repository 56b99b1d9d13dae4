"""A small real server on a unix socket that says what a test tells it to, byte for byte, and remembers what it got."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydocker.client import address
from pydocker.client.api import Client


class Scripted:
    """Answers each request (head and body read by their own rules) with the next of `answers`, then closes.

    `reads`: whether it reads the next ones at all; else it looks whether there is something.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: list[bytes | Callable[[socket.socket], None]] = []
        self.requests: list[bytes] = []
        self.reads: list[bool] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def client(self, version: str | None = None) -> Client:
        at = address.parse(f"unix://{self.path}")
        return Client(lambda: address.connect(at), version)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                reads = self.reads.pop(0) if self.reads else True
                self.requests.append(_request(connection) if reads else connection.recv(1, socket.MSG_PEEK))
                answer = self.answers.pop(0)
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    chunked = b"transfer-encoding: chunked" in head.lower()
    while len(body) < wanted or (chunked and not body.endswith(b"0\r\n\r\n")):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer: `answer("404 Not Found", b'{"message": "…"}')`."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Scripted]:
    directory = os.open(tmp_path, os.O_PATH)
    server = Scripted(Path(f"/proc/{os.getpid()}/fd/{directory}/sock"))
    yield server
    server.close()
    os.close(directory)
