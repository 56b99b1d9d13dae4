"""What a monitor does to the kernel before its container runs: steps, in this order. (What the runtime does then, it
tells itself.)

    own mounts -> overlay -> working directory -> user -> bundle -> streams -> runtime create -> runtime start
"""

import errno
import os
import shlex

import msgspec

from pydocker.errors import PydockerError, StartFailed
from pydocker.layers.overlay import MountOverlay
from pydocker.monitor import console, making, users
from pydocker.monitor.birth import Birth
from pydocker.monitor.joining import CheckPropagation, FindNamespaces, JoinSharedMemory, MakeSources
from pydocker.monitor.launch import FILE, SHARED_MEMORY, Launch
from pydocker.monitor.mounting import MountSource, idmapped
from pydocker.monitor.networking import EnterNetwork
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.streams import pipes
from runtime.linux import mounts, namespaces
from runtime.linux.openat2 import make_directories
from runtime.spec import Linux, Mount, Process, Spec, User, encode
from runtime.step import Step


class OwnMounts(Step[Birth], frozen=True):
    """The monitor's mount namespace."""

    why = ("the overlay is mounted for this container alone: the host's mount table never shows it, nobody can pin it, "
           "and the kernel frees it with the last process")
    manual = "mount_namespaces(7), SHARED SUBTREES; move_mount(2), MOVE_MOUNT_SET_GROUP"
    mount_point: str
    private: str

    def describe(self) -> str:
        return f"enter a new mount namespace, in which mounts below {self.private} stay to ourselves"

    def shell(self) -> str:
        private, holder = shlex.quote(self.private), shlex.quote(self.mount_point)
        return (f"unshare --mount --propagation unchanged bash; mount --make-slave {holder}; mount --bind {private} "
                f"{private}; mount --make-private {private}  # joining the host's peer group again has no command")

    def apply(self, at: Birth) -> None:
        hosts = _directory(self.mount_point)
        namespaces.unshare(namespaces.CLONE_NEWNS)
        # Our own directory and nothing else: whatever else is mounted there, and spreads, reaches the host.
        mounts.mount(None, self.mount_point, None, mounts.MS_PRIVATE)
        ours = _directory(self.mount_point)
        mounts.mount(self.private, self.private, None, mounts.MS_BIND)
        try:
            mounts.join_group(hosts, ours)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the host's does not spread either
                raise
        finally:
            os.close(hosts)
            os.close(ours)


class WorkingDirectory(Step[Birth], frozen=True):
    """The directory that the program starts in."""

    why = "Docker makes a missing working directory instead of failing"
    manual = "openat2(2), RESOLVE_IN_ROOT"
    rootfs: str
    path: str

    def describe(self) -> str:
        return f"make the working directory {self.path}, where it is missing"

    def shell(self) -> str:
        return f"chroot {shlex.quote(self.rootfs)} mkdir -p {shlex.quote(self.path)}"

    def apply(self, at: Birth) -> None:
        root = _directory(self.rootfs)
        try:
            os.close(make_directories(root, self.path))
        except OSError as error:
            raise StartFailed(f"working directory {self.path}: {_reason(error)}", 128) from error
        finally:
            os.close(root)


class ResolveUser(Step[Birth], frozen=True):
    """Names into numbers."""

    why = "the kernel knows numbers only, and which number a name has is written in the container's own files"
    manual = "passwd(5), group(5)"
    rootfs: str
    user: str
    groups: tuple[str, ...]

    def describe(self) -> str:
        groups = f" and groups {' '.join(self.groups)}" if self.groups else ""
        return f"look up user {self.user or '0'}{groups} in the container's own files"

    def shell(self) -> str:
        return f"grep {shlex.quote(f'^{self.user or 0}:')} {shlex.quote(self.rootfs)}/etc/passwd"

    def apply(self, at: Birth) -> None:
        root = _directory(self.rootfs)
        try:
            at.identity = users.resolve(root, self.user, self.groups)
        finally:
            os.close(root)


