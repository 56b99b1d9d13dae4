"""What a monitor is told: `<run root>/containers/<id>/launch.json`, written by the engine before it asks for a monitor.

Everything is decided here already, except what only the mounted root file system can tell (which number a user name
has). It stays until the container is started again or removed, because whoever cleans up behind a killed
monitor needs to know the same things.
"""

from pathlib import Path

import msgspec

from pydocker.model.container import ContainerId
from pydocker.model.image import Healthcheck
from pydocker.model.volume import Source
from pydocker.monitor.attach import AttachRequest
from runtime.spec import Spec

FILE = "launch.json"
LOCK = "monitor.lock"
SOCKET = "monitor.sock"
EXECS = "execs"
BUNDLE = "bundle"
ROOTFS = "rootfs"
SHARED_MEMORY = "shm"
MOUNTS = "mounts"


class LogSettings(msgspec.Struct, frozen=True):
    """Where the log goes. Sizes in bytes; `files` counts the current one too.

    `path` is a file, or the journal's socket. `extra` is told of every line: attributes, or the journal's fields.
    `buffer`: what may wait for a slow disk or journal before it is lost; 0: the container waits instead.
    """

    driver: str = "none"
    path: str = ""
    max_size: int = 10 << 20
    files: int = 3
    compress: bool = False
    extra: dict[str, str] = {}
    buffer: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A volume or an image that the container sees. `place`: where its monitor mounts it first; "" if that is not
    needed."""

    kind: str
    name: str
    destination: str
    readonly: bool = False
    anonymous: bool = False
    place: str = ""
    source: Source


class Names(msgspec.Struct, frozen=True):
    """How names are answered: servers in place of the host's; `dots`: the container's resolver adds search domains
    to names without one, because an option `ndots` says so."""

    servers: tuple[str, ...] = ()
    dots: bool = False


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One start of one container.

    `runtime` is the command line that the OCI runtime is called with; empty: ours, which is imported.
    `lower` are layer directories, lowest first. `user` and `groups` are still as the user wrote them.
    """

    id: ContainerId
    data: str  # <data root>/containers/<id>
    run: str  # <run root>/containers/<id>
    names: str  # <data root>/names
    temporary: str  # <data root>/tmp
    events: str  # <data root>/events.jsonl
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
    restarts: int = 0  # so often it has been started again already, because its monitor was killed
    healthcheck: Healthcheck | None = None  # there is one to be made
    cgroup: str = ""
    joins: dict[str, str] = {}  # kinds of namespace (the OCI's) that are another container's, by its id
    sources: tuple[str, ...] = ()  # of bind mounts: made where they are missing
    spreading: tuple[tuple[str, str], ...] = ()  # sources of bind mounts, and how: shared or slave
    seen: tuple[Seen, ...] = ()
    idmaps: tuple[str, ...] = ()  # destinations of bind mounts with the source's owner as the user
    networks: str = ""  # <data root>/networks
    sandbox: bool = False  # its network namespace comes from the server
    dns: Names = Names()
    table: str = ""  # of the firewall
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

    Descriptors: the server's end for the reply, monitor.lock (held), the clients', the waits', and what the monitor is
    to hold as long as the container may run: `kept` says what each is ("network": its namespace; "dns-udp", "dns-tcp":
    where it is asked for names; "ports": see network.publishing; "legacy": see network.legacy).
    """

    run: str
    clients: tuple[AttachRequest, ...] = ()
    waits: tuple[bool, ...] = ()
    clean: bool = False
    kept: tuple[str, ...] = ()
