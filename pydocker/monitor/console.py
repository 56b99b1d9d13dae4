"""Receiving a terminal from the runtime:

it connects to our socket and sends the pty's master (runc, docs/terminals.md).
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pydocker.errors import PydockerError
from pydocker.monitor.control import receive_descriptors, short_name

_PATIENCE = 10.0  # seconds; the runtime has sent it before its command returns


class Console:
    """A listening socket. `path` leads through `directory`, a descriptor that the runtime has to keep open."""

    def __init__(self, listener: socket.socket, directory: int, name: str) -> None:
        self.directory = directory
        self.path = f"/proc/self/fd/{directory}/{name}"
        self._listener = listener

    def receive(self) -> int:
        """The pty's master, close-on-exec. Raises PydockerError when none comes."""
        self._listener.settimeout(_PATIENCE)
        try:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(_PATIENCE)
                _, fds = receive_descriptors(connection, 4096, 1)
        except OSError as error:
            raise PydockerError(f"console socket {self.path}: {error}") from error
        if len(fds) != 1:
            raise PydockerError(f"console socket {self.path}: the runtime sent no terminal")
        return fds[0]


@contextlib.contextmanager
def listening(directory: Path, name: str) -> Iterator[Console]:
    """A console socket `name` in `directory`, unlinked afterwards."""
    path = directory / name
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, short_name(directory) as short:
        listener.bind(short + name)
        listener.listen(1)
        try:
            yield Console(listener, int(short.split("/")[4]), name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
