"""A whole engine in a directory of its own, driven from outside: by `pydocker`, by the real `docker`, by its socket.

    with Engine(directory, token) as engine:
        engine.import_busybox()
        assert engine.pydocker("run", "--rm", "busybox", "echo", "hello").out == "hello\n"
        engine.docker("ps")

The server is not started here: the first command does that, as for any user (`start` is for those who talk to the
socket themselves). Every process of the engine is known by PYDOCKER_CONFIG in its environment.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.leaks import remove_tree

BUSYBOX = ("/bin/busybox", "/usr/bin/busybox")
CHECKOUT = Path(__file__).resolve().parent.parent
COLD = (sys.executable, "-m", "pydocker")
PATIENCE = 60.0
MONITORS = (b"pydocker-mon\n", b"pydocker-birth\n", b"pydocker-log\n")  # what belongs to a container


@dataclass(frozen=True)
class Result:
    """What a command said, and how it ended (negative: by a signal)."""

    code: int
    out: str
    err: str


class Engine:
    """`root` holds everything: the configuration, the data and run roots, the socket.

    `command` is what `pydocker` is: Python, or the compiled command (`compile_command`), which is the faster.
    """

    def __init__(self, root: Path, token: str, command: tuple[str, ...] = COLD, **config: object) -> None:
        self.root = root
        self.command = command
        self.roots = (root / "data", root / "run")
        self.socket = root / "sock"
        self.config = root / "daemon.json"
        self.bridge = f"pd-{root.name}"[:15]  # engines of one session have one network
        self._kept: tuple[set[str], set[str], set[str], set[str]] = (set(), set(), set(), set())
        self._seen: tuple[int, ...] | None = None
        self._known: tuple[tuple[int, ...] | None, set[str]] = (None, set())
        keys = {"data-root": str(root / "data"), "exec-root": str(root / "run"), "hosts": [self.host],
                "cgroup-parent": f"/{token}", "bridge": self.bridge}
        self.config.write_text(json.dumps(keys | config))
        self.environment = os.environ | {"PYDOCKER_CONFIG": str(self.config)}

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove everything through the engine, stop it, and fail where something of it stays alive."""
        try:
            if self.socket.exists() or self._containers():  # a server that was idle may have left
                self.remove_containers()
            self.stop()
            self._await(self.processes)
        finally:
            # As docker0, it stays when the engine goes.
            subprocess.run(("ip", "link", "delete", self.bridge), capture_output=True, check=False)
            left = self.processes()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            remove_tree(self.root, ignore_errors=bool(left))
        assert not left, f"processes of the engine outlived it: {left}"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def pydocker(self, *argv: str, input: str = "", timeout: float = 120, **environment: str) -> Result:
        """Run the command line of this checkout. `timeout` is in seconds."""
        return self._run((*self.command, *argv), input, timeout, environment)

    def docker(self, *argv: str, client: str = "docker", input: str = "", timeout: float = 60) -> Result:
        """Run the real docker client (`client`: its path) against this engine, whose server has to be there."""
        return self._run((client, *argv), input, timeout, {"DOCKER_HOST": self.host})

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """`pydocker ARGV` in the background; streams as `options` of Popen say."""
        command = (*self.command, *argv)
        return subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, **options)

    def ok(self, *argv: str, **options: Any) -> str:
        """The output of a `pydocker` command that has to succeed, without the last newline."""
        result = self.pydocker(*argv, **options)
        assert result.code == 0, f"pydocker {' '.join(argv)}: exit code {result.code}: {result.err}"
        return result.out.rstrip("\n")

    def import_busybox(self, reference: str = "busybox:latest") -> None:
        """Make an image of the host's static busybox, with all of its applets as symbolic links."""
        with subprocess.Popen((*self.command, "import", "-c", 'CMD ["sh"]', "-", reference),
                              cwd=CHECKOUT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=False) as command:
            _, err = command.communicate(busybox_archive(), timeout=60)
        assert command.returncode == 0, f"pydocker import: {err.decode()}"

    def start(self) -> None:
        """Have a server at the socket."""
        self.ok("version")

    def warmed(self) -> None:
        """Return when the server's process for the compiled command is all that it will be, its name included."""
        self._await(lambda: not Path(f"{self.config}.warm").exists())

    def stop(self) -> None:
        """SIGTERM to the server, and wait until it and what it has started for itself are gone (containers stay)."""
        for pid in self.server():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self._await(lambda: [pid for pid in self.processes() if _read(pid, "comm") not in MONITORS])

    def _await(self, there: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while there() and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the server alone, as the worst that can happen to it; returns when that process is gone.

        A waiting client may have started the next server by then.
        """
        killed = self.server()
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(pid in killed for pid in self.server()):
            time.sleep(0.01)

    def server(self) -> list[int]:
        """The process that listens (at most one). What it has forked looks the same until it executes something."""
        found = [pid for pid in self.processes() if b"serve" in _read(pid, "cmdline").split(b"\0")]
        return [pid for pid in found if _parent(pid) not in found]

    def processes(self) -> list[int]:
        """Every live process of this engine that is a descendant neither of a container nor a zombie."""
        mark = f"PYDOCKER_CONFIG={self.config}".encode()
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in pids if mark in _read(pid, "environ").split(b"\0")]

    def monitors(self) -> list[int]:
        """The processes that belong to containers."""
        return [pid for pid in self.processes() if _read(pid, "comm") in MONITORS]

    def remember(self) -> None:
        """What is in the engine now is not the coming test's."""
        self._kept = (self._containers(), self._images(), self._volumes(), self._networks())
        self._seen = self._index()

    def clear(self) -> None:
        """Remove, through the engine, the containers, images, volumes and networks that came since `remember`."""
        kept_containers, kept_images, kept_volumes, kept_networks = self._kept
        for container in self._containers() - kept_containers:
            self.ok("rm", "-f", container)
        for image in self._images() - kept_images if self._index() != self._seen else ():
            self.ok("rmi", "-f", image)
        for volume in self._volumes() - kept_volumes:
            self.ok("volume", "rm", "-f", volume)
        for network in self._networks() - kept_networks:
            self.ok("network", "rm", network)

    def remove_containers(self) -> None:
        self._kept, self._seen = (set(), self._images(), set(), set()), self._index()
        self.clear()

    def _containers(self) -> set[str]:
        """By what is on the disk: a container that no command shows any more has to be seen too."""
        return _names(self.roots[0] / "containers")

    def _networks(self) -> set[str]:
        """But those that are always there."""
        directory = self.roots[0] / "networks"
        names = {id: json.loads((directory / id / "network.json").read_text())["name"]
                 for id in _names(directory) if (directory / id / "network.json").exists()}
        return {id for id, name in names.items() if name not in ("bridge", "host", "none")}

    def _images(self) -> set[str]:
        """Asked for only where some came or went."""
        if (index := self._index()) != self._known[0]:
            self._known = (index, set(self.ok("images", "-q", "--no-trunc").split()))
        return self._known[1]

    def _index(self) -> tuple[int, ...] | None:
        """Another value where images came or went: the file that says which there are is made anew each time."""
        path = self.roots[0] / "images/index.json"
        if not path.exists():
            return None
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _volumes(self) -> set[str]:
        return _names(self.roots[0] / "volumes")

    def _run(self, argv: tuple[str, ...], input: str, timeout: float, environment: dict[str, str]) -> Result:
        done = subprocess.run(argv, cwd=CHECKOUT, env=self.environment | environment, input=input, text=True,
                              capture_output=True, timeout=timeout, check=False)
        return Result(done.returncode, done.stdout, done.stderr)


def compile_command(path: Path) -> tuple[str, ...]:
    """The command as `make install` compiles it, for this checkout: its work is done by the server's warm process.

    Where there is none (no server yet, another namespace), it executes Python, as ever.
    """
    packages = sysconfig.get_path("purelib")
    program = f"import sys; sys.path += ['{CHECKOUT}', '{packages}']; from pydocker.cli import entry; entry()"
    words = (f'-D{name}="{value}"' for name, value in (("PYTHON", sys.executable), ("PROGRAM", program),
                                                       ("HERE", str(CHECKOUT))))
    subprocess.run(("gcc", "-O2", "-Wall", *words, CHECKOUT / "pydocker/launcher.c", "-o", path), check=True)
    return (str(path),)


def busybox_archive() -> bytes:
    """A root file system as tar: the static busybox, a link for each applet, and the usual directories."""
    binary = next(path for path in BUSYBOX if os.path.exists(path))
    applets = subprocess.run((binary, "--list"), capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"):
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        tar.add(binary, "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
        for name, content in (("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"),
                              ("etc/group", b"root:x:0:\nuser:x:1000:\n")):
            file = _entry(name, tarfile.REGTYPE, 0o644)
            file.size = len(content)
            tar.addfile(file, io.BytesIO(content))
    return buffer.getvalue()


def answers(path: Path) -> bool:
    """Whether somebody listens at a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _names(directory: Path) -> set[str]:
    return set(os.listdir(directory)) if directory.exists() else set()


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
