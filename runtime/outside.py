"""The outer side of the conversation that `create` and `exec` have with the process they make (see `sync`)."""

import os
from typing import TYPE_CHECKING, NoReturn

from runtime import cgroups, init
from runtime.errors import Fault, InvalidArgument
from runtime.linux.descriptors import write_all
from runtime.plan import Plan
from runtime.spec import Process
from runtime.stage import Inside, Outside
from runtime.sync import EARLY, Go, Ready

if TYPE_CHECKING:
    from runtime.trace import Trace


def console_for(process: Process, path: str, console: int) -> int:
    """The socket that gets the terminal's master. Raises InvalidArgument where terminal and socket do not match."""
    if process.terminal and not path and console < 0:
        raise InvalidArgument("cannot allocate tty if the container is detached without setting console socket")
    if path and not process.terminal:
        raise InvalidArgument("cannot use console socket if the container has no terminal")
    if not path:
        return console
    from runtime.linux.sockets import connect

    try:
        return connect(path)
    except OSError as error:
        raise InvalidArgument(f"--console-socket {path}: {str(error.strerror).lower()} (connect(2))") from error


def stage(plan: Plan, console: int, preserved: int, trace: "Trace | None" = None) -> Outside:
    """The outer stage, whose new process will run the other steps."""
    def leave(at: Inside) -> None:
        init.apply(plan.leaving, at)

    def become(at: Inside) -> NoReturn:
        init.run(plan.inside, at)

    at = Outside(leave, become)
    at.console_socket = console
    at.trace = trace
    at.keep = tuple(range(3, 3 + preserved))
    return at


def opened(path: str) -> "Trace | None":
    """The file of --trace. Raises InvalidArgument if it cannot be opened: before anything is done."""
    if not path:
        return None
    from runtime import trace

    return trace.opened(path)


def ready(at: Outside) -> None:
    """Return when the process inside has done all it can do beforehand. Raises the error that it met."""
    assert at.channel is not None
    message = at.channel.receive()
    assert isinstance(message, Ready), message


def outcome(path: str, *, systemd: bool, alone: bool = True) -> str:
    """Why the process ended before it was ready. The kernel counts whom it kills for want of memory in a cgroup.

    In one that is new, that was ours (the words are runc's); in one where others live, it may have been.
    """
    try:
        kills = cgroups.open(path, systemd=systemd).oom_kills()
    except Fault:  # there is none yet
        return EARLY
    if not kills:
        return EARLY
    return "container init was OOM-killed (memory limit too low?)" if alone else f"{EARLY} (possibly OOM-killed)"


def go(at: Outside) -> None:
    """Let the process inside go on, and hang up."""
    assert at.channel is not None
    at.channel.send(Go())
    at.close()
    at.reap()


def write_pid_file(path: str, pid: int) -> None:
    """The pid, to be read by whoever waits for the file to appear: so it is renamed into place when complete.

    The directory may be one where others write, too (/tmp): what lies at our temporary name already is not ours.
    """
    if not path:
        return
    temporary = f"{path}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, str(pid).encode())
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(fd)
    except OSError as error:
        raise InvalidArgument(f"--pid-file {path}: {str(error.strerror).lower()} (open(2), rename(2))") from error


def check_pid_file(path: str) -> None:
    """Raises InvalidArgument where renaming would destroy what is there: /dev/null, a terminal, somebody's pipe."""
    if path and os.path.exists(path) and not os.path.isfile(path):
        raise InvalidArgument(f"--pid-file {path}: not a regular file")
