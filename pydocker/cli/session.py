"""One call of the command line: where it writes, whom it asks. Everything a command may touch, and nothing global.

The streams are descriptors, not Python files: a terminal in raw mode, a container's output and a `ps` piped into `head`
all want write(2), and a launcher that hands its three descriptors to a warm process has nothing else to give.
"""

import os
import select
import socket
from collections.abc import Mapping
from typing import BinaryIO

from pydocker import config
from pydocker.cli.errors import CommandError
from pydocker.cli.visible import visible
from pydocker.client import address
from pydocker.client.api import NEWEST, Client
from pydocker.client.launch import connect_or_start


class Session:
    """`environ`, three descriptors, a working directory; `host` once `-H` was seen.

    `job` is the process that the caller's shell knows, which may not be this one.
    """

    def __init__(self, environ: Mapping[str, str], stdin: int = 0, stdout: int = 1, stderr: int = 2,
                 directory: str = ".", job: int | None = None) -> None:
        self.environ = environ
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.directory = directory
        self.job = os.getpid() if job is None else job
        self.host = ""
        self.debug = False
        self._client: Client | None = None

    def client(self) -> Client:
        """The server's client, made at its first use. The server itself is started if it is the default one."""
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def negotiated(self) -> str:
        """The API version that is spoken, as far as that is settled."""
        return self._client.version if self._client else NEWEST

    def _make_client(self) -> Client:
        chosen = self.host or self.environ.get("DOCKER_HOST", "")
        version = self.environ.get("DOCKER_API_VERSION", "").removeprefix("v") or None
        if chosen:
            at = address.parse(chosen)
            return Client(lambda: address.connect(at), version)
        settings = config.load(self.environ)
        at = address.parse(settings.hosts[0])
        return Client(lambda: self._started(at, settings), version)

    def _started(self, at: address.Address, settings: config.Config) -> socket.socket:
        return connect_or_start(at, settings.paths, self.environ)

    def write(self, text: str) -> None:
        """`text` to stdout, as it is."""
        write_all(self.stdout, encoded(text))

    def say(self, text: str) -> None:
        """One line to stdout."""
        self.write(text + "\n")

    def warn(self, text: str) -> None:
        """One line to stderr, for a person."""
        write_all(self.stderr, encoded(visible(text) + "\n"))

    def open(self, path: str) -> BinaryIO:
        """A file of the caller's for reading. Raises CommandError in Go's words, which Docker's users know."""
        if not path:  # else it were the directory
            raise CommandError("open : no such file or directory")
        try:
            return open(os.path.join(self.directory, path), "rb")
        except OSError as error:
            raise CommandError(f"open {path}: {(error.strerror or '').lower()}") from error


def encoded(text: str) -> bytes:
    """UTF-8; what came in as undecodable bytes of argv goes out as the same bytes."""
    return text.encode("utf-8", "surrogateescape")


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, also where somebody has made the descriptor non-blocking (a shared terminal may be)."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
