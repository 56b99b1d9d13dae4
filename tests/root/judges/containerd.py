"""containerd by its own hands: `ctr` tells the shim which runtime to call."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.engine import busybox_archive
from tests.peers.layout import Layout
from tests.root.judges.engines import Island, Judge, eventually, remove_cgroups, unmount_below

CONFIGURATION = """\
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{root}/sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
"""
IMAGE = "busybox:latest"


def daemon(root: Path, island: Island) -> "subprocess.Popen[bytes]":
    """containerd with all its files below `root`, which listens at `root`/sock: in a moment."""
    (root / "config.toml").write_text(CONFIGURATION.format(root=root))
    with open(root / "log", "wb") as log:
        return subprocess.Popen((*island.enter, "containerd", "--config", str(root / "config.toml")),
                                stdout=log, stderr=log)


class Containerd:
    """A running daemon with the image `busybox:latest`."""

    def __init__(self, root: Path, island: Island, launcher: Path, namespace: str) -> None:
        self._root, self._namespace = root, namespace
        self._runtimes = {"runc": "runc", "pydocker": str(launcher)}
        self._process = daemon(root, island)
        try:
            eventually(lambda: self.by("runc")("version").code == 0)
            self._import(root / "layout")
        except BaseException:
            self.close()
            raise

    def _import(self, layout: Path) -> None:
        images = Layout(layout)
        images.tag("latest", images.image([busybox_archive()], Cmd=["sh"], Env=["PATH=/bin"]))
        subprocess.run(("tar", "-C", layout, "-cf", f"{layout}.tar", "."), check=True)
        self.by("runc").ok("image", "import", "--base-name", "busybox", f"{layout}.tar")

    def by(self, runtime: str) -> Judge:
        """The command line that has containers run by this one.

        The shim keeps their state in one directory of the machine's, below the name of containerd's namespace.
        """
        command = ("ctr", "--address", f"{self._root}/sock", "--namespace", self._namespace)
        return Judge(f"ctr on {runtime}", command, self._root, options={
            "run": ("--runtime", "io.containerd.runc.v2", "--runc-binary", self._runtimes[runtime])})

    def clear(self) -> None:
        ctr = self.by("runc")
        for name in ctr.ok("tasks", "ls", "--quiet").split():
            ctr("tasks", "rm", "--force", name)
        for name in ctr.ok("containers", "ls", "--quiet").split():
            ctr.ok("containers", "rm", name)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        unmount_below(self._root)
        remove_cgroups(os.fspath(self._root))
        shutil.rmtree(f"/run/containerd/runc/{self._namespace}", ignore_errors=True)  # our cache of filters
