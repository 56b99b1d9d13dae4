"""`create`: from a bundle to a process that is ready to become the program.

    read and check config.json, decide the plan          nothing is touched
    take the id, write state.json ("creating")           from here on `delete --force` finds what there is to clean
    apply the outer steps                                the process exists, and applies the inner ones
    hear "ready", write state.json with the pid          now `start`, `kill` and `exec` can find it
    say "go", leave                                      the process is adopted by the nearest subreaper

If anything fails, what was done is undone in reverse order, and the error says which step it was.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import msgspec

from runtime import log
from runtime.checks import check
from runtime.errors import Fault, InvalidSpec, StepFailed
from runtime.linux.descriptors import read
from runtime.linux.idmaps import maps_at
from runtime.linux.namespaces import KINDS
from runtime.machine import look
from runtime.mounting import mapped
from runtime.outside import check_pid_file, console_for, go, opened, outcome, ready, stage, write_pid_file
from runtime.plan import Container, Plan, plan
from runtime.process.entrance import told
from runtime.spec import OCI_VERSION, Hooks, LinuxIDMapping, Spec, State, Status, decode
from runtime.spec.resources import LinuxResources
from runtime.state import Place, Record, start_time
from runtime.step import apply

# Where containers go whose specification names no cgroup; the scope is called as runc calls it.
CGROUP = {False: "/pydocker/{}", True: "system.slice:runc:{}"}


class Wanted(msgspec.Struct, frozen=True):
    """What the command line of `create` and `run` says. Paths are absolute."""

    id: str
    root: str
    bundle: str
    pid_file: str = ""
    console_socket: str = ""
    preserved: int = 0
    listening: int = 0
    keyring: bool = True
    trace: str = ""
    pivot: bool = True
    systemd: bool = False
    notify: str = ""  # the socket of whoever wants to hear that the program is ready


def bundle_spec(bundle: str) -> Spec:
    """The bundle's config.json. Raises InvalidSpec."""
    try:
        return decode(read(os.path.join(bundle, "config.json"), 64 << 20))
    except FileNotFoundError as error:
        raise InvalidSpec(f"JSON specification file config.json not found: {bundle}/config.json: "
                          "no such file or directory") from error


def placed(spec: Spec, wanted: Wanted, place: Place) -> Container:
    """Names and absolute paths."""
    assert spec.root is not None and spec.linux is not None
    # One realpath, of the caller's own path: the root itself may lie behind a link; what is inside is never joined.
    rootfs = os.path.realpath(os.path.join(wanted.bundle, spec.root.path))
    return Container(id=wanted.id, rootfs=rootfs, bundle=wanted.bundle, fifo=place.fifo,
                     answer=place.answer, filters=place.filters, systemd=wanted.systemd,
                     cgroup_path=spec.linux.cgroups_path or CGROUP[wanted.systemd].format(wanted.id),
                     keyring=wanted.keyring, preserved=wanted.preserved, listening=wanted.listening, pivot=wanted.pivot)


def with_joined_maps(spec: Spec) -> Spec:
    """A user namespace that is joined has its maps already, whatever config.json says (podman writes a dummy)."""
    path = next((one.path for one in spec.linux.namespaces if one.type == "user"), "") if spec.linux else ""
    found = maps_at(path) if path else None
    if found is None or spec.linux is None:
        return spec
    uids, gids = (tuple(LinuxIDMapping(container_id=inside, host_id=outside, size=size)
                        for inside, outside, size in map) for map in found)
    linux = msgspec.structs.replace(spec.linux, uid_mappings=uids, gid_mappings=gids)
    return msgspec.structs.replace(spec, linux=linux)


def decided(wanted: Wanted) -> tuple[Spec, Container, Plan]:
    """Everything up to the point where something would be touched. Raises InvalidSpec, InvalidArgument."""
    place = Place(wanted.root, wanted.id)
    spec = with_joined_maps(bundle_spec(wanted.bundle))
    machine = look(mapped=mapped(spec))
    check(spec, machine)
    container = placed(spec, wanted, place)
    decision = plan(with_socket(spec, wanted, place), container, machine)
    for warning in decision.warnings:
        log.warning(warning)
    return spec, container, decision


def rehearse() -> None:
    """Decide on some plan: what is learnt at a first use (types by msgspec, code by Python) is there for all forks."""
    from runtime.spec.starter import starter

    spec, machine = decode(msgspec.json.encode(starter(OCI_VERSION))), look()
    with suppress(Fault):  # a host on which there can be no container will say so when there is to be one
        check(spec, machine)
        plan(spec, Container(id="c", rootfs="/c", bundle="/b", fifo="/r/c/fifo", cgroup_path="/c"), machine)


