"""A monitor's life: bring the container up, serve it, take it down, record how it ended.

    born (forked by the spawner, with monitor.lock already held for it)
      -> steps of plan.py -> state.json: running -> answer the server -> serve
      -> init is gone -> read what is left -> runtime delete -> state.json: exited -> answer those who wait
      -> --rm: remove -> give slow clients the rest -> end

The order of the end is what others rely on: who was told of the exit finds the state written and the cgroup gone.
"""

import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from pydocker.errors import Conflict, PydockerError, StartFailed
from pydocker.model.container import State, Status
from pydocker.monitor import control, plan, remains
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.clients import Client
from pydocker.monitor.execs import Execs, exit_code
from pydocker.monitor.launch import EXECS, LOCK, SOCKET, Launch
from pydocker.monitor.logreader import LogReader
from pydocker.monitor.logwriter import LogWriter
from pydocker.monitor.loop import READ, Loop
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.streams import Streams
from pydocker.storage import documents
from runtime import cgroups
from runtime.errors import Fault
from runtime.linux import prctl
from runtime.step import apply

STATE = "state.json"
_REST = 2.0  # seconds for output that is still on its way when init is gone


class Monitor:
    """One container, from its start to its end."""

    def __init__(self, launch: Launch, server: socket.socket, lock: int) -> None:
        self.launch = launch
        self.loop = Loop()
        self.state = last_state(launch)
        self._server = server
        self._lock = lock
        self._runtime = Runtime(launch.runtime, launch.runtime_root, launch.run_path / "runtime.log")
        self._log = LogWriter(launch.log.path, launch.log.max_size, launch.log.files) if launch.log.path else None
        self._execs = Execs(launch, self._runtime, self.loop, self._client_gone)
        self._clients: set[Client] = set()
        self._waits: list[tuple[socket.socket, bool]] = []
        self._followers: list[socket.socket] = []
        self._birth = plan.Birth(launch, self._runtime)
        self._undo = ExitStack()
        self._ended = False

    # Bringing up

    def start(self, clients: Sequence[tuple[AttachRequest, int]], waits: Sequence[tuple[socket.socket, bool]]) -> None:
        """Apply the steps, and tell the server. Raises PydockerError after undoing what was done."""
        try:
            self._bring_up(clients, waits)
        except (Fault, OSError) as error:
            raise StartFailed(f"failed to start container {self.launch.id[:12]}: {error}", 128) from error
        self._record(status=Status.RUNNING, pid=self._birth.pid, start_time=start_time(self._birth.pid), exit_code=0,
                     error="", oom_killed=False, started=time.time(), finished=0.0)
        self.loop.on_exit(self._birth.pid, self._init_ended)
        self._answer(self._server, control.Done())

    def _bring_up(self, clients: Sequence[tuple[AttachRequest, int]],
                  waits: Sequence[tuple[socket.socket, bool]]) -> None:
        with apply(plan.preparation(self.launch), self._birth) as undo:
            self._streams = Streams(self.loop, stdin=self._birth.stdin, outputs=self._birth.outputs,
                                    tty=self.launch.tty, sink=self._output)
            for request, fd in clients:
                self._attach(request, fd)
            self._waits += waits
            self._listen()
            plan.Start(self.launch.id).apply(self._birth)
            self._undo = undo.pop_all()

    def _record(self, **changes: object) -> None:
        # Not fsynced: after a power cut nothing runs, and the engine finds that out by itself. The rename is atomic.
        self.state = msgspec.structs.replace(self.state, **changes)
        documents.write(self.launch.data_path / STATE, self.state, durable=False)

    def failed(self, error: PydockerError) -> None:
        """Record and report that it could not be started. Its status stays what it was before."""
        code = error.exit_code if isinstance(error, StartFailed) else 128
        self._record(exit_code=code, error=str(error))
        remains.sweep(self.launch.run_path, keep=(EXECS, LOCK))
        self._unlock()
        self._answer(self._server, control.Failed(str(error), code, error.status))

    # Serving

    def serve(self) -> None:
        """Until it has ended and every client has what is theirs."""
        while not (self._ended and not self._clients):
            self.loop.turn()

    def _output(self, stream: int, data: bytes) -> None:
        if self._log is not None:
            self._log.write(stream, data, last=not data)
            for follower in tuple(self._followers):
                self._nudge(follower)

    def _nudge(self, follower: socket.socket) -> None:
        try:
            follower.send(b".", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass  # it has not yet looked after the last nudge: one is enough
        except OSError:
            self._followers.remove(follower)
            follower.close()

    def _attach(self, request: AttachRequest, fd: int) -> None:
        client = Client(self.loop, fd, request, self._streams,
                        end_input=self.launch.stdin_once and not self.launch.tty, spill=self.launch.data,
                        gone=self._client_gone)
        self._clients.add(client)
        if request.logs and self._log is not None:
            self._replay(client)
        if request.stream:
            self._streams.clients.append(client)
            client.begin()
        else:
            client.finish()

    def _replay(self, client: Client) -> None:
        reader = LogReader(self.launch.log.path, self.launch.log.files)
        for batch in reader.read():
            for entry in batch:
                client.send(1 if entry.stream == "stdout" else 2, entry.log.encode())
        reader.close()

    def _client_gone(self, client: Client) -> None:
        self._clients.discard(client)

    def _listen(self) -> None:
        self._listener = control.listen(self.launch.run_path)
        self._listener.setblocking(False)
        self.loop.watch(self._listener.fileno(), READ, lambda events: self._accept())

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # no more; or it gave up before we came to it
                return
            self.loop.watch(connection.fileno(), READ, lambda events, one=connection: self._asked(one))  # type: ignore[misc]

    def _asked(self, connection: socket.socket) -> None:
        """One request on a fresh connection; only the server (root) can reach the socket."""
        self.loop.forget(connection.fileno())
        fds: list[int] = []
        try:
            request, fds = control.receive(connection, control.Request)  # type: ignore[arg-type]
            if request is None:
                connection.close()
            else:
                self._handle(request, fds, connection)
        except PydockerError as error:
            control.close(fds)
            self._answer(connection, _failure(error))
        except (OSError, msgspec.MsgspecError) as error:
            control.close(fds)
            self._answer(connection, control.Failed(f"monitor of {self.launch.id[:12]}: {error}"))

    def _handle(self, request: control.Request, fds: list[int], connection: socket.socket) -> None:
        if self._ended and not isinstance(request, control.Wait | control.Follow):
            raise Conflict(f"container {self.launch.id} is not running")
        match request:
            case AttachRequest():
                self._attach(request, fds[0])
                self._answer(connection, control.Done())
            case control.Resize(height, width, ""):
                self._streams.resize(height, width)
                self._answer(connection, control.Done())
            case control.Resize(height, width, exec_id):
                self._execs.resize(exec_id, height, width)
                self._answer(connection, control.Done())
            case control.ExecRequest(id, client):
                attached = (client, fds[0]) if client is not None else None
                self._execs.start(id, attached, lambda error: self._answer(
                    connection, control.Done() if error is None else _failure(error)))
            case control.Wait() if self._ended:
                self._answer(connection, control.Ended(self.state.exit_code))
            case control.Wait(removed):
                self._waits.append((connection, removed))
            case control.Follow() if self._log is not None:
                self._followers.append(connection)
            case control.Follow():
                connection.close()

    def _answer(self, connection: socket.socket, reply: control.Reply) -> None:
        with connection:
            try:
                control.send(connection, reply)
            except OSError:
                return  # who asked is gone: a killed server

    # The end

    def _init_ended(self, status: int) -> None:
        """Init is gone, and with it (pid_namespaces(7)) everything in its namespace.

        The rest of the output is in the pipes.
        """
        self._status = status
        self._streams.drain()
        if self._streams.open:
            self.loop.after(_REST, self._end)
            self._streams.when_ended(self._end)
        else:
            self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._streams.drain()
        self._execs.end_all()
        self._streams.discard()
        self._stop_logging()
        oom_killed = self._oom_killed()
        mounted = os.open(self.launch.rootfs, os.O_PATH | os.O_CLOEXEC)
        error = self._delete()
        remains.sweep(self.launch.run_path, keep=(EXECS, LOCK, SOCKET))
        self._record(status=Status.EXITED, pid=0, start_time=0, exit_code=exit_code(self._status), error=error,
                     oom_killed=oom_killed, finished=time.time())
        self._tell(removed=False)
        if self.launch.auto_remove:
            remains.remove(self.launch.data_path, self.launch.run_path, Path(self.launch.names),
                           Path(self.launch.temporary))
        self._tell(removed=True)
        self._streams.finish()
        self._retire()
        # The overlay is out of sight, but alive by this descriptor: its last user syncs the file system below it, for
        # up to half a second, which nobody but the next start needs to wait for.
        os.close(mounted)
        self._unlock()

    def _stop_logging(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
        for follower in self._followers:
            follower.close()
        self._followers.clear()

    def _oom_killed(self) -> bool:
        if not self.launch.cgroup:
            return False
        return cgroups.open(self.launch.cgroup).oom_kills() > 0

    def _delete(self) -> str:
        """Undo the steps; what could not be undone is recorded, since nobody is there to be told."""
        try:
            self._undo.close()
        except (PydockerError, Fault, OSError) as error:
            return str(error)
        return ""

    def _tell(self, *, removed: bool) -> None:
        """Answer the waits for the exit, then those for the removal. Without --rm the engine knows when that is."""
        for wait in tuple(self._waits):
            if wait[1] == removed and (not removed or self.launch.auto_remove):
                self._waits.remove(wait)
                self._answer(wait[0], control.Ended(self.state.exit_code))

    def _retire(self) -> None:
        """Answer no more: what is left to do is only between us and slow clients."""
        for _ in range(2):  # who has connected just now gets an answer, too
            self.loop.turn(wait=False)
        self.loop.forget(self._listener.fileno())
        self._listener.close()
        for connection, _ in self._waits:
            connection.close()

    def _unlock(self) -> None:
        """Give the lock up: it may be started again.

        The directory goes, too, unless the exit codes of exec sessions are in it, for which somebody may still ask.
        """
        if os.path.exists(self.launch.run_path / EXECS):
            remains.sweep(self.launch.run_path, keep=(EXECS, LOCK))
        else:
            remains.give_up(self.launch.run_path, LOCK)
        os.close(self._lock)


def _failure(error: PydockerError) -> control.Failed:
    return control.Failed(str(error), error.exit_code if isinstance(error, StartFailed) else 0, error.status)


def last_state(launch: Launch) -> State:
    """What was recorded last; a container that was never started has no file yet."""
    try:
        return documents.read(launch.data_path / STATE, State)
    except FileNotFoundError:
        return State()


def start_time(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat: clock ticks since boot. The name in field 2 may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def run(launch: Launch, server: socket.socket, lock: int, clients: Sequence[tuple[AttachRequest, int]],
        waits: Sequence[tuple[socket.socket, bool]]) -> None:
    """Be the monitor: in a process forked for it alone."""
    os.setsid()
    prctl.set_child_subreaper()
    prctl.set_name("pydocker-mon")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The container decides when it ends. A handler and not SIG_IGN, because what is ignored stays so across execve.
        signal.signal(number, lambda number, frame: None)
    monitor = Monitor(launch, server, lock)
    try:
        monitor.start(clients, waits)
    except PydockerError as error:
        monitor.failed(error)
    else:
        monitor.serve()
