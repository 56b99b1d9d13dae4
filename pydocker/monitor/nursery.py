"""The spawner's process: it waits for messages, and forks a monitor for each.

Single-threaded, and thin: every page that it has is a page of each monitor, shared until somebody writes to it. (A
Python object is written to whenever it is used, to count its references.)
"""

import contextlib
import gc
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import ExecSession, State
from pydocker.monitor import control
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.launch import FILE, Launch, Spawn
from pydocker.monitor.monitor import run
from pydocker.monitor.reaper import sweep_up
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
        if os.fork() == 0:
            connection.close()
            _be_monitor(message, fds)
        control.close(fds)


def _warm_up() -> None:
    """Do here, once, what every monitor would do for itself."""
    cli.preload()
    for type in (Launch, State, ExecSession, control.Request, control.Reply):
        msgspec.json.Decoder(type)  # msgspec studies a type at its first use, for up to a millisecond
    gc.collect()
    gc.freeze()  # a collection writes into every object: in a fork, into a copy of its own of every page


def _be_monitor(message: Spawn, fds: list[int]) -> None:
    """Never returns."""
    code = 1
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        server, lock = socket.socket(fileno=fds[0]), fds[1]
        split = 2 + len(message.clients)
        clients = list(zip(message.clients, fds[2:split], strict=True))
        waits = [(socket.socket(fileno=fd), removed) for fd, removed in zip(fds[split:], message.waits, strict=True)]
        _dispatch(message, server, lock, clients, waits)
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _dispatch(message: Spawn, server: socket.socket, lock: int, clients: list[tuple[AttachRequest, int]],
              waits: list[tuple[socket.socket, bool]]) -> None:
    try:
        launch = documents.read(Path(message.run) / FILE, Launch)
    except (PydockerError, OSError) as error:
        control.send(server, control.Failed(f"{message.run}/{FILE}: {error}"))
        return
    if message.clean:
        sweep_up(launch, server)
    else:
        run(launch, server, lock, clients, waits)
