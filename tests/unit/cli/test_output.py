"""Where the output goes to may be full, or closed."""

import os

import pytest

from pydocker.cli import main


@pytest.mark.parametrize("line", ["--help", "run --help", "--version"])
def test_a_full_disk_is_one_line(line: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    reading, writing = os.pipe()
    try:
        assert main(line.split(), {}, stdout=full, stderr=writing) == 1
        assert os.read(reading, 1 << 16) == b"write: no space left on device\n"
    finally:
        for descriptor in (full, reading, writing):
            os.close(descriptor)
