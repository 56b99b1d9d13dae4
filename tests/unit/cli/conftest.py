"""The whole command line in this process, with files as its streams and a scripted server behind a socket."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pydocker.cli import main
from tests.unit.client.conftest import Scripted


class Said(NamedTuple):
    code: int
    out: str
    err: str


class CommandLine:
    """Runs `pydocker …` as a launcher would: descriptors, environment and directory are handed over."""

    def __init__(self, directory: Path, server: Scripted) -> None:
        self.directory = directory
        self.server = server
        self.environment = {"DOCKER_HOST": f"unix://{server.path}", "HOME": str(directory)}

    def __call__(self, *argv: str, stdin: bytes = b"") -> Said:
        (self.directory / "stdin").write_bytes(stdin)
        fds = [os.open(self.directory / name, flags, 0o600) for name, flags in (
            ("stdin", os.O_RDONLY), ("out", os.O_RDWR | os.O_CREAT | os.O_TRUNC),
            ("err", os.O_RDWR | os.O_CREAT | os.O_TRUNC))]
        try:
            code = main(argv, self.environment, stdin=fds[0], stdout=fds[1], stderr=fds[2],
                        directory=str(self.directory))
        finally:
            for fd in fds:
                os.close(fd)
        return Said(code, (self.directory / "out").read_text(), (self.directory / "err").read_text())


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Scripted]:
    directory = os.open(tmp_path, os.O_PATH)
    server = Scripted(Path(f"/proc/{os.getpid()}/fd/{directory}/sock"))
    yield server
    server.close()
    os.close(directory)


@pytest.fixture
def pydocker(tmp_path: Path, scripted: Scripted) -> CommandLine:
    return CommandLine(tmp_path, scripted)
