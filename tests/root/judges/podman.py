"""podman: no daemon, a configuration of its own, conmon as each container's parent."""

import os
import subprocess
from pathlib import Path

from tests import leaks
from tests.engine import busybox_archive
from tests.root.judges.engines import Island, Judge, remove_cgroups, unmount_below

# Not above what this session may have; no systemd needed; locks that are files, as those in shared memory have one
# name on the whole machine.
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "{manager}"
events_logger = "file"
lock_type = "file"
[network]
network_backend = "netavark"
network_config_dir = "{root}/networks"
"""
SUBORDINATE = ("/etc/subuid", "/etc/subgid")


class Podman:
    """Its files, and a command line for each runtime, all of which see the same containers.

    The parent of their cgroups is a directory, or, where systemd makes them, a slice.
    """

    def __init__(self, root: Path, island: Island, cgroup_parent: str, launcher: Path) -> None:
        self.root = root
        self._runtimes = {"runc": "runc", "pydocker": str(launcher)}
        manager = "systemd" if cgroup_parent.endswith(".slice") else "cgroupfs"
        (root / "containers.conf").write_text(CONFIGURATION.format(root=root, manager=manager))
        (root / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{root}/root"\nrunroot = "{root}/run"\n')
        self._environment = os.environ | {"CONTAINERS_CONF": str(root / "containers.conf"),
                                          "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
                                          "DISABLE_HC_SYSTEMD": "true"}
        self._command = (*island.enter, "podman", "--root", str(root / "root"), "--runroot", str(root / "run"),
                         "--tmpdir", str(root / "tmp"))
        self._parent = cgroup_parent if manager == "systemd" else f"{cgroup_parent}/{root.name}"
        # The ids that --userns=auto takes from: this machine's own file is not ours to change.
        (root / "ids").write_text("containers:300000:100000\n")
        for path in SUBORDINATE:
            subprocess.run(("mount", "--bind", str(root / "ids"), path), check=True)
        archive = root / "busybox.tar"
        archive.write_bytes(busybox_archive())
        self.by("runc").ok("import", "--change", 'CMD ["sh"]', str(archive), "busybox")
        # The first container makes what stays: mounts, a bridge, chains of the firewall, the parent cgroups.
        self.by("runc").ok("run", "--rm", "busybox", "true")
        self._inherit_cpus()

    def _inherit_cpus(self) -> None:
        """A new cgroup v1 cpuset is empty, and nobody can join it, until who made it has copied its parent's cpus and
        memory nodes. Of two podmans that begin at once the second finds conmon's made, and may find it empty (ENOSPC).
        With this flag (cpuset(7)) the kernel copies them when it makes the cgroup.
        """
        for hierarchy in leaks.hierarchies():
            flag = Path(f"{hierarchy}{self._parent}/cgroup.clone_children")
            if flag.exists() and flag.with_name("cpuset.cpus").exists():
                flag.write_text("1")

    def by(self, runtime: str) -> Judge:
        """The command line with this runtime."""
        under = (f"--cgroup-parent={self._parent}",)
        return Judge(f"podman on {runtime}", (*self._command, "--runtime", self._runtimes[runtime]), self.root,
                     options={"run": under, "create": under}, environment=self._environment)

    def clear(self) -> None:
        for words in (("pod", "rm", "--all", "--force", "--time", "0"), ("rm", "--all", "--force", "--time", "0")):
            subprocess.run([*self._command, *words], env=self._environment, capture_output=True, check=True)
        if not self._parent.endswith(".slice"):
            for hierarchy in leaks.hierarchies():  # podman makes it when it needs it, and leaves it or does not
                leaks.remove_cgroup(f"{hierarchy}{self._parent}/conmon")

    def close(self) -> None:
        self.clear()
        for path in SUBORDINATE:
            subprocess.run(("umount", path), check=True)
        unmount_below(self.root)
        remove_cgroups(self._parent)
