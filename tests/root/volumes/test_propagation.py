"""Bind mounts that are to spread: `shared` and `slave`, of the file system that holds the engine, too."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine


@pytest.fixture
def source(engine: Engine) -> Iterator[Path]:
    """A directory of the host's, on the same mount as the engine's own."""
    path = engine.root / "source"
    (path / "below").mkdir(parents=True)
    yield path
    subprocess.run(("umount", "-l", path / "below"), stderr=subprocess.DEVNULL, check=False)
    (path / "below").rmdir()
    path.rmdir()


@pytest.fixture
def other(source: Path) -> Iterator[Path]:
    """The same on a mount of its own."""
    subprocess.run(("mount", "--bind", source, source), check=True)
    yield source
    subprocess.run(("umount", "-R", "-l", source), check=True)


def on_host(path: Path) -> bool:
    return os.path.ismount(path)


MOUNT = ("--privileged", "busybox", "mount", "-t", "tmpfs", "none", "/a/below")


@pytest.mark.parametrize("how", ["shared", "rshared"])
def test_what_a_container_mounts_is_seen_on_the_host(engine: Engine, source: Path, how: str) -> None:
    engine.ok("run", "--rm", "-v", f"{source}:/a:{how}", *MOUNT)
    assert on_host(source / "below")


def test_nothing_of_it_is_seen_without_being_asked_for(engine: Engine, source: Path) -> None:
    for flags in (("-v", f"{source}:/a"), ("-v", f"{source}:/a:rslave")):
        engine.ok("run", "--rm", *flags, *MOUNT)
        assert not on_host(source / "below")


def test_also_when_it_is_started_again(engine: Engine, source: Path) -> None:
    engine.ok("run", "--name", "spreads", "-v", f"{source}:/a:shared", *MOUNT)
    subprocess.run(("umount", source / "below"), check=True)
    engine.ok("start", "-a", "spreads")
    assert on_host(source / "below")


@pytest.mark.parametrize("how", ["slave", "rshared"])
def test_what_the_host_mounts_is_seen_in_the_container(engine: Engine, source: Path, how: str) -> None:
    engine.ok("run", "-d", "--name", "sees", "-v", f"{source}:/a:{how}", "busybox", "sleep", "1000")
    subprocess.run(("mount", "-t", "tmpfs", "none", source / "below"), check=True)
    assert "tmpfs" in engine.ok("exec", "sees", "stat", "-f", "/a/below")
    subprocess.run(("umount", source / "below"), check=True)
    assert "tmpfs" not in engine.ok("exec", "sees", "stat", "-f", "/a/below")


@pytest.mark.parametrize(("kind", "how", "what"), [
    ("private", "shared", "a shared mount"), ("private", "rslave", "a shared or slave mount"),
    ("slave", "rshared", "a shared mount")])
def test_the_host_does_not_spread_it(engine: Engine, other: Path, kind: str, how: str, what: str) -> None:
    """Docker's words and status: nothing would ever arrive."""
    subprocess.run(("mount", f"--make-{kind}", other), check=True)
    refused = engine.pydocker("run", "-v", f"{other}:/a:{how}", "busybox", "true")
    assert refused.code == 125
    assert f"path {other} is mounted on {other} but it is not {what}" in refused.err
    refused = engine.pydocker("run", "--mount", f"type=bind,src={other},dst=/a,bind-propagation={how}", "busybox")
    assert refused.code == 125 and f"but it is not {what}" in refused.err


def test_slave_of_a_slave(engine: Engine, other: Path) -> None:
    subprocess.run(("mount", "--make-slave", other), check=True)
    engine.ok("run", "--rm", "-v", f"{other}:/a:slave", "busybox", "true")