class WriteBundle(Step[Birth], frozen=True):
    """config.json, as the OCI runtime wants it."""

    why = "an OCI runtime is told everything by one file, so that any runtime can be used"
    manual = "OCI runtime-spec, bundle.md"
    bundle: str
    spec: Spec
    idmaps: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"write {self.bundle}/config.json, with the user's numbers"

    def shell(self) -> str:
        bundle = shlex.quote(self.bundle)
        return f"mkdir -p {bundle}; runc spec --bundle {bundle}; editor {bundle}/config.json"

    def apply(self, at: Birth) -> None:
        assert self.spec.process is not None
        at.process = as_user(self.spec.process, at.identity)
        os.makedirs(self.bundle, mode=0o700, exist_ok=True)
        with open(f"{self.bundle}/config.json", "wb") as file:  # in the run root: nothing of it has to survive
            file.write(encode(msgspec.structs.replace(self.spec, process=at.process, linux=self.linux(at),
                                                      mounts=self.mounts(at))))

    def mounts(self, at: Birth) -> tuple[Mount, ...]:
        """With the maps of ids, for which the user's numbers have to be known."""
        return tuple(idmapped(mount, at.identity.uid, at.identity.gid) if mount.destination in self.idmaps else mount
                     for mount in self.spec.mounts)

    def linux(self, at: Birth) -> Linux | None:
        """With the paths of other containers' namespaces: by descriptors of ours, so that they stay what they are."""
        if self.spec.linux is None or not at.joined:
            return self.spec.linux
        namespaces = tuple(
            msgspec.structs.replace(one, path=f"/proc/{os.getpid()}/fd/{at.joined[one.type]}")
            if one.type in at.joined else one for one in self.spec.linux.namespaces)
        return msgspec.structs.replace(self.spec.linux, namespaces=namespaces)


class OpenPipes(Step[Birth], frozen=True):
    """Standard streams without a terminal."""

    why = "the monitor reads what the program writes: for the log, and for whoever is attached"
    manual = "pipe(2)"
    stdin: bool

    def describe(self) -> str:
        if self.stdin:
            return "make pipes for stdin, stdout and stderr"
        return "make pipes for stdout and stderr; stdin is /dev/null"

    def shell(self) -> str:
        return "mkfifo out err"

    def apply(self, at: Birth) -> None:
        at.stdio, at.stdin, at.outputs = pipes(self.stdin)


class NoPipes(Step[Birth], frozen=True):
    """Standard streams before there is a terminal."""

    why = "the terminal is made inside, where the program can find its name; until then there is nothing to say"
    manual = "pty(7)"

    def describe(self) -> str:
        return "open /dev/null until the runtime has made the terminal"

    def shell(self) -> str:
        return "exec </dev/null >/dev/null 2>&1"

    def apply(self, at: Birth) -> None:
        at.stdio = (os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC),) * 3


class Create(Step[Birth], frozen=True):
    """The runtime's `create`."""

    why = "namespaces, cgroup, mounts, pivot_root: everything up to the program itself, which waits"
    manual = "OCI runtime-spec, runtime.md, Create"
    id: str
    bundle: str

    def describe(self) -> str:
        return f"runtime create: make container {self.id[:12]} from {self.bundle}"

    def shell(self) -> str:
        return f"pydocker-runtime create --bundle {shlex.quote(self.bundle)} {self.id}"

    def words(self) -> list[str]:
        return ["create", "--bundle", self.bundle, "--pid-file", f"{self.bundle}/pid"]

    def apply(self, at: Birth) -> None:
        self.create(at, [*self.words(), self.id], ())

    def create(self, at: Birth, words: list[str], keep: tuple[int, ...]) -> None:
        launch = at.launch.run_path / FILE
        document = os.open(launch, os.O_RDONLY | os.O_CLOEXEC)
        try:
            code = at.runtime.run(words, at.stdio, (*keep, document), at_work=lambda: making.take(launch, document))
        finally:
            for fd in {document, *at.stdio}:
                os.close(fd)
            at.let_go()
        if code != 0:
            raise at.runtime.failure("create", code)
        with open(f"{self.bundle}/pid", "rb") as file:
            at.pid = int(file.read())

    def undo(self, at: Birth) -> None:
        delete(at.runtime, self.id)


