"""The start of a container that nobody watches, in a process that ends afterwards: so its monitor stays small.

    spawner ── fork ──> monitor ── fork ──> midwife: Monitor.start; hand over; end
                           sleeps until anything of its container's stirs
                           takes over, and serves

Python counts references in the objects themselves, so whatever a forked process does, it copies pages: 4 MB for a
start. A monitor that has only slept since its fork has a tenth of that, and most containers' monitors have nothing to
do for hours.

What is handed over lies, as a message with descriptors, in a socket that the monitor has not read yet (unix(7),
SCM_RIGHTS), which keeps the descriptors open. They are watched by an epoll instance that both have (epoll(7): it
watches open file descriptions, whoever holds them). So the kernel knows all, and the monitor needs to know nothing.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import State
from pydocker.monitor import control, guard
from pydocker.monitor.happenings import Bell
from pydocker.monitor.launch import FILE, Launch
from pydocker.monitor.loop import READ
from pydocker.monitor.monitor import Monitor
from pydocker.monitor.networking import LEGACY, NAMES, endpoints
from pydocker.storage import documents
from runtime.linux import namespaces, prctl

_SLEEP, _WAKE, _FAILED, _NOT_MINE = range(4)  # how a midwife ends


class Born(msgspec.Struct, frozen=True, array_like=True):
    """A container that runs. Descriptors: the mount namespace, the desk, the outputs, and those that are named here by
    their places among them (-1: there is none).
    """

    state: State
    recorded: bool  # the disk has taken `state`
    began: float  # time.monotonic()
    outputs: tuple[int, ...]  # the numbers of their streams
    stdin: int
    bell: Bell
    rules: int  # told of changes to firewall rules
    process: int  # a pidfd, which only wakes


def attend(run: str, server: socket.socket, lock: int, kept: Mapping[str, int]) -> bool:
    """Be the monitor of a container that is started with nobody attached. False: it is to start it itself."""
    monitor = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    alarm = select.epoll()
    try:
        pid = os.fork()
    except OSError:  # the limit of processes: there may be just one more
        for one in (ours, theirs, alarm):
            one.close()
        return False
    if pid == 0:
        code = _FAILED
        try:
            prctl.set_pdeathsig(signal.SIGKILL)  # as the runtime's process does with its parent, and for its reasons
            if os.getppid() == monitor:
                code = _deliver(run, server, lock, kept, theirs, alarm)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    theirs.close()
    end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if end == _SLEEP:
        server.close()
        alarm.poll()
    alarm.close()
    if end in (_SLEEP, _WAKE):
        _take_over(documents.read(Path(run) / FILE, Launch), server, lock, kept, ours)
    ours.close()
    return end != _NOT_MINE


def _deliver(run: str, server: socket.socket, lock: int, kept: Mapping[str, int], to: socket.socket,
             alarm: select.epoll) -> int:
    try:
        launch = documents.read(Path(run) / FILE, Launch)
    except (PydockerError, OSError):
        return _NOT_MINE  # whoever does it will meet that, too, and say so
    if not _suits(launch):
        return _NOT_MINE
    prctl.set_name("pydocker-birth")
    monitor = Monitor(launch, server, lock, kept, forks=False)
    try:
        monitor.start((), ())
    except PydockerError as error:
        monitor.failed(error)
        return _FAILED
    _hand_over(monitor, kept, to, alarm)
    return _SLEEP if monitor.file.written else _WAKE


def _suits(launch: Launch) -> bool:
    """Whether nothing of the start has to last in the process that did it: probes, writers of logs, published ports.
    """
    return launch.healthcheck is None and launch.log.driver in ("none", "json-file", "local") \
        and not launch.log.buffer and not any(one.published for one in endpoints(launch))


def _hand_over(monitor: Monitor, kept: Mapping[str, int], to: socket.socket, alarm: select.epoll) -> None:
    birth, bell = monitor.birth, monitor.oom.bell()
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    process = os.pidfd_open(birth.pid)
    fds = [namespace, monitor.desk.listener.detach(), *birth.outputs, process]
    for fd in fds[1:]:
        alarm.register(fd, READ)
    for name in kept.keys() & NAMES:
        alarm.register(kept[name], READ)
    if LEGACY in kept:
        alarm.register(kept[LEGACY], guard.ONE_OF_ALL)
    if monitor.network.rules >= 0:
        alarm.register(monitor.network.rules, READ)
        fds.append(monitor.network.rules)
    if bell.descriptor >= 0:
        alarm.register(bell.descriptor, bell.mask)
        fds.append(bell.descriptor)
    if birth.stdin is not None and birth.stdin not in fds:
        fds.append(birth.stdin)
    place = {fd: index for index, fd in enumerate(fds)}
    control.send(to, Born(
        monitor.state, monitor.file.written, monitor.began, tuple(birth.outputs.values()),
        -1 if birth.stdin is None else place[birth.stdin],
        bell._replace(descriptor=place.get(bell.descriptor, -1)), place.get(monitor.network.rules, -1),
        place[process]), fds)


def _take_over(launch: Launch, server: socket.socket, lock: int, kept: Mapping[str, int], by: socket.socket) -> None:
    born, fds = control.receive(by, Born)
    assert born is not None
    fds.append(-1)  # which the place -1 means
    namespaces.setns(fds[0], namespaces.CLONE_NEWNS)
    control.close((fds[0], fds[born.process]))
    monitor = Monitor(launch, server, lock, kept)
    monitor.birth.outputs = dict(zip(fds[2:], born.outputs, strict=False))
    monitor.birth.pid, monitor.birth.stdin = born.state.pid, fds[born.stdin] if born.stdin >= 0 else None
    monitor.adopt(born.state, born.began, fds[1], born.bell._replace(descriptor=fds[born.bell.descriptor]),
                  fds[born.rules], recorded=born.recorded)
    monitor.serve()
