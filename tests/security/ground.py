"""The ground of one attack: a runtime, bundles and containers of it, programs to run inside, the canary's directory.

A `Box` is a container to be: change its `config` and its `rootfs`, then `run` it, or `start` it and `exec` in it. Its
containers, and whatever else was begun, end with the attack.
"""

import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests import leaks
from tests.security import canary
from tests.security.runtimes import Runtime

PROGRAMS = Path(__file__).parent / "programs"
APPLETS = ("sh", "ls", "cat", "mount", "id", "sleep", "true", "grep", "tty", "touch", "mknod", "dd", "stat", "readlink",
           "echo", "mkdir", "wc", "head", "umount", "test", "pwd", "find", "chmod", "chown", "kill", "cut", "usleep",
           "ln", "seq", "rm")
DOCKERS = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
           "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL")
MASKED = ("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
Config = dict[str, Any]
Done = subprocess.CompletedProcess[str]


def compile_all(directory: Path) -> Path:
    """Compile the programs, side by side, unless that was done; returns where they are."""
    directory.mkdir(exist_ok=True)
    running = []
    for source in sorted(PROGRAMS.glob("*.c")):
        alone = ["-nostdlib", "-fno-stack-protector", "-fPIE", "-static-pie"] if source.stem == "scribble" else []
        if not (directory / source.stem).exists():
            running.append(subprocess.Popen(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", *alone,
                                             "-o", directory / source.stem, source]))
    failed = [one.args for one in running if one.wait() != 0]
    assert not failed, failed
    return directory


def make_root(directory: Path, programs: Path) -> Path:
    """A root file system of busybox and the attackers' programs, unless it is there."""
    if directory.exists():
        return directory
    busybox = shutil.which("busybox")
    assert busybox, "needs busybox-static"
    for name in ("bin", "etc", "tmp", "proc", "dev", "sys", "root"):
        (directory / name).mkdir(parents=True)
    shutil.copy2(busybox, directory / "bin/busybox")
    for applet in APPLETS:
        (directory / "bin" / applet).symlink_to("busybox")
    for program in ("steal", "handle", "calls", "pipe", "whoami"):
        shutil.copy2(programs / program, directory / "bin")
    (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return directory


def specification(cgroup: str) -> Config:
    """A container as Docker asks for it; dictionaries, as an attack may want what no type allows."""
    return {
        "ociVersion": "1.0.2", "hostname": "box", "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["true"], "env": ["PATH=/bin", "TERM=xterm"], "user": {"uid": 0, "gid": 0},
                    "capabilities": {kind: [*DOCKERS] for kind in ("bounding", "effective", "permitted")}},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
                  "maskedPaths": [*MASKED], "readonlyPaths": [*READ_ONLY], "cgroupsPath": cgroup,
                  "resources": {"devices": [{"allow": False, "access": "rwm"}]}},
    }


CGROUP_MOUNT = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                "options": ["ro", "nosuid", "noexec", "nodev"]}


