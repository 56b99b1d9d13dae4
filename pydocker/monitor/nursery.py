"""The spawner's process: it waits for messages, and forks a monitor for each.

Single-threaded, and thin: every page that it has is a page of each monitor, shared until somebody writes to it. (A
Python object is written to whenever it is used, to count its references.)
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import ExecSession, State
from pydocker.model.network import Endpoint, Network
from pydocker.monitor import control, pids
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.launch import FILE, Launch, Spawn
from pydocker.monitor.midwife import attend
from pydocker.monitor.monitor import Monitor
from pydocker.monitor.networking import NAMES
from pydocker.monitor.reaper import sweep_up
from pydocker.network.ports import Batch
from pydocker.storage import documents
from runtime import cli
from runtime.linux import prctl


def main() -> int:
    """The spawner's whole life: fork a monitor for every message, until the server's end is closed."""
    number = int(sys.argv[1])
    connection = socket.socket(fileno=number)
    os.set_inheritable(number, False)
    os.close(int(sys.argv[2]))
    os.umask(0o022)
    prctl.set_dumpable(False)
    prctl.set_name("pydocker-spawn")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # monitors are not waited for (waitpid(2), ECHILD)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_DFL)
    _warm_up()
    while True:
        message, fds = control.receive(connection, Spawn)
        if message is None:
            return 0
        if NAMES[0] in message.kept:
            _learn_names()
        try:
            child = os.fork() == 0
        except OSError as error:  # the limit of processes: the next one may fit again
            _refuse(fds[0], error)
            child = False
        if child:
            connection.close()
            _be_monitor(message, fds)
        control.close(fds)


def _refuse(server: int, error: OSError) -> None:
    with socket.socket(fileno=os.dup(server)) as waiting, contextlib.suppress(OSError):
        control.send(waiting, control.Failed(f"fork a monitor: {os.strerror(error.errno or 0).lower()} (fork(2))"))


def _warm_up() -> None:
    """Do here, once, what every monitor would do for itself."""
    cli.preload()
    for type in (Launch, State, ExecSession, control.Request, control.Reply, tuple[Endpoint, ...], Network, Batch):
        msgspec.json.Decoder(type)  # msgspec studies a type at its first use, for up to a millisecond
    gc.collect()
    gc.freeze()  # a collection writes into every object: in a fork, into a copy of its own of every page


def _learn_names() -> None:
    """Import what answers names, before the first monitor that does: their copy is shared with all later ones, and
    costs who has no networks of their own nothing (15 ms, 1 MB)."""
    if "pydocker.monitor.dns" not in sys.modules:
        importlib.import_module("pydocker.monitor.dns")
        gc.collect()
        gc.freeze()


def _be_monitor(message: Spawn, fds: list[int]) -> None:
    """Never returns."""
    code = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        server, lock = socket.socket(fileno=fds[0]), fds[1]
        split, end = 2 + len(message.clients), 2 + len(message.clients) + len(message.waits)
        clients = list(zip(message.clients, fds[2:split], strict=True))
        waits = [(socket.socket(fileno=fd), removed) for fd, removed in zip(fds[split:end], message.waits, strict=True)]
        _dispatch(message, server, lock, clients, waits, dict(zip(message.kept, fds[end:], strict=True)))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _dispatch(message: Spawn, server: socket.socket, lock: int, clients: list[tuple[AttachRequest, int]],
              waits: list[tuple[socket.socket, bool]], kept: dict[str, int]) -> None:
    try:
        if not message.clean:
            _detach(lock)
            if not clients and not waits and attend(message.run, server, lock, kept):
                return
        launch = documents.read(Path(message.run) / FILE, Launch)
    except (PydockerError, OSError) as error:
        control.send(server, control.Failed(f"{message.run}/{FILE}: {error}"))
        return
    if message.clean:
        sweep_up(launch, server)
    else:
        _run(launch, server, lock, clients, waits, kept)


def _detach(lock: int) -> None:
    """Be a monitor's process: nobody's child but init's, and the parent of its container's."""
    os.setsid()
    pids.sign(lock)
    prctl.set_child_subreaper()
    prctl.set_name("pydocker-mon")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The container decides when it ends. A handler and not SIG_IGN, because what is ignored stays so across execve.
        signal.signal(number, lambda number, frame: None)


def _run(launch: Launch, server: socket.socket, lock: int, clients: Sequence[tuple[AttachRequest, int]],
        waits: Sequence[tuple[socket.socket, bool]], kept: Mapping[str, int]) -> None:
    """Be the monitor: in a process forked for it alone."""
    monitor = Monitor(launch, server, lock, kept, forks=not clients)
    try:
        monitor.start(clients, waits)
    except PydockerError as error:
        monitor.failed(error)
    else:
        monitor.serve()
