"""The plan of `exec`: another process in a running container. Pure, as `plan` is.

The namespaces, the mounts and the limits are there: what is left of the plan is what a single process needs.
"""

from runtime import cgroups
from runtime.confining import (
    affinities,
    become,
    confine,
    doubts,
    key_labels,
    limits,
    oom_score,
    priorities,
    seccomp,
    umask,
)
from runtime.furnishing import terminal
from runtime.linux.idmaps import Map
from runtime.machine import Machine
from runtime.plan import Plan, divided
from runtime.process.entrance import MoveIntoCgroup
from runtime.process.joining import Join
from runtime.process.limits import SetUmask
from runtime.process.names import NewCgroupNamespace, SessionKeyring
from runtime.process.program import CloseOnExecute, Execute, WaitForGo
from runtime.process.session import NewSession
from runtime.rootfs.root import UseRoot
from runtime.spec import LinuxPersonality, LinuxSeccomp, Process, State


def exec_plan(process: Process, pid: int, start_time: int, kinds: tuple[str, ...], cgroup_path: str, machine: Machine,
              *, keyring: str = "", preserved: int = 0, below: tuple[str, ...] = (), namespaced: bool = False,
              uids: Map = (), profile: LinuxSeccomp | None = None, filters: str = "",
              personality: LinuxPersonality | None = None, state: State | None = None, systemd: bool = False,
              path: str = "$") -> Plan:
    """The plan that starts another process in a running container, whose init is `pid`, and state is `state`.

    `below` are cgroups below the container's; with `namespaced` the process sees them as its roots. `uids` is the
    container's user map. `profile` and `personality` are the container's: process.json has none. `filters` is where
    compiled ones are kept. `path` is the JSON path of the process: all of process.json, or a part of config.json.
    """
    cgroup = cgroups.open(cgroup_path, machine.cgroups, systemd=systemd).below(below)
    mapped = "user" in kinds
    filtering = seccomp(profile, process, machine, filters, state)
    first, last = affinities(process)
    inside = (
        UseRoot(),
        *limits(process, path),
        *key_labels(process, bool(keyring)),
        *([SessionKeyring(keyring)] if keyring else []),
        NewSession(),
        *terminal(process, console=False, mapped=mapped),
        *([NewCgroupNamespace()] if namespaced else []),
        *confine(process, personality, machine),
        *become(process, machine, held=filtering.held),
        SetUmask(umask(process)),
        CloseOnExecute(preserved),
        *filtering.ready,
        WaitForGo(),
        Execute(process.args, process.env, preserved),
    )
    there = divided(inside, mapped=mapped, uids=uids)
    outside = (*filtering.before, Join(pid, start_time, kinds), *there.outside,
               *oom_score(process, path), *first, MoveIntoCgroup(cgroup, beside=pid), *last,
               *priorities(process, path), *filtering.outside)
    return Plan(outside, there.inside, leaving=there.leaving, warnings=tuple(doubts(process, machine)))
