"""Where a server is, and what it means when nobody answers there."""

import os
import socket
from pathlib import Path

import pytest

from pydocker.client import address
from pydocker.client.address import Refused
from pydocker.errors import InvalidParameter


@pytest.mark.parametrize(("text", "path", "host", "port"), [
    ("unix:///run/pydocker.sock", "/run/pydocker.sock", "", 0), ("tcp://127.0.0.1:2375", "", "127.0.0.1", 2375),
    ("tcp://[::1]:2375/", "", "::1", 2375), ("tcp://host:1", "", "host", 1),
])
def test_what_an_address_means(text: str, path: str, host: str, port: int) -> None:
    parsed = address.parse(text)
    assert (parsed.path, parsed.host, parsed.port) == (path, host, port)


@pytest.mark.parametrize("text", ["", "unix://", "/run/x.sock", "ftp://x", "tcp://host", "tcp://host:0", "tcp://:1",
                                  "tcp://host:65536", "tcp://host:x", "tcp://host:²"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"unable to parse docker host|invalid bind address format"):
        address.parse(text)


def test_nobody_there(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path / "missing" / "deeper"):
        with pytest.raises(Refused, match=r"^Cannot connect to the pydocker server at unix://.*\. Is it running\?$"):
            address.connect(address.parse(f"unix://{path}"))


def test_a_socket_whose_path_is_too_long_for_the_kernel(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    fd = os.open(directory, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{fd}/sock")
        os.close(fd)
        listener.listen()
        address.connect(address.parse(f"unix://{directory}/sock")).close()
