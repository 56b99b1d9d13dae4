"""Docker's own daemon in a directory of its own, as one more server to speak to: whoever speaks the Engine API right
gets along with it. Without networks, so that the host's stay as they are, unless it is told otherwise."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.engine import busybox_archive

PATIENCE = 120.0  # an emulated machine is slow
WITHOUT_NETWORKS = ("--bridge=none", "--iptables=false", "--ip6tables=false")


def installed() -> bool:
    return shutil.which("dockerd") is not None and shutil.which("docker") is not None


class Dockerd:
    """A running daemon with the image `busybox`; `within` is a command that starts it somewhere else."""

    def __init__(self, root: Path, options: Sequence[str] = WITHOUT_NETWORKS, within: Sequence[str] = ()) -> None:
        self._root = root
        self.host = f"unix://{root}/docker.sock"
        with open(root / "log", "wb") as log:
            self._process = subprocess.Popen(
                [*within, "dockerd", "--data-root", str(root / "data"), "--exec-root", str(root / "exec"),
                 "-H", self.host, "--pidfile", str(root / "pid"), *options],
                stdout=log, stderr=log)

    def ready(self) -> None:
        """Wait until it answers, and give it its image. Raises RuntimeError with its log if it does not come up."""
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(["docker", "-H", self.host, "version"], capture_output=True, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not come up: {(self._root / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        made = subprocess.run(["docker", "-H", self.host, "import", "-c", 'CMD ["sh"]', "-", "busybox:latest"],
                              input=busybox_archive(), capture_output=True, check=True)
        self._image = made.stdout.decode().strip()
        # Its first container makes Docker keep a network namespace mounted for good; not during a test, please.
        subprocess.run(["docker", "-H", self.host, "run", "--rm", "--network", "none", "busybox", "true"], check=True)

    def clear(self) -> None:
        """Remove every container."""
        found = subprocess.run(["docker", "-H", self.host, "ps", "-aq"], capture_output=True, text=True, check=True)
        if ids := found.stdout.split():
            subprocess.run(["docker", "-H", self.host, "rm", "-f", *ids], capture_output=True, check=True)

    def empty(self) -> None:
        """Remove whatever another file's tests have left here: which files were before, is chance."""
        self.clear()
        for noun, listed, kept in (("image", ("images", "-q", "--no-trunc"), {self._image}),
                                   ("volume", ("volume", "ls", "-q"), set())):
            found = subprocess.run(["docker", "-H", self.host, *listed], capture_output=True, text=True, check=True)
            if names := {*found.stdout.split()} - kept:
                subprocess.run(["docker", "-H", self.host, noun, "rm", "-f", *names], capture_output=True, check=True)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if (point := line.split()[4]).startswith(f"{self._root}/"):
                subprocess.run(["umount", point], check=True)
        for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if str(self._root) in directory:
                os.rmdir(directory)
