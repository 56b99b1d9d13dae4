"""Starting the server when nobody has: the first command after boot, or after the server left for idleness.

    this command ── fork ── setsid ── exec `pydocker serve`       its parent is init at once: nobody waits for it
          └─ polls the new process's pidfd and tries to connect, until one of the two tells how it went

Two commands may start a server each at the same moment. The server's own lock lets one of them live; both commands then
connect to that one. So the death of "our" server means nothing yet: only a socket that stays silent does.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from pydocker.client.address import Address, Refused, connect
from pydocker.errors import Unavailable
from pydocker.paths import Paths

_PATIENCE = 60.0  # seconds for a server that lives, but does not listen yet: an emulated machine takes thirty
_GRACE = 1.0  # seconds for another one's server, when ours has died
_PAUSE = 0.005

# Not the environment of a service manager, nor the choice of another server: they were meant for this process.
_PRIVATE = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "DOCKER_HOST")

# What is ignored stays so across execve: nohup's SIGHUP, or the SIGINT of a shell's background job, which every command
# of the server's warm process would then ignore too.
_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pydocker.cli import main; sys.exit(main(sys.argv[1:]))"


def connect_or_start(address: Address, paths: Paths, environ: Mapping[str, str]) -> socket.socket:
    """A connection to the server at `address`, which is started if it is not there.

    Raises Refused for everybody but root, and Unavailable with the end of its log if the server does not come up.
    """
    try:
        return connect(address)
    except Refused as refused:
        if refused.permission or os.geteuid() != 0:
            raise Refused(address, permission=True) from refused
    log = paths.run / "server.log"
    return _await(address, _start(paths, log, environ), log)


def _start(paths: Paths, log: Path, environ: Mapping[str, str]) -> int:
    """Start `pydocker serve` as nobody's child; its pid. Raises Unavailable if it cannot even be executed."""
    os.makedirs(paths.run, mode=0o700, exist_ok=True)
    receive, send = os.pipe()
    try:
        try:
            if (middle := os.fork()) == 0:
                _between(send, log, environ)
        finally:
            os.close(send)
        os.waitpid(middle, 0)
        answer = os.read(receive, 1000).decode()
    except OSError as error:
        raise Unavailable(f"the server did not start: fork a process: {os.strerror(error.errno or 0).lower()}"
                          ) from error
    finally:
        os.close(receive)
    if not answer.isdigit():
        raise Unavailable(f"the server did not start: {answer}")
    return int(answer)


def _between(send: int, log: Path, environ: Mapping[str, str]) -> NoReturn:
    """The middle process of the double fork: starts the server, tells its pid (or why there is none), ends."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = [sys.executable, "-I", "-c", _MAIN, package, "serve"]
    inherited = {name: value for name, value in environ.items() if name not in _PRIVATE}
    try:
        os.chdir("/")
        os.umask(0o022)
        pid = os.posix_spawn(argv[0], argv, inherited, setsid=True, setsigmask=(), setsigdef=_SIGNALS, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ])
        os.write(send, b"%d" % pid)
    except OSError as error:
        os.write(send, f"posix_spawn {argv[0]}: {error.strerror}".encode())
    finally:
        os._exit(0)


def _await(address: Address, pid: int, log: Path) -> socket.socket:
    deadline = time.monotonic() + _PATIENCE
    watched = _open_pidfd(pid)
    try:
        while time.monotonic() < deadline:
            try:
                return connect(address)
            except Refused:
                ended = _ends_within(watched, _PAUSE)
            if ended:
                os.close(watched.pop())
                deadline = min(deadline, time.monotonic() + _GRACE)
    finally:
        for fd in watched:
            os.close(fd)
    raise Unavailable(f"the server did not start: {_last_line(log)} (see {log})")


def _open_pidfd(pid: int) -> list[int]:
    """One pidfd, or none if the process has already ended and init has reaped it."""
    try:
        return [os.pidfd_open(pid)]
    except ProcessLookupError:
        return []


def _ends_within(watched: list[int], seconds: float) -> bool:
    return bool(select.select(watched, [], [], seconds)[0])


def _last_line(log: Path) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
