"""The plan: which steps make the container of a config.json, and why in this order. Pure: nothing is touched here.

`plan` has two halves. The *outside* half is done by the process that was called, in the host's namespaces; the
*inside* half by the process that becomes the container, from the second fork to execve:

    outside   make the cgroup, set its limits          before there is anything to limit
              fork into new namespaces                 the process is there, and has nothing yet
    inside    enter the cgroup                         from now on it is counted
              limits that need root's privileges, session, network, propagation of mounts
              the root file system, and all mounts below it, in the order of config.json
              devices, terminal, read-only and masked paths
              pivot_root                               now the host's files are gone
              names, working directory
              user, capabilities                       now the privileges are gone
              find the program, wait for `start`, execve

What has to come before what is said by each step's `why`. If a step seems to need an `if`, it is decided here. A few
inner steps are beyond a root that is not the host's: those are done by the new process before it leaves the host's
namespaces (`leaving`), or from outside.

`plan` is the whole order; what stands at one place of it is decided next door: `entering` (namespaces), `mounting` (the
mounts of config.json), `furnishing` (devices, terminal, the change of the root), `confining` (what the program may do),
`hooks`, and, for few containers, `leaving`. `joining` is the shorter plan of `exec`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from runtime import cgroups
from runtime.confining import become, confine, doubts, key_labels, limits, oom_score, priorities, seccomp, umask
from runtime.entering import enter, network, user_namespace
from runtime.errors import InvalidSpec
from runtime.furnishing import change_root, devices, propagation, terminal
from runtime.linux.idmaps import Map
from runtime.machine import Machine
from runtime.mounting import READ_ONLY, all_mounts, rows
from runtime.process.entrance import EnterCgroup, MoveIntoCgroup
from runtime.process.limits import SetUmask
from runtime.process.names import Domainname, Hostname, SessionKeyring, Sysctl
from runtime.process.program import CloseOnExecute, Execute, OpenFifo, WaitForStart
from runtime.process.session import NewSession
from runtime.rootfs.cgroupfs import owner
from runtime.rootfs.masks import MaskPath, ReadonlyPath
from runtime.rootfs.mounts import BindMount
from runtime.rootfs.options import PROPAGATION
from runtime.rootfs.root import BindRoot, MakeDirectory, Propagation, RootPropagation, SetAttributes
from runtime.spec import OCI_VERSION, Linux, NamespaceType, Spec, State, Status
from runtime.spec.resources import LinuxResources
from runtime.stage import Inside, Placed
from runtime.step import Step


class Plan(msgspec.Struct, frozen=True):
    """All steps of a container: `outside` on the stage Outside, the others on the stage Inside, where `leaving` are
    done by the new process as long as it is in the host's namespaces.

    `later` are the hooks of `start` and `delete`, on the container's state.
    """

    outside: tuple[Step[Any], ...]
    inside: tuple[Step[Inside], ...]
    freezer: str = ""  # the file that says whether the container is paused
    warnings: tuple[str, ...] = ()  # what was asked for and cannot be had, and nobody misses
    later: tuple[Step[Any], ...] = ()
    leaving: tuple[Step[Inside], ...] = ()

    @property
    def steps(self) -> tuple[Step[Any], ...]:
        return (*self.outside, *self.leaving, *self.inside, *self.later)


class Container(msgspec.Struct, frozen=True):
    """What a plan needs beside the specification: names and absolute paths, and what the command line said."""

    id: str
    rootfs: str
    bundle: str
    fifo: str
    cgroup_path: str
    answer: str = ""
    filters: str = ""  # where compiled seccomp filters are kept
    keyring: bool = True
    preserved: int = 0
    pivot: bool = True
    systemd: bool = False  # cgroup_path names a scope of systemd's
    listening: int = 0  # of those, the sockets that systemd handed to us

    @property
    def shelf(self) -> str:
        """An empty directory of all containers; @ is in no container's id."""
        return f"{self.fifo.rsplit('/', 2)[0]}/@shelf"


def plan(spec: Spec, container: Container, machine: Machine) -> Plan:
    """The plan that makes a container. The specification was checked (`checks.check`). Raises InvalidSpec."""
    assert spec.process is not None and spec.linux is not None
    cgroup = cgroups.open(container.cgroup_path, machine.cgroups, systemd=container.systemd)
    hooks = hook_steps(spec, container)
    filtering = seccomp(spec.linux.seccomp, spec.process, machine, container.filters, State(
        oci_version=OCI_VERSION, id=container.id, pid=0, status=Status.CREATING, bundle=container.bundle,
        rootfs=container.rootfs, annotations=spec.annotations))
    inside = (
        *limits(spec.process, "$.process"),
        *key_labels(spec.process, container.keyring),
        *([SessionKeyring(f"_ses.{container.id}")] if container.keyring else []),
        NewSession(),
        *network(spec.linux),
        *(Sysctl(key, value, member=f"$.linux.sysctl[{key!r}]") for key, value in spec.linux.sysctl.items()),
        *root_filesystem(spec, container, cgroup, machine, hooks.mounted),
        *([Hostname(spec.hostname)] if spec.hostname else []),
        *([Domainname(spec.domainname)] if spec.domainname else []),
        *confine(spec.process, spec.linux.personality, machine),
        *become(spec.process, machine, held=filtering.held),
        SetUmask(umask(spec.process)),
        CloseOnExecute(container.preserved),
        *filtering.ready,
        WaitForStart(),
        *hooks.started,
        Execute(spec.process.args, (*spec.process.env, *sockets(container.listening)), container.preserved),
    )
    there = possible(inside, spec.linux, container.shelf)
    priority = tuple(priorities(spec.process, "$.process"))
    once = at_once(spec.linux, there)
    # Not if systemd does it, or if it has to be there before something is set from outside.
    itself = once and not cgroup.scope and not priority
    outside: tuple[Step[Any], ...] = (
        *filtering.before,
        *cgroup.before(spec.linux.resources),
        *user_namespace(spec.linux),
        enter(spec.linux, cgroup.second.directory if itself and cgroup.second else "", once=once),
        *there.outside,
        *oom_score(spec.process, "$.process"),
        *cgroup.around(container.id, spec.linux.resources, spec.annotations),
        *cgroup.given_to(owner(spec)),
        *([] if itself else [MoveIntoCgroup(cgroup)]),
        *priority,
        *hooks.outside,
        *filtering.outside,
    )
    leaving = (*([entered(cgroup)] if itself else []), OpenFifo(container.fifo), *hooks.leaving, *there.leaving)
    return Plan(outside, there.inside, cgroup.freezer_file,
                (*cgroup.ignored(spec.linux.resources or LinuxResources()), *doubts(spec.process, machine)),
                hooks.later, leaving)


