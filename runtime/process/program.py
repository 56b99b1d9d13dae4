"""The last steps: finding the program, waiting for `start`, becoming it.

The program is looked up by ourselves, with the container's root and PATH and as its user, before `create` returns: so
a name that is not there is an error of `create`, with the words that podman and dockerd know (Go's os/exec).
"""

import os
import signal
import stat
from shlex import quote
from typing import ClassVar

from runtime.errors import ExecFailed, StepFailed
from runtime.linux.descriptors import close_range, drain
from runtime.linux.openat2 import openat2
from runtime.stage import Inside
from runtime.step import Step
from runtime.sync import Go, Ready

PASSWD_LIMIT = 1 << 20  # bytes: the file is the image's, and may be anything


class OpenFifo(Step[Inside], frozen=True):
    """Open exec.fifo, at which `start` will be awaited."""

    why: ClassVar[str] = (
        "`create` and `start` are two commands, and this is how the second one finds the process again; opened before "
        "the root changes, so that only a pipe, and no directory of the host, stays open inside")
    manual: ClassVar[str] = "fifo(7)"
    path: str

    def describe(self) -> str:
        return f"open {self.path}"

    def shell(self) -> str:
        return f"mkfifo {quote(self.path)}; exec 9<>{quote(self.path)}"

    def script(self) -> str:
        return ":  # nobody else will call start: left out"

    def apply(self, at: Inside) -> None:
        # For writing, too: a FIFO without a writer would be at its end as soon as a `start` dies before it writes.
        at.fifo = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)


class WorkingDirectory(Step[Inside], frozen=True):
    """Go to the program's working directory, which must lie inside the root."""

    why: ClassVar[str] = (
        "while still root, as the directory may be closed to the user; it is checked to be inside, since a path like "
        "/proc/self/fd/7 could lead to a directory of the host (CVE-2024-21626)")
    manual: ClassVar[str] = "chdir(2), getcwd(2)"
    path: str

    def describe(self) -> str:
        return f"change to the directory {self.path}"

    def shell(self) -> str:
        return f"cd {quote(self.path)}"

    def script(self) -> str:
        return f"directory={quote(self.path)}  # for the last command: going there now would leave the host's tools"

    def apply(self, at: Inside) -> None:
        os.chdir(self.path)
        try:
            inside = os.getcwd().startswith("/")
        except FileNotFoundError:  # what glibc makes of the kernel's "(unreachable)"
            inside = False
        if not inside:
            raise StepFailed(f"{self.describe()}: current working directory is outside of container mount namespace "
                             "root (getcwd(2))")


class FindProgram(Step[Inside], frozen=True):
    """Look the program up, as the user that will run it."""

    why: ClassVar[str] = "as the user and inside the root, so that what is found is what will be executed"
    manual: ClassVar[str] = "execve(2), path_resolution(7)"
    name: str
    path: str = ""

    def describe(self) -> str:
        return f"look up {self.name}" + ("" if "/" in self.name else f" in {self.path or 'an empty PATH'}")

    def shell(self) -> str:
        return f"type -P {quote(self.name)}"

    def script(self) -> str:
        return ":  # done by the last command"

    def apply(self, at: Inside) -> None:
        at.program = self.direct() if "/" in self.name else self.search()

    def direct(self) -> str:
        try:
            status = os.stat(self.name)
        except OSError as error:
            raise ExecFailed(f'exec: "{self.name}": stat {self.name}: {str(error.strerror).lower()}') from error
        if stat.S_ISDIR(status.st_mode):
            raise ExecFailed(f'exec: "{self.name}": is a directory')
        if not os.access(self.name, os.X_OK):
            raise ExecFailed(f'exec: "{self.name}": permission denied')
        return self.name

    def search(self) -> str:
        refused = False
        for directory in self.path.split(":"):
            candidate = os.path.join(directory or ".", self.name)
            if os.path.isfile(candidate):
                if os.access(candidate, os.X_OK):
                    return candidate
                refused = True
        if refused:
            raise ExecFailed(f'exec: "{self.name}": permission denied')
        raise ExecFailed(f'exec: "{self.name}": executable file not found in $PATH')


