"""The engines, each with a root, a socket and cgroups of its own; leaving its context ends it and removes its traces.

docker   Debian's docker.io: its dockerd with its containerd, without bridge and firewall rules
podman   with runc and cgroupfs, as it needs on hosts without systemd or with cgroup v1
pydocker this checkout, by the command that `make install` makes; its server starts itself
"""

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from runtime import cgroups
from tests.engine import CHECKOUT, Engine

IMAGE = "bench-busybox:latest"
PATIENCE = 60.0  # seconds for a daemon to answer, or to end
PODMAN_CGROUPS = "/libpod_parent"
PODMAN_CONF = """\
[containers]
# Podman raises limits to the most there is; root may not where CAP_SYS_RESOURCE is withheld.
default_ulimits = ["nofile=1024:20000", "nproc=4096:4096"]
[engine]
events_logger = "file"
"""


class Skipped(Exception):
    """It is not here; the reason."""


class Failed(Exception):
    """A command that had to succeed did not."""


class BenchEngine(ABC):
    """A command line like Docker's, and what has to be around it."""

    name: str
    plain_http: tuple[str, ...] = ()
    """Options of `pull` for a registry without TLS."""
    kill_and_remove: tuple[str, ...] = ("rm", "-f")

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.argv: tuple[str, ...] = ()
        self.environment = dict(os.environ)
        self._ends = ExitStack()

    def __enter__(self) -> "BenchEngine":
        with ExitStack() as undo:
            self.start(undo)
            self._ends = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @abstractmethod
    def start(self, undo: ExitStack) -> None:
        """Set `argv`, start what is to be started, and put on the stack what ends it. Raises Skipped."""

    @abstractmethod
    def version(self) -> str:
        """What it is, in a few words."""

    def __call__(self, *argv: str, input: bytes = b"") -> str:
        """Run a command: its output. Raises Failed with what it said."""
        done = subprocess.run((*self.argv, *argv), input=input, env=self.environment, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
            raise Failed(f"{' '.join(argv[:2])}: exit code {done.returncode}: {said[0]}")
        return done.stdout.decode()

    def load(self, archive: bytes) -> None:
        """Make the small image that most scenarios run."""
        self("import", "-", IMAGE, input=archive)

    def images(self) -> list[str]:
        """The names of all images."""
        return self("images", "--format", "{{.Repository}}:{{.Tag}}").split()

    def remove(self, *containers: str) -> None:
        """Kill and remove containers."""
        self(*self.kill_and_remove, *containers)

    def remove_containers(self) -> None:
        """What an interrupted scenario left."""
        if left := self("ps", "-aq").split():
            self.remove(*left)


class Docker(BenchEngine):
    name = "docker"
    network: tuple[str, ...] = ("--bridge", "none", "--iptables=false", "--ip6tables=false")

    def start(self, undo: ExitStack) -> None:
        # Debian's own, also where another client stands before it in PATH.
        client, daemon = (found("docker", "/usr/bin"), found("dockerd", "/usr/sbin"))
        socket, parent = f"unix://{self.root}/sock", f"/{self.root.parent.name}"
        self.argv = (client, "--host", socket)
        self.environment["DOCKER_CONFIG"] = str(self.root)
        undo.callback(remove_cgroup, parent)
        undo.callback(unmount_below, self.root)
        log = undo.enter_context((self.root / "log").open("wb"))
        process = subprocess.Popen(
            (*dies_with_us(), daemon, "--data-root", self.root / "data", "--exec-root", self.root / "exec",
             "--pidfile", self.root / "pid", "--host", socket, *self.network,
             "--cgroup-parent", parent),
            stdout=log, stderr=log, start_new_session=True,
        )
        undo.callback(end, process)
        wait_until(lambda: (self.root / "sock").exists() and succeeds(self.argv, "version"), process, self.root / "log")
        undo.callback(self.remove_containers)

    def version(self) -> str:
        return self("version", "--format", "{{.Server.Version}}").strip()


class Podman(BenchEngine):
    name = "podman"
    plain_http = ("--tls-verify=false",)
    configuration = PODMAN_CONF
    kill_and_remove = ("rm", "-f", "--time", "0")  # else it waits ten seconds for a process that ignores SIGTERM

    def start(self, undo: ExitStack) -> None:
        configuration = self.root / "containers.conf"
        configuration.write_text(self.configuration)
        self.environment["CONTAINERS_CONF"] = str(configuration)
        runtime = ("--runtime", "runc") if shutil.which("runc") else ()
        places = (word for option in ("root", "runroot", "tmpdir") for word in (f"--{option}", str(self.root / option)))
        self.argv = (found("podman", "/usr/bin"), *places, "--cgroup-manager", "cgroupfs",
                     "--storage-driver", "overlay", *runtime)
        if not any(map(os.path.exists, cgroups.open(PODMAN_CGROUPS).paths.values())):
            undo.callback(remove_cgroup, PODMAN_CGROUPS)
        undo.callback(unmount_below, self.root)
        if not succeeds(self.argv, "info", environment=self.environment):
            raise Failed(self("info"))
        undo.callback(self.remove_containers)

    def version(self) -> str:
        return self("version", "--format", "{{.Client.Version}}").strip()


class Pydocker(BenchEngine):
    name = "pydocker"

    def start(self, undo: ExitStack) -> None:
        engine = Engine(self.root, self.root.parent.name)
        self.environment = engine.environment
        self.argv = (str(installed(self.root) / "pydocker"),)
        undo.callback(remove_cgroup, f"/{self.root.parent.name}")
        undo.callback(unmount_below, self.root)
        undo.enter_context(engine)
        if not succeeds(self.argv, "version", environment=self.environment):
            raise Failed(self("version"))

    def version(self) -> str:
        return self("version", "--format", "{{.Server.Version}}").strip()


def installed(directory: Path) -> Path:
    """The directory of this checkout's commands, as `make install` makes them."""
    prefix = directory / "prefix"
    done = subprocess.run(("make", "--silent", "install", f"PREFIX={prefix}"), cwd=CHECKOUT, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise Failed(f"make install: {done.stderr.strip()}")
    return prefix / "bin"


ENGINES: dict[str, type[BenchEngine]] = {engine.name: engine for engine in (Docker, Podman, Pydocker)}


def found(program: str, directory: str) -> str:
    """The program where Debian has it, else from PATH. Raises Skipped."""
    path = shutil.which(program, path=f"{directory}:{os.environ.get('PATH', '')}")
    if path is None:
        raise Skipped(f"{program} is not installed")
    return path


def dies_with_us() -> tuple[str, ...]:
    """A daemon gets SIGTERM also when this process is killed (util-linux)."""
    return ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


def succeeds(argv: tuple[str, ...], *command: str, environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run((*argv, *command), env=environment, capture_output=True, check=False)
    return done.returncode == 0


def wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the daemon answers. Raises Failed with its last words if it ends, or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"{log.parent.name}: does not answer: {words}")
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, patience, SIGKILL."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def unmount_below(root: Path) -> None:
    """What an engine left mounted below its root; the last one first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(f"{root}/"):
            subprocess.run(("umount", "--lazy", point), check=False)


def remove_cgroup(path: str) -> None:
    """An engine's parent of its containers' cgroups, with what is left in it."""
    parent = cgroups.open(path)
    parent.kill()
    parent.destroy()