def at_once(linux: Linux, there: Plan) -> bool:
    """Whether one fork is enough (`process.entrance`). In a new time namespace, too, is only the next child, after its
    clocks are set; and who owns an idmapped mount's ids is a child, whose number the host's /proc has to know."""
    return not there.leaving and not any(
        one.type in (NamespaceType.USER, NamespaceType.TIME) or (one.type is NamespaceType.PID and one.path)
        for one in linux.namespaces)


def entered(cgroup: cgroups.Cgroup) -> EnterCgroup:
    """The step by which the process enters its cgroup itself."""
    return EnterCgroup(tuple(branch.directory for branch in cgroup.first),
                       cgroup.second.directory if cgroup.second else "")


def root_filesystem(spec: Spec, container: Container, cgroup: cgroups.Cgroup, machine: Machine,
                    hooks: tuple[Step[Inside], ...]) -> Iterator[Step[Inside]]:
    """From the host's tree of mounts to the container's. Hooks may add mounts, while all can still be written."""
    assert spec.linux is not None and spec.root is not None and spec.process is not None
    asked = spec.linux.rootfs_propagation
    if asked and asked not in PROPAGATION:
        raise InvalidSpec(f"config.json: rootfsPropagation {asked!r} is not supported - at `$.linux.rootfsPropagation`")
    yield Propagation(propagation(spec.linux))
    yield BindRoot(container.rootfs, "slave" if asked.endswith("slave") else "private")
    mounting = tuple(all_mounts(spec, container.bundle, cgroup, machine.cgroups))
    yield from (step for step in mounting if not isinstance(step, SetAttributes))
    yield from devices(spec)
    yield from hooks
    yield from terminal(spec.process, mapped=spec.linux.has(NamespaceType.USER))
    yield MakeDirectory(spec.process.cwd, member="$.process.cwd")
    # Read-only only now: mount points and devices had to be made in them.
    yield from (step for step in mounting if isinstance(step, SetAttributes))
    yield from (ReadonlyPath(path) for path in spec.linux.readonly_paths)
    yield from (MaskPath(path) for path in spec.linux.masked_paths)
    if spec.root.readonly:
        yield SetAttributes("/", READ_ONLY)
    yield from change_root(spec.linux, pivot=container.pivot)
    if asked:
        yield RootPropagation(asked)


def sockets(count: int) -> tuple[str, ...]:
    """What tells the program of sockets that it inherits: sd_listen_fds(3). Its number is 1 in its pid namespace."""
    return (f"LISTEN_FDS={count}", "LISTEN_PID=1") if count else ()


def hook_steps(spec: Spec, container: Container) -> Placed:
    """The steps of the hooks, by place. Their module is imported where there are some: most containers have none."""
    if not spec.hooks:
        return Placed()
    from runtime.hooks import placed
    from runtime.hooks.steps import Subject

    about = Subject(oci_version=OCI_VERSION, id=container.id, status=Status.CREATING, bundle=container.bundle,
                    annotations=spec.annotations)
    return placed(spec.hooks, container.answer, about)


def possible(inside: tuple[Step[Inside], ...], linux: Linux, shelf: str) -> Plan:
    """The inner steps, each where it can be done: some need the host's privileges."""
    return divided(inside, mapped=linux.has(NamespaceType.USER), uids=rows(linux.uid_mappings),
                   gids=rows(linux.gid_mappings), first=propagation(linux), shelf=shelf,
                   copied=linux.has(NamespaceType.USER) and linux.makes(NamespaceType.MOUNT))


def divided(inside: tuple[Step[Inside], ...], *, mapped: bool, uids: Map = (), gids: Map = (),
            first: str = "", shelf: str = "", copied: bool = False) -> Plan:
    """Most containers have no user namespace, idmapped mounts or shared ones: root inside may do everything."""
    idmapped = any(isinstance(step, BindMount) and step.idmap for step in inside)
    if not mapped and not idmapped and "shared" not in first:
        return Plan((), inside)
    from runtime.leaving import divide

    found = divide(inside, first, mapped=mapped, uids=uids, gids=gids, shelf=shelf, copied=copied)
    return Plan(tuple(found.outside), tuple(found.inside), leaving=tuple(found.leaving))