class FindHome(Step[Inside], frozen=True):
    """Look up the user's home directory in the container's /etc/passwd."""

    why: ClassVar[str] = (
        "programs expect HOME, and nobody set it; read by hand and up to a limit, since the libraries that would look "
        "it up are the image's (CVE-2019-14271), and so is the file")
    manual: ClassVar[str] = "passwd(5), environ(7)"
    uid: int

    def describe(self) -> str:
        return f"look up the home directory of user {self.uid}"

    def shell(self) -> str:
        return f"export HOME=$(awk -F: '$3 == {self.uid} {{ print $6; exit }}' /etc/passwd)"

    def script(self) -> str:
        return ("home=''; if [ -f /etc/passwd ]; then while IFS=: read -r _ _ user _ _ directory _; do "
                f"if [ \"$user\" = {self.uid} ]; then home=$directory; break; fi; done < /etc/passwd; fi; "
                "home=${home:-/}")

    def apply(self, at: Inside) -> None:
        at.home = home(passwd(at.root), self.uid)


def passwd(root: int) -> bytes:
    """The container's /etc/passwd, if it is a regular file: opening a FIFO must not block."""
    try:
        descriptor = openat2(root, "/etc/passwd", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        return drain(descriptor, PASSWD_LIMIT) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def home(content: bytes, uid: int) -> str:
    """The sixth field of the user's line, / without one."""
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 7 and fields[2] == b"%d" % uid:
            return os.fsdecode(fields[5]) or "/"
    return "/"


class WaitForStart(Step[Inside], frozen=True):
    """Everything is ready: say so, and wait."""

    why: ClassVar[str] = (
        "between `create` and `start` the caller connects networks and looks at the process; all that could fail has "
        "been done by now")
    manual: ClassVar[str] = "fifo(7)"

    def describe(self) -> str:
        return "tell the outside that all is ready, and wait for `start`"

    def shell(self) -> str:
        return "head -c 1 <&9 >/dev/null"

    def script(self) -> str:
        return ":  # nobody else will call start: left out"

    def apply(self, at: Inside) -> None:
        handshake(at)
        os.read(at.fifo, 1)


class WaitForGo(Step[Inside], frozen=True):
    """Everything is ready: say so, and go on as soon as the outside has noted it."""

    why: ClassVar[str] = "the outside writes the pid file before the program runs; a second process needs no `start`"
    manual: ClassVar[str] = "pipe(7)"

    def describe(self) -> str:
        return "tell the outside that all is ready"

    def shell(self) -> str:
        return ":"

    def apply(self, at: Inside) -> None:
        handshake(at)


def handshake(at: Inside) -> None:
    """Ready, Go, and no channel any more."""
    at.await_cgroup()
    if at.root >= 0:
        os.close(at.root)
    at.channel.send(Ready())
    message = at.channel.receive()
    assert isinstance(message, Go), message
    at.channel.close()
    at.started = True


class CloseOnExecute(Step[Inside], frozen=True):
    """Mark all descriptors but the standard three, and the preserved ones, to be closed by execve."""

    why: ClassVar[str] = (
        "a descriptor that leaked to the program would be a way out (CVE-2024-21626); before a seccomp filter could "
        "forbid the call, and what is opened from here on is close-on-exec by itself")
    manual: ClassVar[str] = "close_range(2)"
    preserved: int = 0  # descriptors after the standard three that the program inherits

    def describe(self) -> str:
        return f"have all descriptors from {3 + self.preserved} on closed by execve"

    def shell(self) -> str:
        return ":  # bash marks the descriptors that it opens for itself"

    def apply(self, at: Inside) -> None:
        close_range(3 + self.preserved, on_exec=True)


class Execute(Step[Inside], frozen=True):
    """Become the program."""

    why: ClassVar[str] = (
        "execve replaces the whole process, our Python included; what it does not replace was set above: namespaces, "
        "cgroup, root, user, limits. Every descriptor but the standard three is closed on the way (CVE-2024-21626)")
    manual: ClassVar[str] = "execve(2), close_range(2)"
    args: tuple[str, ...]
    env: tuple[str, ...]
    returns: ClassVar[bool] = False
    preserved: int = 0  # descriptors after the standard three that the program inherits

    def describe(self) -> str:
        return f"execute {' '.join(map(quote, self.args))}"

    def shell(self) -> str:
        return f"exec env -i {self.script()}"

    def script(self) -> str:
        return " ".join(map(quote, (*self.env, *self.args)))

    def apply(self, at: Inside) -> None:
        for descriptor in range(3, 3 + self.preserved):
            os.set_inheritable(descriptor, True)
        # Python ignores these two, and what is ignored stays so across execve.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(at.program, self.args, environment(self.env, at.home))


def environment(lines: tuple[str, ...], home: str) -> dict[str, str]:
    """The lines as execve takes them; the last of several for one name wins. HOME is added if it is not there."""
    found = dict(line.split("=", 1) for line in lines)
    return {"HOME": home, **found} if home and not found.get("HOME") else found
