"""`exec`: another process in a running container.

The same two halves as `create`, with a shorter plan: enter the namespaces of init, enter its cgroup, become the user,
execute. There is no `start` to wait for.
"""

from contextlib import ExitStack

import msgspec

from runtime import log
from runtime.checks import check_process
from runtime.errors import InvalidArgument, WrongState
from runtime.joining import exec_plan
from runtime.linux.capabilities import NUMBERS
from runtime.linux.descriptors import read
from runtime.linux.idmaps import parse
from runtime.machine import look
from runtime.outside import check_pid_file, console_for, go, opened, outcome, ready, stage, write_pid_file
from runtime.spec import LinuxCapabilities, Process, Status, User, decode_process
from runtime.state import Place, Record, status
from runtime.step import apply


class Asked(msgspec.Struct, frozen=True):
    """What the command line of `exec` says; what it does not say is as the container's own process has it."""

    process_file: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    groups: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()
    terminal: bool = False
    no_new_privileges: bool = False
    pid_file: str = ""
    console_socket: str = ""
    preserved: int = 0
    trace: str = ""
    cgroup: tuple[str, ...] = ()
    cgroupns: bool = False
    apparmor: str = ""
    label: str = ""
    ignore_paused: bool = False  # it will begin when the container is resumed


def join(place: Place, asked: Asked, console: int = -1) -> int:
    """Start the process; returns its pid. Raises Fault; then nothing is left."""
    check_pid_file(asked.pid_file)
    trace = opened(asked.trace)
    record = place.record()
    now = status(place, record)
    if now is Status.PAUSED and not asked.ignore_paused:
        raise WrongState("cannot exec in a paused container (use --ignore-paused to override)")
    if now not in (Status.RUNNING, Status.CREATED, Status.PAUSED):
        raise WrongState(f"cannot exec in a {now.value} container")
    process = wanted(asked, record)
    machine = look(mapped="user" in record.namespaces)
    check_process(process, machine)
    decision = exec_plan(process, record.pid, record.start_time, tuple(record.namespaces), record.cgroup_path, machine,
                         keyring=record.keyring, preserved=asked.preserved, below=asked.cgroup,
                         namespaced=asked.cgroupns, systemd=record.systemd,
                         uids=parse(read(f"/proc/{record.pid}/uid_map")), profile=record.seccomp, filters=place.filters,
                         personality=record.personality, state=record.state(now),
                         path="$" if asked.process_file else "$.process")
    for warning in decision.warnings:
        log.warning(warning)
    at = stage(decision, console_for(process, asked.console_socket, console), asked.preserved, trace)
    at.lost = lambda: outcome(record.cgroup_path, systemd=record.systemd, alone=False)
    with ExitStack() as undo:
        undo.callback(at.close)
        undo.enter_context(apply(decision.outside, at, trace))
        ready(at)
        write_pid_file(asked.pid_file, at.pid)
        go(at)
        undo.pop_all()
    return at.pid


def wanted(asked: Asked, record: Record) -> Process:
    """The process to start: the file's, or the container's own with what the command line changes."""
    own = record.process
    if asked.process_file:
        return inheriting(decode_process(read(asked.process_file, 64 << 20), asked.process_file), own)
    check_flags(asked)
    return msgspec.structs.replace(
        own,
        args=asked.args,
        env=(*own.env, *asked.env),
        cwd=asked.cwd or own.cwd,
        terminal=asked.terminal,
        console_size=None,
        user=user(asked.user, asked.groups) if asked.user or asked.groups else own.user,
        capabilities=more(own.capabilities, asked.capabilities),
        no_new_privileges=own.no_new_privileges or asked.no_new_privileges,
        apparmor_profile=asked.apparmor or own.apparmor_profile,
        selinux_label=asked.label or own.selinux_label,
    )


def check_flags(asked: Asked) -> None:
    """What would be told with the place in a process.json that nobody wrote. Raises InvalidArgument."""
    if asked.cwd and not asked.cwd.startswith("/"):
        raise InvalidArgument(f"--cwd {asked.cwd}: Cwd must be an absolute path")
    for line in asked.env:
        if line.find("=") < 1:
            raise InvalidArgument(f"--env {line!r}: expected NAME=value")
    for name in asked.capabilities:
        if name not in NUMBERS:
            raise InvalidArgument(f"--cap {name!r}: unknown capability")


def inheriting(process: Process, own: Process) -> Process:
    """The file's process, labelled and bound to processors as the container's is where the file says nothing."""
    return msgspec.structs.replace(
        process, apparmor_profile=process.apparmor_profile or own.apparmor_profile,
        selinux_label=process.selinux_label or own.selinux_label,
        exec_cpu_affinity=process.exec_cpu_affinity or own.exec_cpu_affinity)


def user(word: str, groups: tuple[int, ...]) -> User:
    """`uid[:gid]`: numbers only, and nothing but numbers (CVE-2026-30892). Raises InvalidArgument."""
    parts = (word or "0").split(":")
    if len(parts) > 2 or not all(identity(part) for part in parts):
        raise InvalidArgument(f"user {word!r}: expected uid[:gid], numbers from 0 to 4294967294")
    return User(uid=int(parts[0]), gid=int(parts[1]) if len(parts) == 2 else 0, additional_gids=groups)


def identity(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= 2**32 - 2


def more(own: LinuxCapabilities | None, names: tuple[str, ...]) -> LinuxCapabilities | None:
    """The container's sets, and these beside."""
    if not names:
        return own
    own = own or LinuxCapabilities()
    return msgspec.structs.replace(own, bounding=(*own.bounding, *names), effective=(*own.effective, *names),
                                   permitted=(*own.permitted, *names))


