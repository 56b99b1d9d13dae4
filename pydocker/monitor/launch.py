"""What a monitor is told: `<run root>/containers/<id>/launch.json`, written by the engine before it asks for a monitor.

Everything is decided here already, except what only the mounted root file system can tell (which number a user name
has). It stays until the container is started again or removed, because whoever cleans up behind a killed
monitor needs to know the same things.
"""

from pathlib import Path

import msgspec

from pydocker.model.container import ContainerId
from pydocker.monitor.attach import AttachRequest
from runtime.spec import Spec

FILE = "launch.json"
LOCK = "monitor.lock"
SOCKET = "monitor.sock"
EXECS = "execs"
BUNDLE = "bundle"
ROOTFS = "rootfs"


class LogSettings(msgspec.Struct, frozen=True):
    """Where the log goes: no `path`, no log. Sizes in bytes; `files` counts the current one too."""

    path: str = ""
    max_size: int = 10 << 20
    files: int = 3


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One start of one container.

    `runtime` is the command line that the OCI runtime is called with; empty: ours, in a fork that has it imported.
    `lower` are layer directories, lowest first. `user` and `groups` are still as the user wrote them.
    """

    id: ContainerId
    data: str  # <data root>/containers/<id>
    run: str  # <run root>/containers/<id>
    names: str  # <data root>/names
    temporary: str  # <data root>/tmp
    runtime: tuple[str, ...] = ()
    runtime_root: str
    mount_point: str  # of the mount that holds the run root
    lower: tuple[str, ...]
    user: str = ""
    groups: tuple[str, ...] = ()
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    log: LogSettings = LogSettings()
    auto_remove: bool = False
    cgroup: str = ""
    spec: Spec

    @property
    def run_path(self) -> Path:
        return Path(self.run)

    @property
    def data_path(self) -> Path:
        return Path(self.data)

    @property
    def upper(self) -> Path:
        return self.data_path / "upper"

    @property
    def work(self) -> Path:
        return self.data_path / "work"

    @property
    def rootfs(self) -> Path:
        return self.run_path / ROOTFS

    @property
    def bundle(self) -> Path:
        return self.run_path / BUNDLE


class Spawn(msgspec.Struct, frozen=True, array_like=True):
    """Make a monitor for the container in `run`: to start it, or to clean up after a monitor that was killed.

    Descriptors: the server's end for the reply, monitor.lock (held), the clients', the waits'.
    """

    run: str
    clients: tuple[AttachRequest, ...] = ()
    waits: tuple[bool, ...] = ()
    clean: bool = False
