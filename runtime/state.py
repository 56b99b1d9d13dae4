"""What is remembered of a container between two commands: <root>/<id>/state.json, and exec.fifo beside it.

The file says what was made; what is *true now* is asked of the kernel: a process is alive if its pid exists and was
started when the file says (field 22 of /proc/PID/stat: a number that is not reused), and it waits for `start` if
somebody reads exec.fifo.
"""

import errno
import os
import re
import stat
from contextlib import suppress

import msgspec

from runtime.errors import ContainerExists, Damaged, InvalidArgument, InvalidSpec, NoSuchContainer, StepFailed
from runtime.linux.descriptors import read, write_all
from runtime.linux.mountinfo import mount_id
from runtime.spec import (
    OCI_VERSION,
    Hooks,
    LinuxPersonality,
    LinuxSeccomp,
    Process,
    State,
    Status,
    document,
)
from runtime.spec.resources import LinuxResources
from runtime.spec.values import Document

MOST = 128 << 20  # bytes of state.json: it repeats what config.json, of up to 64 MiB, says of the process
_ID = re.compile(r"[A-Za-z0-9_+.-]{1,1024}")


class Record(Document, frozen=True, kw_only=True):
    """state.json. `pid` is 0 and `start_time` (clock ticks since boot) too until the process exists.

    `namespaces` are paths of /proc by kind; `created` is RFC 3339, UTC; `process` gives `exec` its defaults,
    `hooks` are those that are still to come, `making` says that `create` has not returned.
    `systemd`: the cgroup is one of its scopes.
    `freezer` is the file that says whether the cgroup is frozen; `resources` are its limits (the devices left out).
    """

    id: str
    bundle: str
    rootfs: str
    created: str
    pid: int = 0
    start_time: int = 0
    cgroup_path: str = ""
    namespaces: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    process: Process
    seccomp: LinuxSeccomp | None = None
    personality: LinuxPersonality | None = None
    keyring: str = ""
    systemd: bool = False
    freezer: str = ""
    resources: LinuxResources | None = None
    hooks: Hooks | None = None
    making: bool = False

    def state(self, status: Status) -> State:
        """The OCI state."""
        return State(oci_version=OCI_VERSION, id=self.id, pid=0 if status is Status.STOPPED else self.pid,
                     status=status, bundle=self.bundle, rootfs=self.rootfs, created=self.created,
                     annotations=self.annotations)


# msgspec learns a type at its first use, for a millisecond: here, so that processes forked from a warm one have it.
_learnt = msgspec.json.Decoder(Record)


class Place:
    """The directory of one container under --root."""

    def __init__(self, root: str, id: str) -> None:
        """Raises InvalidArgument for an id that could be anything but a plain file name (R14)."""
        if not _ID.fullmatch(id) or id in (".", ".."):
            raise InvalidArgument(f"container id {id!r}: invalid id format: only letters, digits and _+.- are allowed")
        self.id = id
        self.path = os.path.join(os.path.abspath(root), id)

    @property
    def fifo(self) -> str:
        return os.path.join(self.path, "exec.fifo")

    @property
    def answer(self) -> str:
        return os.path.join(self.path, "answer.fifo")

    @property
    def notify(self) -> str:
        """The directory of the socket on which the program says that it is ready, where somebody wants to know."""
        return os.path.join(self.path, "notify")

    @property
    def filters(self) -> str:
        """Compiled seccomp filters, of all containers; @ is in no container's id."""
        return os.path.join(os.path.dirname(self.path), "@seccomp")

    @property
    def file(self) -> str:
        return os.path.join(self.path, "state.json")

    def make(self) -> None:
        """Take the id: mkdir(2) is what makes it exclusive. Raises ContainerExists."""
        os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
        try:
            os.mkdir(self.path, 0o711)
        except FileExistsError as error:
            raise ContainerExists(self.id) from error

    def write(self, record: Record) -> None:
        """Replace state.json: readers see the old one or the new one, never half of it."""
        temporary = f"{self.file}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, msgspec.json.encode(record))
            os.rename(temporary, self.file)
        except BaseException as error:
            os.unlink(temporary)
            if isinstance(error, OSError):
                raise StepFailed(f"write {self.file}: {str(error.strerror).lower()} (write(2), rename(2))") from error
            raise
        finally:
            os.close(fd)

    def record(self) -> Record:
        """Raises NoSuchContainer, and Damaged if this is not what `write` wrote."""
        found = self.decoded(self.content())
        if found.id != self.id:  # a copy: process and cgroup are another's
            raise Damaged(f"{self.file}: of container {found.id!r}")
        return found

    def content(self) -> bytes:
        """Raises NoSuchContainer and Damaged, also where a link leads to what somebody else's directory holds."""
        try:
            if os.path.islink(self.path):
                raise Damaged(f"{self.path}: a symbolic link")
            if not stat.S_ISREG(os.stat(self.file).st_mode):
                raise Damaged(f"{self.file}: not a regular file")
            return read(self.file, MOST)
        except FileNotFoundError as error:
            raise NoSuchContainer(self.id) from error
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise Damaged(f"{self.file}: {str(error.strerror).lower()}") from error

    def decoded(self, content: bytes) -> Record:
        """Raises Damaged."""
        try:
            return _learnt.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            try:
                return document(content, Record, self.file)  # which says what is wrong with it
            except InvalidSpec as error:
                raise Damaged(str(error)) from error

    def remove(self) -> None:
        """Forget the container, whatever is there instead of it. Nothing to do where somebody else does so."""
        with suppress(FileNotFoundError):
            root = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                remove(self.id, root)
            finally:
                os.close(root)


def remove(name: str, at: int) -> None:
    """Remove the file, the link or the directory with all that is in it. By descriptors: no link leads elsewhere.

    Nor does a mount. Raises OSError, StepFailed.
    """
    try:
        os.unlink(name, dir_fd=at)
        return
    except IsADirectoryError:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        if mount_id(directory) != mount_id(at):
            raise StepFailed(f"remove {name}: a mount, and what it shows is somebody else's")
        for one in os.listdir(directory):
            remove(one, directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=at)


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is none, or only its zombie.

    proc_pid_stat(5). The second field is the name in parentheses, which may hold anything: count from the last one.
    """
    try:
        fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(record: Record) -> bool:
    """Whether the container's init is the process that it was, and no zombie."""
    return record.pid > 0 and start_time(record.pid) == record.start_time


def status(place: Place, record: Record) -> Status:
    """The truth about a container, from the kernel."""
    if record.pid == 0:
        return Status.CREATING
    if not alive(record):
        return Status.STOPPED
    if record.making:
        return Status.CREATING
    if record.freezer and frozen(record.freezer):
        return Status.PAUSED
    return Status.CREATED if awaited(place.fifo) else Status.RUNNING


def frozen(file: str) -> bool:
    """Whether this very cgroup was told to freeze: v1's freezer.self_freezing and v2's cgroup.freeze say 0 or 1."""
    try:
        return read(file).strip() == b"1"
    except OSError:  # the cgroup is gone, or going
        return False


def awaited(fifo: str) -> bool:
    """Whether somebody holds the FIFO open for reading: opening it for writing says ENXIO otherwise (fifo(7))."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
