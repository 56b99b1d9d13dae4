"""The leak check finds what it is there for: each kind of thing is left behind once, seen, and taken away again."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests import leaks

Leak = Callable[[Path, str], AbstractContextManager[None]]


@contextmanager
def a_mount(at: Path, token: str) -> Iterator[None]:
    subprocess.run(("mount", "-t", "tmpfs", token, at), check=True)
    yield
    subprocess.run(("umount", at), check=True)


@contextmanager
def a_cgroup(at: Path, token: str) -> Iterator[None]:
    hierarchy = next(path for path in leaks.hierarchies() if not path.name.startswith("cpuset"))
    path = hierarchy / f"{token}-left"
    path.mkdir()
    yield
    path.rmdir()


@contextmanager
def a_process(at: Path, token: str) -> Iterator[None]:
    process = subprocess.Popen(("sleep", "1000"))
    yield
    process.kill()
    process.wait()


@contextmanager
def a_process_that_hides(at: Path, token: str) -> Iterator[None]:
    """As a container's init: no environment of ours, another mount namespace, a mount from our directory."""
    script = f"mount --bind {at} /mnt && exec env -i sleep 1000"
    process = subprocess.Popen(("unshare", "--mount", "--fork", "--kill-child", "sh", "-c", script))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (child := children.read_text().strip()) or Path(f"/proc/{child}/comm").read_text() != "sleep\n":
        assert process.poll() is None
    yield
    process.kill()
    process.wait()


@contextmanager
def a_network_namespace(at: Path, token: str) -> Iterator[None]:
    # The first `ip netns add` after a boot binds the directory to itself, which os.path.ismount does not see.
    before = any(line.startswith("/run/netns (") for line in leaks.mounts())
    subprocess.run(("ip", "netns", "add", token), check=True)
    yield
    subprocess.run(("ip", "netns", "delete", token), check=True)
    if not before:
        subprocess.run(("umount", "--lazy", "/run/netns"), check=True)


@contextmanager
def a_file(at: Path, token: str) -> Iterator[None]:
    (at / "left").touch()
    yield
    (at / "left").unlink()


def test_what_is_mounted_in_a_tree_is_not_emptied_with_it(tmp_path: Path) -> None:
    """rmtree goes through mounts, and each fixture ends with one."""
    host, tree = tmp_path / "host", tmp_path / "tree"
    for directory in (host, tree / "below"):
        directory.mkdir(parents=True)
    (host / "file").touch()
    subprocess.run(("mount", "--bind", host, tree / "below"), check=True)
    try:
        with pytest.raises(AssertionError, match="still mounted"):
            leaks.remove_tree(tree)
        assert (host / "file").exists()
    finally:
        subprocess.run(("umount", tree / "below"), check=True)
    leaks.remove_tree(tree)
    assert not tree.exists() and (host / "file").exists()


@pytest.mark.parametrize(("leak", "kind"), [
    (a_mount, "mount"), (a_cgroup, "cgroup"), (a_process, "process"), (a_process_that_hides, "process"),
    (a_network_namespace, "network namespace"), (a_file, "file"),
])
def test_it_is_found(leak: Leak, kind: str, tmp_path: Path, scope: leaks.Scope, token: str) -> None:
    scope = replace(scope, roots=(tmp_path,))
    before = leaks.snapshot(scope)
    with leak(tmp_path, token):
        found = leaks.settled(before, scope, patience=0)
        assert any(line.startswith(f"{kind} left behind: ") for line in found), found
    assert leaks.settled(before, scope) == []


def test_a_lost_mount_is_found(tmp_path: Path, scope: leaks.Scope, token: str) -> None:
    with a_mount(tmp_path, token):
        before = leaks.snapshot(scope)
    assert any(line.startswith("mount lost: ") for line in leaks.settled(before, scope, patience=0))


def test_a_mount_whose_place_somebody_removed_is_not_ours(tmp_path: Path, scope: leaks.Scope) -> None:
    """As a daemon's, whose container ends: the kernel lets go of our namespace's copy, too."""
    place = tmp_path / "place"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    before = leaks.snapshot(scope)
    subprocess.run(["unshare", "--mount", "sh", "-c", f"umount {place} && rmdir {place}"], check=True)
    assert leaks.settled(before, scope, patience=0) == []


def test_the_session_has_a_mount_namespace_of_its_own(mount_namespace: str) -> None:
    assert os.readlink("/proc/self/ns/mnt") == mount_namespace != os.readlink(f"/proc/{os.getppid()}/ns/mnt")


def test_what_others_start_is_not_ours(scope: leaks.Scope) -> None:
    assert not any(line.startswith("1 ") for line in leaks.own_processes(scope))
