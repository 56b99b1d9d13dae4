"""A monitor's life: bring the container up, serve it, take it down, record how it ended.

    born (forked by the spawner, with monitor.lock already held for it)
      -> steps of plan.py -> state.json: running -> answer the server -> serve
      -> init is gone -> read what is left -> runtime delete -> state.json: exited -> answer those who wait
      -> --rm: remove -> give slow clients the rest -> end
         or, by its restart policy: state.json: restarting -> a while later the steps of plan.py again

The order of the end is what others rely on: who was told of the exit finds the state written and the cgroup gone.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import msgspec

from pydocker.errors import Conflict, PydockerError, StartFailed
from pydocker.layers.overlay import VOLATILE
from pydocker.model.container import Health, State, Status
from pydocker.monitor import control, networking, pausing, plan, remains, renewing, restart, updating
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.birth import Birth
from pydocker.monitor.clients import Client
from pydocker.monitor.desk import Desk, answer, failure, hand_over
from pydocker.monitor.execs import Execs, exit_code
from pydocker.monitor.happenings import Bell, Happenings, OomWatch
from pydocker.monitor.launch import EXECS, FILE, LOCK, ROOTFS, SOCKET, Launch
from pydocker.monitor.logkeeper import LogKeeper
from pydocker.monitor.loop import Loop
from pydocker.monitor.ociruntime import Runtime
from pydocker.monitor.pids import start_time
from pydocker.monitor.recorded import STATE, StateFile, last_state, policy
from pydocker.monitor.streams import Streams
from pydocker.monitor.waits import Waits
from pydocker.network.endpoints import NETWORKS
from runtime.errors import Fault
from runtime.step import apply, undoing

_REST = 2.0  # seconds for output that is still on its way when init is gone


class Monitor:
    """One container, from its start to its end."""

    def __init__(self, launch: Launch, server: socket.socket, lock: int, kept: Mapping[str, int], *,
                 forks: bool = True) -> None:
        """`forks`: this process may be there for days, and nobody sees it at work."""
        self.launch = launch
        self.loop = Loop()
        self.state = last_state(launch)
        self.file = StateFile(launch, self.loop)
        self._server = server
        self._lock = lock
        self._runtime = Runtime(launch.runtime, launch.runtime_root, launch.run_path / "runtime.log", forks)
        self._log = LogKeeper(launch.log, self.loop, lambda: self._streams.throttle())
        self._tell_all = Happenings(launch)
        self._execs = Execs(launch, self._runtime, self.loop, self._client_gone, self._tell_all)
        self._clients: set[Client] = set()
        self._waits = Waits(self.loop)
        self.network = networking.Sandbox(launch, self.loop, kept)
        self.birth = Birth(launch, self._runtime, namespace=self.network.namespace)
        self._undo = ExitStack()
        self.desk = Desk(self.loop, launch.id[:12], self._handle)
        self._attempts = restart.Attempts(launch.restarts)
        self._down = False  # this run is over
        self._ended = False  # there will be no other
        self._removes = launch.auto_remove

    # Bringing up

    def start(self, clients: Sequence[tuple[AttachRequest, int]], waits: Sequence[tuple[socket.socket, bool]]) -> None:
        """Apply the steps, and tell the server. Raises PydockerError after undoing what was done."""
        try:
            self._bring_up(clients, waits)
        except (Fault, OSError) as error:
            raise StartFailed(f"failed to start container {self.launch.id[:12]}: {error}", 128) from error
        self._runs(stopped=False, restarts=self.launch.restarts)
        answer(self._server, control.Done())

    def adopt(self, state: State, began: float, desk: int, bell: Bell, rules: int, *, recorded: bool) -> None:
        """Go on with what another process has brought up, and left in `birth` (see midwife)."""
        self.state, self.began = state, began
        if not recorded:
            self.file.write(state)
        self._stream()
        self.desk.adopt(desk)
        self.network.open(rules)
        self._tell_all.go_on()
        self._undo.callback(lambda: undoing(plan.preparation(self.launch), self.birth).close())
        self._probe()
        self.oom = OomWatch(self.loop, self.launch.cgroup, self._tell_all, bell)
        self.loop.on_exit(state.pid, self._init_ended)
        self.loop.after(0, self.loop.reap)  # it may have ended while nobody listened

    def _runs(self, **changes: object) -> None:
        self._record(status=Status.RUNNING, pid=self.birth.pid, start_time=start_time(self.birth.pid), exit_code=0,
                     error="", oom_killed=False, started=time.time(), finished=0.0, **changes)
        self.began = time.monotonic()
        self._probe()
        self.loop.on_exit(self.birth.pid, self._init_ended)
        self._tell_all.started()
        self.oom = OomWatch(self.loop, self.launch.cgroup, self._tell_all)

    def _probe(self) -> None:
        """Begin with the health checks, where there are any; the module is loaded where it is needed."""
        self._prober = None
        if self.launch.healthcheck is not None:
            from pydocker.monitor.health import Prober

            self._record(health=Health())
            self._prober = Prober(self.loop, self._execs, self.launch.healthcheck, self.state.started,
                                  lambda health: self._record(health=health), self._tell_all, lambda: self.state.paused)

    def _bring_up(self, clients: Sequence[tuple[AttachRequest, int]], waits: Sequence[tuple[socket.socket, bool]], *,
                  first: bool = True) -> None:
        steps = plan.preparation(self.launch)
        with apply(steps if first else steps[1:], self.birth) as undo:  # it has its own mounts already
            self._stream()
            for request, fd in clients:
                self._attach(request, fd)
            for connection, removed in waits:
                self._waits.add(connection, removed)
            if first:
                self.desk.open(self.launch.run_path)
            self.network.open()
            plan.Start(self.launch.id).apply(self.birth)
            self._undo = undo.pop_all()

    def _stream(self) -> None:
        self._streams = Streams(self.loop, stdin=self.birth.stdin, outputs=self.birth.outputs, tty=self.launch.tty,
                                sink=self._log.write, full=lambda: self._log.full)

    def _record(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        self.file.write(self.state)

    def failed(self, error: PydockerError) -> None:
        """Record and report that it could not be started. Its status stays what it was before, at rest."""
        code = error.exit_code if isinstance(error, StartFailed) else 128
        status = Status.EXITED if self.state.restarting else self.state.status
        self._record(status=status, exit_code=code, error=str(error))
        networking.tell(self.launch, self.network.release())
        remains.sweep(self.launch.run_path, keep=(EXECS, LOCK))
        self._unlock()
        answer(self._server, control.Failed(str(error), code, error.status))

    # Serving

    def serve(self) -> None:
        """Until it has ended and every client has what is theirs."""
        while not (self._ended and not self._clients):
            self.loop.turn()

    def _attach(self, request: AttachRequest, fd: int) -> None:
        client = Client(self.loop, fd, request, self._streams,
                        end_input=self.launch.stdin_once and not self.launch.tty, spill=self.launch.data,
                        gone=self._client_gone)
        self._clients.add(client)
        if request.logs:
            self._log.replay(client)
        if request.stream:
            self._tell_all("attach")
            self._streams.clients.append(client)
            client.begin()
        else:
            client.finish()

    def _client_gone(self, client: Client) -> None:
        if client.detached:
            self._tell_all("detach")
        self._clients.discard(client)

    def _handle(self, request: control.Request, fds: list[int], connection: socket.socket) -> None:
        if self._down and not control.needs_no_process(request, ended=self._ended):
            raise Conflict(f"container {self.launch.id} is not running" if self._ended else
                           f"Container {self.launch.id} is restarting, wait until the container is running")
        match request:
            case AttachRequest():
                self._attach(request, fds[0])
                answer(connection, control.Done())
            case control.Resize(height, width, ""):
                self._streams.resize(height, width)
                answer(connection, control.Done())
            case control.Resize(height, width, exec_id):
                self._execs.resize(exec_id, height, width)
                answer(connection, control.Done())
            case control.ExecRequest(id, client):
                attached = (client, fds[0]) if client is not None else None
                self._execs.start(id, attached, lambda error: answer(
                    connection, control.Done() if error is None else failure(error)))
            case control.Freeze(wanted):
                self._record(status=pausing.change(self._runtime, self.launch.id, self.state, frozen=wanted))
                if wanted and self._prober is not None:
                    self._prober.drop()
                self._tell_all("pause" if wanted else "unpause")
                answer(connection, control.Done())
            case control.Update(limits):
                if not self._down:
                    updating.change(self._runtime, self.launch, limits)
                self.launch = updating.remember(self.launch, limits)
                answer(connection, control.Done())
            case control.Spare():
                self._removes = False
                answer(connection, control.Done())
            case control.View():
                hand_over(self.launch.rootfs, connection)
            case control.Namespace() | control.Listen() | control.Arrange():
                self.network.serve(request, fds, connection, self.birth.pid)
            case control.StayDown():
                self._stay_down()
                answer(connection, control.Done())
            case control.Wait() if self._ended:
                answer(connection, control.Ended(self.state.exit_code))
            case control.Wait(removed):
                self._waits.add(connection, removed)
            case control.Follow():
                self._log.follow(connection)

    # The end

    def _init_ended(self, status: int) -> None:
        """Init is gone, and with it (pid_namespaces(7)) everything in its namespace. The rest of the output is in the
        pipes."""
        self._status = status
        self._streams.drain()
        if self._streams.open:
            birth = self.birth
            self.loop.after(_REST, lambda: self._end(birth))
            self._streams.when_ended(lambda: self._end(birth))
        else:
            self._end(self.birth)

    def _end(self, birth: Birth) -> None:
        """Take down what this run of it left."""
        if self._down or birth is not self.birth:  # done already; or this is about an earlier run
            return
        self._down = True
        self._streams.drain()
        health = self.state.health if self._prober is None else self._prober.close()
        self._execs.end_all()
        self._streams.discard()
        self._log.settle()
        oom_killed = self.oom.close()
        mounted = os.open(self.launch.rootfs, os.O_PATH | os.O_CLOEXEC)
        error, code = self._delete(), exit_code(self._status)
        attempts = None if error else self._next(code)
        self._over(attempts, mounted, pid=0, start_time=0, exit_code=code, error=error, oom_killed=oom_killed,
                   health=health, finished=time.time())

    def _next(self, code: int) -> restart.Attempts | None:
        """What the restart policy says."""
        return restart.again(policy(self.launch), self._attempts, ran=time.monotonic() - self.began, code=code,
                             stopped=self.state.stopped)

    def _over(self, attempts: restart.Attempts | None, mounted: int | None, **changes: object) -> None:
        """This run is over: record it, tell of it; then the next one, or the end. As long as the launch document is
        there (with --rm, until the container is removed), others know that something is left to do."""
        gone = self.network.release() if attempts is None else ()
        keep = () if attempts is None else (NETWORKS,)
        remains.sweep(self.launch.run_path, keep=(EXECS, LOCK, SOCKET, FILE, *keep))
        count = self.state.restarts if attempts is None else attempts.count
        self._record(status=Status.EXITED if attempts is None else Status.RESTARTING, restarts=count, **changes)
        if attempts is None and not self._removes:
            (self.launch.run_path / FILE).unlink(missing_ok=True)
        self._tell_all.died(self.state)
        networking.tell(self.launch, gone)
        self._waits.tell(self.state.exit_code, removed=False)
        self._streams.finish()
        if attempts is None:
            self._leave(mounted)
            return
        if mounted is not None:
            os.close(mounted)  # nothing may use the directories of the overlay when they are mounted again
        self._attempts = attempts
        self.loop.after(attempts.delay, self._again)

    def _again(self) -> None:
        """Start it once more, if its restart policy still wants that: `update` may have changed it meanwhile."""
        if self._ended:
            return
        if not restart.wanted(policy(self.launch), self._attempts.count - 1, self.state.exit_code):
            self._stay_ended()
            return
        self.birth, self._down = Birth(self.launch, self._runtime, namespace=self.network.namespace), False
        try:
            for name in (ROOTFS, EXECS):
                os.makedirs(self.launch.run_path / name, 0o700, exist_ok=True)
            renewing.renew(self.launch.data_path)
            self._bring_up((), (), first=False)
        except (PydockerError, Fault, OSError) as error:
            self._down = True
            code = error.exit_code if isinstance(error, StartFailed) else 128
            self._over(None, None, exit_code=code, error=str(error), finished=time.time())
        else:
            self._runs()

    def _stay_down(self) -> None:
        self._record(stopped=True)
        if self._down and not self._ended:
            self._stay_ended()

    def _stay_ended(self) -> None:
        networking.tell(self.launch, self.network.release())
        self._record(status=Status.EXITED)
        self._waits.tell(self.state.exit_code, removed=False)
        self._leave(None)

    def _leave(self, mounted: int | None) -> None:
        self._ended = True
        self._log.close()
        if self._removes:
            self._waits.outlast(self._tell_all.destroy, self.state.exit_code)
        self.desk.close()
        self._waits.close()
        # The overlay is out of sight, but alive by this descriptor: its last user syncs the file system below it, for
        # up to half a second, which nobody but the next start needs to wait for.
        if mounted is not None:
            os.close(mounted)
        if self.launch.auto_remove and not self._removes:
            remains.delete_tree(self.launch.work / VOLATILE)
        self._unlock()

    def _delete(self) -> str:
        """Undo the steps; what could not be undone is recorded, since nobody is there to be told."""
        try:
            self._undo.close()
        except (PydockerError, Fault, OSError) as error:
            return str(error)
        return ""

    def _unlock(self) -> None:
        """Give the lock up: it may be started again.

        The directory goes, too, unless the exit codes of exec sessions are in it, for which somebody may still ask, or
        a state that the disk did not take.
        """
        if self.file.close() or os.path.exists(self.launch.run_path / EXECS):
            remains.sweep(self.launch.run_path, keep=(EXECS, LOCK, STATE))
        else:
            remains.give_up(self.launch.run_path, LOCK)
        os.close(self._lock)
