"""Bundles from the host's static busybox, and the runtime as a command, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.spec import (
    Linux,
    LinuxCapabilities,
    LinuxMemory,
    LinuxPids,
    LinuxResources,
    Process,
    Root,
    Spec,
    encode,
)
from runtime.spec.defaults import (
    DEFAULT_CAPABILITIES,
    DEFAULT_PATH,
    MASKED_PATHS,
    READONLY_PATHS,
    default_mounts,
    default_namespaces,
)
from tests.leaks import remove_tree
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "runtime"]
APPLETS = (
    "sh", "ls", "cat", "mount", "id", "sleep", "true", "ps", "hostname", "env", "grep", "stty", "tty", "kill", "ip",
    "touch", "mknod", "dd", "stat", "readlink", "echo", "mkdir", "wc", "head", "umount", "test", "pwd", "tail", "find",
    "chroot", "unshare", "sed", "chmod", "chown")


def specification(*args: str, cgroup: str, **process: Any) -> Spec:
    """A container as Docker would ask for it."""
    sets = LinuxCapabilities(bounding=DEFAULT_CAPABILITIES, effective=DEFAULT_CAPABILITIES,
                             permitted=DEFAULT_CAPABILITIES)
    process = {"cwd": "/", "env": (DEFAULT_PATH, "TERM=xterm"), "capabilities": sets, **process}
    return Spec(
        oci_version="1.2.0", hostname="web", root=Root(path="rootfs"), mounts=default_mounts(),
        process=Process(args=args, **process),
        linux=Linux(namespaces=default_namespaces(), masked_paths=MASKED_PATHS, readonly_paths=READONLY_PATHS,
                    cgroups_path=cgroup, resources=LinuxResources(memory=LinuxMemory(limit=64 << 20),
                                                                  pids=LinuxPids(limit=64))))


class Runtime:
    """The command line with its own --root; containers of a test are deleted at its end."""

    def __init__(self, directory: Path, cgroup_parent: str) -> None:
        self.directory = directory
        self.root = directory / "state"
        self.bundle = directory / "bundle"
        self.rootfs = self.bundle / "rootfs"
        self.cgroup = f"{cgroup_parent}/{directory.name}"

    def configure(self, *args: str, **process: Any) -> Spec:
        """Write config.json for this program; returns what was written."""
        return self.write(specification(*args, cgroup=self.cgroup, **process))

    def write(self, spec: Spec) -> Spec:
        (self.bundle / "config.json").write_bytes(encode(spec))
        return spec

    def change(self, **fields: Any) -> None:
        """Replace members of config.json by their JSON names, `linux__seccomp={…}` for nested ones."""
        path = self.bundle / "config.json"
        document = json.loads(path.read_text())
        for name, value in fields.items():
            *parents, last = name.split("__")
            at = document
            for parent in parents:
                at = at.setdefault(parent, {})
            at[last] = value
        path.write_text(json.dumps(document))

    def __call__(self, *words: str, check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        done = subprocess.run([*COMMAND, "--root", str(self.root), *words], text=True, cwd=REPOSITORY,
                              timeout=60, check=False, **options)
        if check and done.returncode:
            raise AssertionError(f"{words}: {done.returncode}: {done.stderr}")
        return done

    def run(self, *args: str, **process: Any) -> subprocess.CompletedProcess[str]:
        """`run` of this program in the foreground."""
        if args:
            self.configure(*args, **process)
        return self("run", "--bundle", str(self.bundle), "c")

    def create(self, *words: str) -> None:
        """`create`, with output thrown away: a pipe would be held open by the container."""
        self("create", "--bundle", str(self.bundle), *words, "c", check=True, stdout=subprocess.DEVNULL,
             stderr=subprocess.DEVNULL)

    def background(self, *args: str, **process: Any) -> int:
        """A running container; returns the host's number of its init."""
        self.configure(*args, **process)
        self.create()
        self("start", "c", check=True)
        return self.program()

    def program(self) -> int:
        """The host's number of init, when that has become its program: `start` does not wait for execve(2)."""
        pid = self.pid()
        wait_until(lambda: executed(pid))
        return pid

    def state(self) -> dict[str, Any]:
        return json.loads(self("state", "c", check=True).stdout)

    def pid(self) -> int:
        return int(self.state()["pid"])

    def await_status(self, status: str) -> None:
        """Return when the container is in this state."""
        wait_until(lambda: self.state()["status"] == status)


def executed(pid: int) -> bool:
    """Whether it is no interpreter of ours any more, and has its words by now; or has ended."""
    try:
        return not os.path.samefile(f"/proc/{pid}/exe", sys.executable) and bool(
            Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return True


@pytest.fixture(scope="session")
def busybox_root(session_directory: Path) -> Path:
    """A root file system: busybox and little else."""
    binary = shutil.which("busybox")
    if binary is None:
        pytest.skip("needs busybox-static")
    root = session_directory / "runtime-rootfs"
    for name in ("bin", "etc", "tmp", "proc", "dev", "sys", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy2(binary, root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    return root


@pytest.fixture
def runtime(leak_check: None, busybox_root: Path, session_directory: Path, request: pytest.FixtureRequest,
            cgroup_parent: str) -> Iterator[Runtime]:
    """A runtime with a bundle of its own."""
    directory = session_directory / f"r{os.urandom(4).hex()}"
    (directory / "bundle").mkdir(parents=True)
    shutil.copytree(busybox_root, directory / "bundle/rootfs", symlinks=True)
    runtime = Runtime(directory, cgroup_parent)
    yield runtime
    for one in msgspec.json.decode(runtime("list", "--format", "json").stdout or "[]"):
        runtime("delete", "--force", one["id"], check=True)
    left = {*os.listdir(runtime.root)} if runtime.root.exists() else set()
    assert not left - {"@seccomp", "@shelf"}, "state directories are left"
    remove_tree(directory)
