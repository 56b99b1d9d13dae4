"""A process that has the command line imported, and forks for every call of the installed command: 3 ms, not 60.

    launcher.c ── its streams, directory, words ──> here ── fork ──> main(argv, environ)
               ── a signal's number ──────────────>      ── kill(2) ──>
               <── BEGUN, the wait status ────────       <── wait(2) ──

The server starts it and it leaves with the server, except that it sees the commands through that it has begun: a
client outlives its server. It answers COLD, and the launcher executes Python itself, where the caller would not be
served as by a process of its own: another checkout, or a newer one; other namespaces, another root directory; more of a
resource than we have; no process to be had (after BEGUN, which is said before there is one). Where we are gone before
we said BEGUN, it does so, too.

Only root can reach it (its socket has mode 0600), and every command is root's own, with nothing of the server's.
"""

import contextlib
import gc
import importlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import NoReturn

from pydocker.cli import main
from pydocker.cli.app import ROOT
from pydocker.monitor import control
from pydocker.monitor.loop import GONE, READ, Loop
from runtime.linux import prctl
from runtime.linux.descriptors import close_range
from runtime.linux.interpreter import bootstrap

COLD, BEGUN = -1, -2  # instead of a wait status, and before it
_CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_WORLD = ("root", "ns/mnt", "ns/net", "ns/pid", "ns/user", "ns/uts", "ns/ipc")
_PEER = struct.Struct("=iII")  # SO_PEERCRED, socket(7): pid, uid, gid
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_ANSWER = struct.Struct("=i")
_NUMBERS = struct.Struct("=II")  # how many arguments; the umask
_LARGEST = 4096 + _NUMBERS.size  # bytes: the numbers, the path of the checkout


def address(environ: Mapping[str, str]) -> str:
    """The socket of the server that has this environment, where launcher.c looks for it, too."""
    return environ.get("PYDOCKER_CONFIG", "/run/pydocker") + ".warm"


@contextlib.contextmanager
def beside(environ: Mapping[str, str]) -> Iterator[None]:
    """Have the process for the length of the block. It notices the end by its pipe, also that of a killed server."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            [sys.executable, *bootstrap("pydocker.cli.warm:serve"), address(environ), str(reading)],
            env=environ, pass_fds=(reading,), stdin=subprocess.DEVNULL, cwd="/", start_new_session=True)
    finally:
        os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        with contextlib.suppress(subprocess.TimeoutExpired):  # it still has commands to see through
            process.wait(0.5)


def serve() -> int:
    """The process's whole life."""
    path, server = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(server, False)
    prctl.set_name("pydocker-warm")
    _import_commands()
    warm = Warm(Loop(), _listener(path), _times())
    warm.follow(server)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page
    while warm.busy:
        warm.loop.turn()
    return 0


def _import_commands() -> None:
    for place, _ in ROOT.entries.values():
        if not place.endswith(":SERVE"):
            importlib.import_module(place.partition(":")[0])


