"""`start`, `state`, `kill`, `delete`, `list`: what happens to a container between `create` and its end.

Which state a container is in is asked of the kernel each time (`state.status`). Signals go by pidfd, so that none can
hit a process that got the number later.
"""

import contextlib
import os
import re
import signal

import msgspec

from runtime import cgroups, log
from runtime.errors import Damaged, InvalidArgument, NoSuchContainer, StepFailed, WrongState
from runtime.linux.descriptors import drain
from runtime.process.entrance import end
from runtime.spec import State, Status
from runtime.state import Place, Record, frozen, start_time, status


def state(place: Place) -> State:
    """The OCI state. Raises NoSuchContainer."""
    record = place.record()
    return record.state(status(place, record))


def start(place: Place) -> None:
    """Let the program begin. Raises NoSuchContainer, WrongState."""
    record = place.record()
    now = status(place, record)
    if now is Status.CREATED:
        answer = listen(place.answer)
        if wake(place.fifo):
            try:
                hear(answer)
                begun(place, record)
            except StepFailed:
                stop(record, cgroup_of(record))
                raise
            return
    raise WrongState("cannot start a container that has stopped" if now is Status.STOPPED
                     else "cannot start a container in the paused state" if now is Status.PAUSED
                     else "cannot start an already running container" if now is not Status.CREATING
                     else "cannot start a container that is being created")


def start_telling(place: Place, host: str, *, staying: bool = False) -> None:
    """`start`, and tell whoever has the socket `host` when the program is ready: see `notify.begin`."""
    if not host:
        start(place)
        return
    from runtime.notify import begin

    begin(place, lambda: start(place), host, staying=staying)


def listen(fifo: str) -> int:
    """Where init tells how the startContainer hooks went; -1 where there are none."""
    try:
        return os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def hear(answer: int) -> None:
    """Return when the startContainer hooks are done. Raises StepFailed with what init said of them."""
    if answer < 0:
        return
    os.set_blocking(answer, True)
    try:
        said = drain(answer)  # init is the only writer: its execve, or its end, is the end of file
    finally:
        os.close(answer)
    if said != b"\n":
        raise StepFailed(said.decode(errors="surrogateescape").strip() or "container process is already dead")


def begun(place: Place, record: Record) -> None:
    """The poststart hooks, whose failure ends the container (runtime.md, "Lifecycle")."""
    if record.hooks and record.hooks.poststart:
        from runtime import hooks

        hooks.after_start(record.hooks, state(place))


def stop(record: Record, cgroup: cgroups.Cgroup) -> None:
    """Kill all processes of a container; `delete` removes the rest."""
    # First of all, as it also thaws: a frozen process does not die.
    cgroup.kill()
    if record.pid:
        end(record.pid, record.start_time)


def wake(fifo: str) -> bool:
    """Write the one byte that init waits for. False if somebody else did so first, or init is gone."""
    try:
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # ENXIO: nobody reads; ENOENT: somebody started it
        return False
    try:
        os.write(descriptor, b"\n")
    finally:
        os.close(descriptor)
    try:
        os.unlink(fifo)
    except FileNotFoundError:  # of two at once, the one that unlinks is the one that started it
        return False
    return True


def kill(place: Place, word: str, *, everything: bool = False) -> None:
    """Send a signal to init, or to all processes of the container. Raises NoSuchContainer, WrongState."""
    number = signal_number(word)
    record = place.record()
    # Its own pid namespace dies with init; in one that it shares, the others would live on (runc 1.2 does the same).
    alone = number != signal.SIGKILL or own_pids(record)
    if everything or not (alone or not cgroup_of(record).processes()):
        send_to_all(record, number)
        return
    if status(place, record) is Status.STOPPED or not send(record, number):
        raise WrongState("container not running")
    if number == signal.SIGKILL and record.freezer and frozen(record.freezer):
        cgroup_of(record).thaw()  # v1 delivers nothing to a frozen process


def cgroup_of(record: Record) -> cgroups.Cgroup:
    """The container's cgroup, by what the host's hierarchies are now."""
    return cgroups.open(record.cgroup_path, systemd=record.systemd)


def own_pids(record: Record) -> bool:
    """Whether the container's init is the first process of a pid namespace."""
    return record.namespaces.get("pid", "") == f"/proc/{record.pid}/ns/pid"


def send(record: Record, number: int) -> bool:
    """Signal init; False if it is gone."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except (ProcessLookupError, ValueError, OSError):
        return False
    try:
        # First the descriptor, then the check: from now on the number cannot come to mean another process.
        if start_time(record.pid) != record.start_time:
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def send_to_all(record: Record, number: int) -> None:
    """Signal every process in the container's cgroup."""
    cgroup = cgroup_of(record)
    if number == signal.SIGKILL:
        cgroup.kill()
        return
    for pid in cgroup.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def delete(place: Place, *, force: bool = False) -> None:
    """Remove what is left of a container; one that runs only by force. Raises NoSuchContainer, WrongState."""
    try:
        record = place.record()
    except NoSuchContainer:
        if not force:
            raise
        place.remove()
        return
    except Damaged as error:
        if not force:
            raise
        place.remove()
        log.warning(f"{error}: forgotten, and processes and cgroup that it may still have are left alone")
        return
    now = status(place, record)
    # runc lets a container that was never started go without force.
    if not force and now not in (Status.STOPPED, Status.CREATED):
        raise WrongState(f"cannot delete container {place.id} that is not stopped: {now.value}")
    destroy(place, record)


def destroy(place: Place, record: Record) -> None:
    """Kill whatever is left, remove the cgroup, forget the container; the last word is the poststop hooks'."""
    cgroup = cgroup_of(record)
    stop(record, cgroup)
    cgroup.destroy()
    place.remove()
    if record.hooks and record.hooks.poststop:
        from runtime import hooks

        hooks.after_end(record.hooks, record.state(Status.STOPPED))


def every(root: str) -> list[State]:
    """The states of all containers below the root directory."""
    found = []
    for name in sorted(names(root)):
        with contextlib.suppress(NoSuchContainer, InvalidArgument, FileNotFoundError):  # deleted, or nothing of ours
            try:
                place = Place(root, name)
                found.append(msgspec.structs.replace(state(place), owner=owner(place.path)))
            except Damaged as error:
                log.warning(f"load container {name}: {error}")
    return found


def names(root: str) -> list[str]:
    """What is in the root directory: nothing, if no container was ever made there."""
    try:
        return os.listdir(root)
    except FileNotFoundError:
        return []


def owner(path: str) -> str:
    """The name of the user who made it, as runc's list shows it."""
    import pwd

    uid = os.stat(path).st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def signal_number(word: str) -> int:
    """A signal by its number or its name, with or without SIG, in any case. Raises InvalidArgument."""
    name = word.upper().removeprefix("SIG")
    realtime = re.fullmatch(r"RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?", name)
    if word.isascii() and word.isdigit():
        number = int(word)
    elif realtime:
        up, down = realtime.groups(default="0")
        number = signal.SIGRTMIN + int(up) if name.startswith("RTMIN") else signal.SIGRTMAX - int(down)
    else:
        number = getattr(signal, f"SIG{name}", -1) if name.isalnum() else -1
    if not 0 <= number <= signal.SIGRTMAX:
        raise InvalidArgument(f'unknown signal "{repr(word)[1:-1]}"')
    return int(number)