def create(wanted: Wanted, console: int = -1) -> Record:
    """Make the container. `console` is a connected socket for the terminal's master, if no console socket is named.

    Raises Fault; then nothing is left.
    """
    if wanted.systemd:
        need_systemd()
    check_pid_file(wanted.pid_file)
    trace = opened(wanted.trace)
    with told(trace, "Decide", "read config.json, check it, decide on the plan", "runtime-spec config.md"):
        spec, container, decision = decided(wanted)
    assert spec.process is not None and spec.linux is not None
    if not os.path.isdir(container.rootfs):
        there = os.path.exists(container.rootfs)
        raise StepFailed(f"invalid rootfs: stat {container.rootfs}: "
                         f"{'not a directory' if there else 'no such file or directory'}")
    if log.debugging():
        for step in decision.steps:
            log.debug(f"plan: {type(step).__name__}: {step.describe()}")
    console = console_for(spec.process, wanted.console_socket, console)
    place = Place(wanted.root, wanted.id)
    place.make()
    with ExitStack() as undo:
        ended = after_end(spec, wanted)
        undo.callback(ended)
        undo.callback(place.remove)
        record = Record(id=wanted.id, bundle=wanted.bundle, rootfs=container.rootfs, created=now(),
                        cgroup_path=container.cgroup_path, systemd=wanted.systemd,
                        annotations=spec.annotations, process=spec.process,
                        keyring=f"_ses.{wanted.id}" if wanted.keyring else "", hooks=later(spec.hooks), making=True,
                        seccomp=spec.linux.seccomp, personality=spec.linux.personality)
        place.write(record)
        if wanted.notify:
            os.mkdir(place.notify, 0o755)
        os.mkfifo(place.fifo, 0o600)
        if spec.hooks and spec.hooks.start_container:
            os.mkfifo(place.answer, 0o600)
        at = stage(decision, console, wanted.preserved, trace)
        at.lost = lambda: outcome(container.cgroup_path, systemd=wanted.systemd)
        at.remember = lambda: place.write(alive(record, spec, at.pid))
        undo.callback(at.close)
        undo.enter_context(apply(decision.outside, at, trace))
        ready(at)
        record = msgspec.structs.replace(alive(record, spec, at.pid), making=False, freezer=decision.freezer,
                                         resources=limits(spec))
        place.write(record)
        log.debug(f"created {wanted.id}: process {at.pid}")
        write_pid_file(wanted.pid_file, at.pid)
        go(at)
        undo.pop_all()
    return record


def with_socket(spec: Spec, wanted: Wanted, place: Place) -> Spec:
    """With a place to say "ready" to, where somebody listens."""
    if not wanted.notify:
        return spec
    from runtime.notify import mounted

    return mounted(spec, place)


def alive(record: Record, spec: Spec, pid: int) -> Record:
    """The record of a container whose process exists."""
    return msgspec.structs.replace(record, pid=pid, start_time=start_time(pid) or 0, namespaces=namespaces(spec, pid))


def need_systemd() -> None:
    from runtime.cgroups.busctl import running

    if not running():
        raise StepFailed("systemd not running on this host, cannot use systemd cgroups manager")


def limits(spec: Spec) -> LinuxResources | None:
    """What `update` will change: all but the devices."""
    assert spec.linux is not None
    return spec.linux.resources and msgspec.structs.replace(spec.linux.resources, devices=())


def later(hooks: Hooks | None) -> Hooks | None:
    """Those that `start` and `delete` have to know of."""
    return hooks and Hooks(poststart=hooks.poststart, poststop=hooks.poststop)


def after_end(spec: Spec, wanted: Wanted) -> Callable[[], None]:
    """What is to be called when the container could not be made: the poststop hooks (runtime.md, "Lifecycle")."""
    if not spec.hooks or not spec.hooks.poststop:
        return lambda: None
    from runtime import hooks

    state = State(oci_version=OCI_VERSION, id=wanted.id, pid=0, status=Status.STOPPED, bundle=wanted.bundle,
                  annotations=spec.annotations)
    return lambda: hooks.after_end(spec.hooks, state)


def namespaces(spec: Spec, pid: int) -> dict[str, str]:
    """Where the container's namespaces can be found, by kind."""
    assert spec.linux is not None
    return {one.type.value: one.path or f"/proc/{pid}/ns/{KINDS[one.type.value][1]}" for one in spec.linux.namespaces}


def now() -> str:
    """RFC 3339, UTC, nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