class CreateWithTerminal(Create, frozen=True):
    """The runtime's `create`, and the pty that it sends."""

    run: str

    def shell(self) -> str:
        return f"pydocker-runtime create --bundle {shlex.quote(self.bundle)} --console-socket console.sock {self.id}"

    def apply(self, at: Birth) -> None:
        with console.listening(at.launch.run_path, "console.sock") as terminal:
            self.create(at, [*self.words(), "--console-socket", terminal.path, self.id], (terminal.directory,))
            at.stdin = terminal.receive()
        at.outputs = {at.stdin: 1}


class Start(Step[Birth], frozen=True):
    """The runtime's `start`."""

    why = "all is in place, and whoever wants to see the first output is attached"
    manual = "OCI runtime-spec, runtime.md, Start"
    id: str

    def describe(self) -> str:
        return f"runtime start: execute the program of {self.id[:12]}"

    def shell(self) -> str:
        return f"pydocker-runtime start {self.id}"

    def apply(self, at: Birth) -> None:
        code = at.runtime.act("start", self.id)
        if code != 0:
            raise at.runtime.failure("start", code)


def preparation(launch: Launch) -> tuple[Step[Birth], ...]:
    """Everything before the runtime's `start`."""
    assert launch.spec.process is not None
    rootfs, bundle = str(launch.rootfs), str(launch.bundle)
    terminal = (NoPipes(), CreateWithTerminal(launch.id, bundle, launch.run))
    plain = (OpenPipes(launch.open_stdin), Create(launch.id, bundle))
    return (
        OwnMounts(launch.mount_point, str(launch.run_path.parent)),
        MountOverlay(lower=launch.lower, upper=str(launch.upper), work=str(launch.work), target=rootfs,
                     volatile=launch.auto_remove),
        WorkingDirectory(rootfs, launch.spec.process.cwd),
        ResolveUser(rootfs, launch.user, launch.groups),
        *((MakeSources(launch.sources),) if launch.sources else ()),
        *((CheckPropagation(launch.spreading),) if launch.spreading else ()),
        *(MountSource(seen) for seen in sorted(launch.seen, key=lambda one: one.name) if seen.place),  # see inmemory
        *((FindNamespaces(launch.joins, str(launch.data_path.parent)),) if launch.joins else ()),
        *((EnterNetwork(launch.id[:12]),) if launch.sandbox else ()),
        *((JoinSharedMemory(launch.joins["ipc"], str(launch.data_path.parent), str(launch.run_path / SHARED_MEMORY)),)
          if "ipc" in launch.joins else ()),
        WriteBundle(bundle, launch.spec, launch.idmaps),
        *(terminal if launch.tty else plain),
    )


def as_user(process: Process, identity: users.Identity) -> Process:
    """The process with the numbers, and with HOME where the environment has none (as runc sets it)."""
    user = User(uid=identity.uid, gid=identity.gid, additional_gids=identity.groups)
    has_home = any(entry.startswith("HOME=") for entry in process.env)
    env = process.env if has_home else (*process.env, f"HOME={identity.home}")
    return msgspec.structs.replace(process, user=user, env=env)


def delete(runtime: Runtime, id: str) -> None:
    """`delete --force`: the runtime's state, the cgroup, whatever still lives. Raises PydockerError."""
    code = runtime.act("delete", "--force", id)
    if code != 0:
        raise PydockerError(f"OCI runtime delete failed: {runtime.complaint() or f'exit code {code}'}")


def _directory(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
