"""Calling an OCI runtime by its command line (runc's: github.com/opencontainers/runc, man/).

Ours is imported already, so it is called as a function. `exec` is called in a forked child, since the monitor has
others to serve meanwhile; `create` where its pages are not to stay. (Python counts references in the objects
themselves, so whatever a process does, it copies pages of who forked it: 1.4 MB for a `create`. The fork is a fifth of
a container's start.) Others are executed. Either way what went wrong is read from the JSON log, which all three (ours,
runc, crun) write.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError, StartFailed
from runtime import cli
from runtime.linux import prctl
from runtime.linux.descriptors import close_range

_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_EXECUTABLE = ("permission denied", "is a directory")

# The monitor's handlers are not the child's business. What Python ignores would stay ignored across execve(2). Our own
# runtime needs that (a pipe that nobody reads any more is an error for it, not its death), and resets it at its end.
_HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


class _Line(msgspec.Struct, frozen=True):
    """One line of a runtime's --log-format json."""

    level: str = ""
    msg: str = ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A command (empty: ours), its --root, and where its log lies. `forks`: who calls it lives on for long."""

    command: tuple[str, ...]
    root: str
    log: Path
    forks: bool = True

    def arguments(self, *words: str) -> list[str]:
        """The command line for a verb, without the program's own name."""
        return [*self.command[1:], "--root", self.root, "--log", str(self.log), "--log-format", "json", *words]

    def fork(self, words: Sequence[str], stdio: Sequence[int], keep: Sequence[int] = (),
             at_work: Callable[[], bool] = lambda: True) -> int:
        """Start the command in a child; its pid. `stdio` become 0, 1 and 2; of all others only `keep` stay open.

        `at_work` is called there, before anything is done; False: nothing is. PydockerError: no process is to be had.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log)
        monitor = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            raise PydockerError(f"fork a process for the OCI runtime: {os.strerror(error.errno or 0).lower()} (fork(2))"
                                ) from error
        if pid == 0:
            _in_child(lambda: self._become(words, stdio, keep, at_work, monitor))
        return pid

    def _become(self, words: Sequence[str], stdio: Sequence[int], keep: Sequence[int], at_work: Callable[[], bool],
                monitor: int) -> int:
        """In the child: our runtime's exit code; another runtime replaces the process.

        It dies with its monitor: it would go on making what whoever cleans up behind that one does not know of yet.
        """
        prctl.set_pdeathsig(signal.SIGKILL)
        if os.getppid() != monitor:  # it was killed before we said so
            return 1
        _reset(_HANDLED)
        for number, fd in enumerate(_above_two(stdio)):
            os.dup2(fd, number)
        _close_all_but(keep)
        if not at_work():
            return 1
        if self.command:
            _reset(_IGNORED)
            for fd in keep:
                os.set_inheritable(fd, True)
            os.execv(self.command[0], [self.command[0], *self.arguments(*words)])
        return cli.main(self.arguments(*words))

    def run(self, words: Sequence[str], stdio: Sequence[int], keep: Sequence[int] = (),
            at_work: Callable[[], bool] = lambda: True) -> int:
        """Run the command to its end; its exit code. Its standard streams are those of the process that it makes."""
        if self.command or self.forks:
            return os.waitstatus_to_exitcode(os.waitpid(self.fork(words, stdio, keep, at_work), 0)[1])
        return self._call(words, stdio, at_work)

    def act(self, *words: str) -> int:
        """Run a command that makes no process (start, delete); its exit code. What it says is in its log as well."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            return self.run(words, (null,) * 3) if self.command else self._call(words, (null,) * 3)
        finally:
            os.close(null)

    def _call(self, words: Sequence[str], stdio: Sequence[int], at_work: Callable[[], bool] = lambda: True) -> int:
        """Our runtime in this process; its exit code."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log)
        with _standard_streams(stdio):
            try:
                return cli.main(self.arguments(*words)) if at_work() else 1
            except Exception as error:
                return _told(error)
            finally:
                os.chdir("/")  # it goes to the bundle

    def complaint(self) -> str:
        """The last error in the log; empty when there is none."""
        try:
            content = self.log.read_bytes()
        except FileNotFoundError:
            return ""
        message = ""
        for line in content.splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                found = msgspec.json.decode(line, type=_Line)
                message = found.msg if found.level in ("error", "fatal") else message
        return message.strip()

    def failure(self, doing: str, code: int) -> StartFailed:
        """What to raise when `create` or `exec` ended with `code`: the runtime's words, Docker's exit code."""
        name = self.command[0] if self.command else "pydocker-runtime"
        message = self.complaint() or f"{name} {doing}: exit code {code}"
        return StartFailed(f"OCI runtime {doing} failed: {message}", exit_code(message))


def exit_code(message: str) -> int:
    """126 and 127 when the program is to blame, 128 when not: the words by which docker and podman tell them apart."""
    if any(words in message for words in _NOT_FOUND):
        return 127
    return 126 if any(words in message for words in _NOT_EXECUTABLE) else 128


def _in_child(work: Callable[[], int]) -> None:
    """Never returns: whatever happens, the fork must not go on as its parent."""
    code = 1
    try:
        code = work()
    except BaseException as error:
        _told(error)
    finally:
        os._exit(code)


def _told(error: BaseException) -> int:
    """Tell of an error that nobody foresaw; the exit code for it."""
    os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    return 1


@contextlib.contextmanager
def _standard_streams(stdio: Sequence[int]) -> Iterator[None]:
    """With these as 0, 1 and 2."""
    ours = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in range(3)]
    _stand_in(stdio)
    try:
        yield
    finally:
        _stand_in(ours)
        for fd in ours:
            os.close(fd)


def _stand_in(stdio: Sequence[int]) -> None:
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)


def _reset(signals: Sequence[signal.Signals]) -> None:
    signal.set_wakeup_fd(-1)
    for number in signals:
        signal.signal(number, signal.SIG_DFL)


def _above_two(stdio: Sequence[int]) -> list[int]:
    """The descriptors, those below 3 duplicated: dup2 onto 0, 1, 2 must not overwrite what is still needed."""
    return [os.dup(fd) if fd < 3 else fd for fd in stdio]


def _close_all_but(keep: Sequence[int]) -> None:
    first = 3
    for fd in sorted(keep):
        close_range(first, fd - 1)
        first = fd + 1
    close_range(first)