class Ground:
    """One attack on one runtime."""

    _numbers = itertools.count()

    def __init__(self, runtime: Runtime, session: Path, scope: leaks.Scope) -> None:
        self.runtime = runtime
        self.scope = scope
        self.programs = compile_all(session / "programs")
        self.template = make_root(session / "rootfs", self.programs)
        self.directory = session / f"g{next(self._numbers)}"
        self.canary = self.directory / "canary"
        self._ended = ExitStack()
        self._boxes: list[Box] = []

    def prepare(self) -> None:
        """What the host has that nobody inside may touch."""
        (self.canary / "sub").mkdir(parents=True)
        (self.canary / "secret").write_text("the host's\n")

    def snapshot(self) -> canary.Snapshot:
        return canary.snapshot(self.scope, self.canary, self.runtime.files)

    def box(self) -> "Box":
        box = Box(self, next(self._numbers))
        self._boxes.append(box)
        return box

    def volume(self, name: str = "volume") -> Path:
        """A directory of the host that containers share."""
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def end(self) -> None:
        self._ended.close()
        for box in self._boxes:
            with suppress(subprocess.TimeoutExpired):  # what it leaves is seen all the same
                box.delete()

    def runs(self, *argv: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Begin a process of the host's that ends with the attack."""
        process = subprocess.Popen([*map(str, argv)], text=True, **options)
        self._ended.callback(finish, process)
        return process

    @contextmanager
    def swapping(self, one: Path, other: Path) -> Iterator[list[int]]:
        """Exchange the two names all the time; the list holds at the end how often."""
        file = self.directory / f"count{next(self._numbers)}"
        process = self.runs(self.programs / "swap", one, other, file)
        counted: list[int] = []
        try:
            yield counted
        finally:
            finish(process)
            counted.append(int(file.read_text()))


def finish(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Box:
    """A bundle, and the containers that are made of it, one at a time."""

    def __init__(self, ground: Ground, number: int) -> None:
        self.ground = ground
        self.id = f"{ground.scope.token}-{number}"
        self.bundle = ground.directory / f"bundle{number}"
        self.rootfs = self.bundle / "rootfs"
        shutil.copytree(ground.template, self.rootfs, symlinks=True)
        # runc refuses a cgroup that is left over; every container of a session has its own, below the session's.
        self.config = specification(f"/{ground.scope.token}/{self.id}")
        self.made = False

    @property
    def process(self) -> Config:
        return self.config["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> Config:
        return self.config["linux"]  # type: ignore[no-any-return]

    def mount(self, destination: str, source: str | Path = "tmpfs", kind: str = "bind", *options: str) -> None:
        words = options or (("rbind", "rw") if kind == "bind" else ())
        self.config["mounts"].append(
            {"destination": destination, "type": kind, "source": str(source), "options": [*words]})

    def drop(self, below: str) -> None:
        """No mounts on this path and below it."""
        self.config["mounts"] = [one for one in self.config["mounts"] if not one["destination"].startswith(below)]

    def share(self, kind: str) -> None:
        """The host's namespace, not one of its own."""
        self.linux["namespaces"] = [one for one in self.linux["namespaces"] if one["type"] != kind]

    def more(self, *capabilities: str) -> None:
        """Grant more than Docker does, as positive controls need it."""
        for kind in ("bounding", "effective", "permitted"):
            self.process["capabilities"][kind] += capabilities

    def write(self, *args: str) -> None:
        if args:
            self.process["args"] = [*args]
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def call(self, *words: str, timeout: float = 60, through: tuple[str, ...] = (), **options: Any) -> Done:
        """One command of the runtime, which a command line may be put in front of."""
        # An empty pipe: with the host's /dev/null, crun changes the owner of that (see procfs.inode_of_the_hosts_null).
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        if "stdin" not in options:
            options["input"] = ""
        root = self.ground.directory / "state"
        command = [*through, *self.ground.runtime.command, "--root", str(root), *words]
        return subprocess.run(command, text=True, errors="replace", timeout=timeout, check=False,
                              cwd=self.ground.directory, **options)

    def run(self, *args: str, timeout: float = 60, **options: Any) -> Done:
        """`run`: make it, wait for the program, delete it."""
        self.write(*args)
        self.made = True
        done = self.call("run", "--bundle", str(self.bundle), self.id, timeout=timeout, **options)
        # After a failure there may be something left, and nothing of that is this attack's question.
        self.made = done.returncode != 0
        if self.made:
            self.delete()
        return done

    def sh(self, script: str, **options: Any) -> Done:
        return self.run("sh", "-c", script, **options)

    def create(self, *args: str, **options: Any) -> Done:
        """`create`, whose container writes to files: a pipe would be held open by it."""
        self.write(*args)
        self.made = True
        with open(self.bundle / "out", "w") as out, open(self.bundle / "err", "w") as err:
            done = self.call("create", "--bundle", str(self.bundle), self.id, stdout=out, stderr=err, **options)
        return subprocess.CompletedProcess(done.args, done.returncode, self.output, (self.bundle / "err").read_text())

    def start(self, *args: str, **options: Any) -> Done:
        """`create` and `start`; the first that fails is returned."""
        done = self.create(*args, **options)
        return done if done.returncode else self.call("start", self.id)

    def exec(self, *words: str, timeout: float = 60) -> Done:
        """`exec FLAGS… -- ID PROGRAM…`: the words before `--` are flags."""
        flags, program = ((), words) if "--" not in words else (
            words[:words.index("--")], words[words.index("--") + 1:])
        return self.call("exec", *flags, self.id, *program, timeout=timeout)

    @property
    def output(self) -> str:
        return (self.bundle / "out").read_text(errors="replace")

    def pid(self) -> int:
        return int(json.loads(self.call("state", self.id).stdout)["pid"])

    def await_output(self, word: str, patience: float = 60) -> bool:
        """Whether the program has written the word."""
        deadline = time.monotonic() + patience
        while word not in self.output:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> bool:
        """Send SIGTERM to the program; whether it ended."""
        self.call("kill", self.id, "TERM")
        deadline = time.monotonic() + 60
        while json.loads(self.call("state", self.id).stdout)["status"] != "stopped":
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def delete(self) -> None:
        if self.made:
            self.call("delete", "--force", self.id)
        self.made = False
