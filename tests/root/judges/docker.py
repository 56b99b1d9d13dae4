"""dockerd in an island: its bridges, its firewall's chains and its overlay networks end with it."""

import shutil
from pathlib import Path

from tests.root.cli.dockerd import Dockerd
from tests.root.judges.engines import Island, Judge, remove_cgroups

# dockerd's own runc is `runc`; the resource limits that it may not raise here are the session's.
OPTIONS = ("--userland-proxy=false", "--ip6tables=false", "--default-ulimit", "nofile=1024:1024")


class Docker:
    """A daemon with its containerd, and a command line for each of its runtimes.

    The parent of the cgroups is a directory, or, where systemd makes them, a slice.
    """

    def __init__(self, root: Path, island: Island, cgroup_parent: str, launcher: Path, *options: str) -> None:
        self._root = root
        systemd = cgroup_parent.endswith(".slice")
        driver = ("--exec-opt", "native.cgroupdriver=systemd") if systemd else ()
        self._parent = cgroup_parent if systemd else f"{cgroup_parent}/{root.name}"
        tini = shutil.which("tini-static")  # --init's: the images here have no libraries
        init = ("--init-path", tini) if tini else ()
        self._daemon = Dockerd(root, ("--add-runtime", f"pydocker={launcher}", "--cgroup-parent", self._parent, *init,
                                      *driver, *OPTIONS, *options), island.enter)
        try:
            self._daemon.ready()
        except Exception:
            self.close()
            raise

    def by(self, runtime: str) -> Judge:
        under = ("--runtime", runtime)
        return Judge(f"docker on {runtime}", ("docker", "--host", self._daemon.host), self._root,
                     options={"run": under, "create": under})

    @property
    def client(self) -> Judge:
        """The command line without a word about runtimes."""
        return Judge("docker", ("docker", "--host", self._daemon.host), self._root)

    def clear(self) -> None:
        self._daemon.clear()
        remove_cgroups(self._parent)

    def close(self) -> None:
        self._daemon.stop()
        remove_cgroups(self._parent)
