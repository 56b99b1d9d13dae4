"""Sockets by path: of any length, and what is wrong is told with the path."""

import errno
import socket
from pathlib import Path

import pytest

from runtime.linux.sockets import connect


def test_a_deep_directory_is_no_hindrance(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "short"))
        listener.listen()
        (tmp_path / "short").rename(directory / "short")
        socket.socket(fileno=connect(str(directory / "short"))).close()


def test_a_name_that_is_too_long_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File name too long") as refused:
        connect(str(tmp_path / ("x" * 200)))
    assert (refused.value.errno, refused.value.filename) == (errno.ENAMETOOLONG, str(tmp_path / ("x" * 200)))


def test_who_does_not_accept_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "full"))
        listener.listen(0)
        with socket.socket(fileno=connect(str(tmp_path / "full"))) as first:
            assert first.getblocking()
            with pytest.raises(OSError, match="Resource temporarily unavailable") as refused:
                connect(str(tmp_path / "full"))
    assert refused.value.filename == str(tmp_path / "full")