def _listener(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.umask(0o177)
    listener.bind(path)
    os.umask(0o022)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _times() -> dict[str, int]:
    """When each file of ours was changed that is loaded now."""
    files = [module.__file__ for name, module in tuple(sys.modules.items()) if name.startswith(("pydocker", "runtime"))]
    return {file: os.stat(file).st_mtime_ns for file in files if file}


class Warm:
    """`times`: of the files that were loaded."""

    def __init__(self, loop: Loop, listener: socket.socket, times: Mapping[str, int]) -> None:
        self.loop = loop
        self._listener: socket.socket | None = listener
        self._bound = os.stat(listener.getsockname())
        self._times = times
        self._commands = 0
        loop.watch(listener.fileno(), READ, lambda events: self._accept(listener))

    @property
    def busy(self) -> bool:
        """Whether there is anything to be done, or to come."""
        return self._listener is not None or self._commands > 0

    def follow(self, server: int) -> None:
        """Take no more calls as soon as the other end of this pipe is closed."""
        self.loop.watch(server, READ, lambda events: self._leave(server))

    def _leave(self, server: int) -> None:
        self.loop.forget(server)
        if self._listener is not None:
            self.loop.forget(self._listener.fileno())
            path = self._listener.getsockname()
            with contextlib.suppress(FileNotFoundError):  # it is gone with its directory
                if os.path.samestat(os.stat(path), self._bound):  # else it is the next server's
                    os.unlink(path)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has given up before we came to it
            connection, _ = listener.accept()
            self.loop.watch(connection.fileno(), READ, lambda events: self._asked(connection))

    def _asked(self, connection: socket.socket) -> None:
        self.loop.forget(connection.fileno())
        fds: list[int] = []
        try:
            request, fds = control.receive_descriptors(connection, _LARGEST, 8)
            caller, *_ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if len(fds) != 5 or not self._fits(caller, request):
                connection.send(_ANSWER.pack(COLD))
                connection.close()
            else:
                self._begin(connection, caller, fds, *_NUMBERS.unpack_from(request))
        except OSError:  # it has given up, or has been answered: it sees our end closed
            connection.close()
        finally:
            control.close(fds)

    def _fits(self, pid: int, request: bytes) -> bool:
        """Whether a process of the caller's own would be the same as a child of ours."""
        try:
            return (_within(pid) and request[_NUMBERS.size:] == os.fsencode(_CHECKOUT)
                    and all(os.path.samestat(os.stat(f"/proc/{pid}/{one}"), os.stat(f"/proc/self/{one}"))
                            for one in _WORLD)
                    and all(os.stat(file).st_mtime_ns == changed for file, changed in self._times.items()))
        except OSError:
            return False

    def _begin(self, connection: socket.socket, caller: int, fds: list[int], arguments: int, umask: int) -> None:
        connection.send(_ANSWER.pack(BEGUN))
        try:
            pid = os.fork()
        except OSError:  # no more processes are to be had here; the caller has one already
            connection.send(_ANSWER.pack(COLD))
            raise
        if pid == 0:
            _be_command(caller, fds, arguments, umask)
        self._commands += 1
        self.loop.on_exit(pid, lambda status: self._ended(connection, status))
        self.loop.watch(connection.fileno(), READ, lambda events: self._signalled(connection, pid, events))

    def _signalled(self, connection: socket.socket, pid: int, events: int) -> None:
        """Pass a signal on (the child is ours to reap, so the pid is still its own); a killed caller's child follows.
        """
        try:
            number = connection.recv(1) if not events & GONE else b""
        except OSError:
            number = b""
        with contextlib.suppress(OSError):  # there is no such signal: one caller's mistake ends no other's command
            os.kill(pid, number[0] if number else signal.SIGKILL)
        if not number:
            self.loop.forget(connection.fileno())

    def _ended(self, connection: socket.socket, status: int) -> None:
        self._commands -= 1
        self.loop.forget(connection.fileno())
        with connection, contextlib.suppress(OSError):
            connection.send(_ANSWER.pack(status))


def _within(pid: int) -> bool:
    """Whether our child may have the caller's limits, priority and processors: who has no privilege only lowers them,
    and a cpuset has no others."""
    return (os.getpriority(os.PRIO_PROCESS, pid) >= os.getpriority(os.PRIO_PROCESS, 0)
            and os.sched_getaffinity(pid) <= os.sched_getaffinity(0)
            and all(_number(resource.prlimit(pid, limit)[1]) <= _number(resource.prlimit(0, limit)[1])
                    for limit in _LIMITS))


def _number(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _be_command(caller: int, fds: list[int], arguments: int, umask: int) -> NoReturn:
    """What `python -m pydocker` would be. `fds`: the streams, the directory, the words."""
    code = 1
    try:
        prctl.set_pdeathsig(signal.SIGKILL)  # nobody could tell the caller how it ended
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        words = os.pread(fds[4], os.fstat(fds[4]).st_size, 0).split(b"\0")[:-1]
        _take_over(fds, words[arguments:], umask)
        _be_limited(caller)
        code = main([os.fsdecode(word) for word in words[1:arguments]], job=caller)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _take_over(fds: list[int], environment: list[bytes], umask: int) -> None:
    """The streams, the directory and the environment of the caller; nothing else stays open."""
    os.fchdir(fds[3])
    os.umask(umask)
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    close_range(3)
    os.environb.clear()
    os.environb.update(entry.partition(b"=")[::2] for entry in environment if b"=" in entry)
    time.tzset()


def _be_limited(caller: int) -> None:
    """Limits, priority and processors, as a process that the caller's shell had started would have inherited them."""
    os.sched_setaffinity(0, os.sched_getaffinity(caller))
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, caller))
    for limit in _LIMITS:
        resource.setrlimit(limit, resource.prlimit(caller, limit))
