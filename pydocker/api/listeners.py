"""Listening sockets: those that systemd opened for us, or our own unix sockets.

Own sockets are bound under a temporary name and renamed into place: the path always leads to a socket that listens, a
stale one left by `kill -9` is replaced in one step. Paths in sockaddr_un end at 108 bytes (unix(7)), so a socket is
reached through its directory's descriptor: `/proc/self/fd/N/name`.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydocker.errors import Conflict, InvalidParameter, NotSupported, PydockerError

FIRST_PASSED = 3  # sd_listen_fds(3)
BACKLOG = 128
# Connecting means being root, so the group is root's as well until somebody gives the file away (as `docker`'s is).
MODE = 0o660


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket to accept from; with a `path`, the file is ours to remove, if it is still this one (`inode`)."""

    socket: socket.socket
    path: Path | None = None
    inode: int = 0

    def withdraw(self) -> None:
        """Take the name away: nobody finds this socket any more, those who already connected are still served."""
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(self.path).st_ino == self.inode:
                    os.unlink(self.path)


def passed(environ: Mapping[str, str]) -> list[Listener]:
    """The sockets that a service manager opened (LISTEN_FDS), if they are meant for this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    listeners = [Listener(socket.socket(fileno=FIRST_PASSED + number)) for number in range(count)]
    for listener in listeners:
        os.set_inheritable(listener.socket.fileno(), False)
    return listeners


def opened(hosts: Sequence[str]) -> list[Listener]:
    """A listener for each of `hosts` (`unix://PATH`). To be called before there are threads: it sets the umask."""
    with contextlib.ExitStack() as undo:
        listeners = []
        for host in hosts:
            listener = _open(unix_path(host))
            undo.callback(listener.socket.close)
            undo.callback(listener.withdraw)
            listeners.append(listener)
        undo.pop_all()
        return listeners


def unix_path(host: str) -> Path:
    """The path that `unix://PATH` names. Raises for everything else."""
    scheme, separator, path = host.partition("://")
    if scheme == "unix" and path.startswith("/"):
        return Path(path)
    if separator and scheme in ("tcp", "ssh", "fd", "npipe", "http", "https"):
        raise NotSupported(f"host {host!r}: {scheme}:// is not supported yet, use unix://PATH")
    raise InvalidParameter(f"invalid host {host!r}: expected unix:///absolute/path")


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for `path` that is short enough for sockaddr_un, valid within the block."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _open(path: Path) -> Listener:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _answers(path):
        raise Conflict(f"listen on {path}: another server is answering there")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o777 & ~MODE)
    try:
        with reachable(temporary) as name:
            listening.bind(name)
        listening.listen(BACKLOG)
        os.rename(temporary, path)
        return Listener(listening, path, os.lstat(path).st_ino)
    except OSError as error:
        listening.close()
        temporary.unlink(missing_ok=True)
        raise PydockerError(f"listen on {path}: {error.strerror}") from error
    finally:
        os.umask(umask)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reachable(path) as name:
        result = probe.connect_ex(name)
    if result in (0, errno.EAGAIN):
        return True
    if result in (errno.ENOENT, errno.ECONNREFUSED):
        return False
    raise PydockerError(f"listen on {path}: {os.strerror(result).lower()}")
