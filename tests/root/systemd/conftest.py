"""Tests for hosts where systemd runs; elsewhere they are skipped. `make test-vm` boots such a host."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """sd_booted(3): this directory is how one asks whether systemd is pid 1."""
    if os.path.isdir("/run/systemd/system"):
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="systemd does not run here: make test-vm"))
