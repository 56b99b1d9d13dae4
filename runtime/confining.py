"""What the program may do, and use by itself: user, capabilities, limits, labels, priorities, seccomp, as steps.

Pure: a part of the plan. What only few containers have is imported where it is asked for.
"""

import os
from collections.abc import Iterator
from typing import Any

from runtime.linux.capabilities import NUMBERS
from runtime.machine import Machine
from runtime.process.identity import BecomeUser, DropBounding, NoNewPrivileges, SetCapabilities
from runtime.process.limits import SetLimit, SetOomScore
from runtime.process.program import FindHome, FindProgram, WorkingDirectory
from runtime.spec import LinuxCapabilities, LinuxPersonality, LinuxSeccomp, Process, State
from runtime.stage import Inside, Outside, Placed
from runtime.step import Step


def oom_score(process: Process, path: str) -> tuple[SetOomScore, ...]:
    if process.oom_score_adj is None:
        return ()
    return (SetOomScore(process.oom_score_adj, member=f"{path}.oomScoreAdj"),)


def limits(process: Process, path: str) -> tuple[SetLimit, ...]:
    return tuple(SetLimit(limit.type, limit.soft, limit.hard, member=f"{path}.rlimits[{number}]")
                 for number, limit in enumerate(process.rlimits))


def umask(process: Process) -> int:
    return 0o022 if process.user.umask is None else process.user.umask


def capabilities(process: Process, machine: Machine) -> LinuxCapabilities:
    """The five sets that the process gets, of those that were asked for.

    As with runc, a name that an older kernel lacks is left out (callers send all that *they* know), the bounding
    set cannot gain what root lacks, and a capability becomes ambient only if it is permitted and inheritable, as
    `runc spec` writes one that is not.
    """
    asked = process.capabilities or LinuxCapabilities()
    known = {name for name, number in NUMBERS.items() if number <= machine.last}
    held = {name for name in known if machine.capabilities >> NUMBERS[name] & 1}
    keep = {*asked.permitted} & {*asked.inheritable}
    return LinuxCapabilities(
        bounding=tuple(name for name in asked.bounding if name in held),
        effective=tuple(name for name in asked.effective if name in known),
        permitted=tuple(name for name in asked.permitted if name in known),
        inheritable=tuple(name for name in asked.inheritable if name in known),
        ambient=tuple(name for name in asked.ambient if name in known & keep))


def doubts(process: Process, machine: Machine) -> Iterator[str]:
    """What is no reason to refuse, and yet to be said, as runc does."""
    asked = process.capabilities or LinuxCapabilities()
    names = {*asked.bounding, *asked.effective, *asked.inheritable, *asked.permitted, *asked.ambient}
    unknown = sorted(name for name in names if NUMBERS[name] > machine.last)
    if unknown:
        yield f"ignoring unknown or unavailable capabilities: [{' '.join(unknown)}]"


def become(process: Process, machine: Machine, held: tuple[str, ...] = ()) -> Iterator[Step[Inside]]:
    """From root to the program's user, with its capabilities, in its directory; and the program itself.

    `held` stays permitted until the seccomp filter is loaded.
    """
    asked = capabilities(process, machine)
    bounding = {NUMBERS[name] for name in asked.bounding}
    env = dict(line.split("=", 1) for line in process.env)
    if not env.get("HOME"):
        yield FindHome(process.user.uid)
    yield WorkingDirectory(os.path.normpath(process.cwd))
    yield DropBounding(asked.bounding, tuple(number for number in range(machine.last + 1) if number not in bounding))
    yield BecomeUser(process.user.uid, process.user.gid, process.user.additional_gids)
    yield SetCapabilities(asked.effective, asked.permitted, asked.inheritable, asked.ambient, held)
    if process.no_new_privileges:
        yield NoNewPrivileges()
    yield FindProgram(process.args[0], env.get("PATH", ""))


def seccomp(profile: LinuxSeccomp | None, process: Process, machine: Machine, directory: str,
            state: State | None) -> Placed:
    """The steps of a seccomp filter, by place. Their module is imported where there is one."""
    if profile is None:
        return Placed()
    from runtime.process.seccomp import filtering

    return filtering(profile, directory, state, None if process.no_new_privileges else capabilities(process, machine))


def confine(process: Process, personality: LinuxPersonality | None, machine: Machine) -> Iterator[Step[Inside]]:
    """Labels and personality: while privileged, and most containers have none of them."""
    if process.apparmor_profile or process.selinux_label:
        from runtime.process.labels import labels

        yield from labels(process, machine)
    if personality is not None:
        from runtime.process.scheduling import SetPersonality

        yield SetPersonality(personality.domain)


def priorities(process: Process, path: str) -> Iterator[Step[Outside]]:
    if process.scheduler or process.io_priority:
        from runtime.process.scheduling import priorities as steps

        yield from steps(process, path)


def key_labels(process: Process, keyring: bool) -> Iterator[Step[Inside]]:
    if keyring and process.selinux_label:
        from runtime.process.labels import KeyringLabel

        yield KeyringLabel(process.selinux_label)


def affinities(process: Process) -> tuple[tuple[Step[Any], ...], tuple[Step[Any], ...]]:
    """Before the process is in its cgroup, and after: for `exec` alone (runtime-spec, config.md)."""
    if process.exec_cpu_affinity is None:
        return (), ()
    from runtime.process.scheduling import affinity

    return affinity(process.exec_cpu_affinity.initial), affinity(process.exec_cpu_affinity.final)
