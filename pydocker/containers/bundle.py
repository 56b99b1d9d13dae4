"""A container's record as an OCI spec: a list of small changes, each about one thing, applied to an empty Spec in
order.

All are pure. What only the mounted root file system can tell (the user's numbers, HOME) is added by the monitor.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from pydocker.containers import blockio, etcfiles, inits, mounts, seccomp, security, sharing
from pydocker.containers.hostdevices import NOTHING, Found
from pydocker.model.container import HostConfig, Record
from pydocker.model.mount import of_record
from pydocker.monitor import renewing
from pydocker.monitor.launch import SHARED_MEMORY
from runtime.linux.capabilities import NAMES
from runtime.spec import (
    OCI_VERSION,
    Linux,
    LinuxCapabilities,
    LinuxCPU,
    LinuxMemory,
    LinuxPids,
    LinuxResources,
    Mount,
    POSIXRlimit,
    Process,
    Root,
    Spec,
)
from runtime.spec.defaults import (
    DEFAULT_PATH,
    MASKED_PATHS,
    READONLY_PATHS,
    default_mounts,
)

PERIOD = 100_000  # microseconds; the kernel's default, and what --cpus counts in
SHM = 64 << 20


def spec(record: Record, data: Path, rootfs: Path, devices: Found = NOTHING, every: tuple[str, ...] = NAMES,
         init: str = "", linked: tuple[str, ...] = ()) -> Spec:
    """The spec of `record`. `data` is where its /etc files lie; `devices` what was found of the host's; `every` the
    capabilities that the engine has, for --privileged; `init` the host's program for --init; `linked` what --link
    adds to the environment."""
    made = Spec(oci_version=OCI_VERSION, linux=Linux(), process=Process(cwd="/"), root=Root(path=str(rootfs)))
    changes: tuple[Callable[[Spec], Spec], ...] = (
        lambda it: with_process(it, record, linked),
        lambda it: with_capabilities(it, record.host, every),
        lambda it: with_profiles(it, record.host),
        lambda it: with_limits(it, record.host),
        lambda it: with_names(it, record),
        lambda it: with_namespaces(it, record.host),
        lambda it: with_mounts(it, record, data, str(rootfs.parent / SHARED_MEMORY)),
        lambda it: with_init(it, init),
        lambda it: with_paths(it, record.host),
        lambda it: with_resources(it, record, devices),
        lambda it: with_devices(it, devices),
        lambda it: with_sysctls(it, record.host),
    )
    for change in changes:
        made = change(made)
    return made


def environment(record: Record, linked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Docker's: PATH, HOSTNAME, TERM on a terminal, what linked containers are, then the configured ones; an entry
    without `=` removes its name."""
    first = (DEFAULT_PATH, f"HOSTNAME={record.config.hostname}", *(["TERM=xterm"] if record.config.tty else []),
             *linked)
    values: dict[str, str] = {}
    for entry in (*first, *record.config.env):
        name, equals, value = entry.partition("=")
        values.pop(name, None) if not equals else values.update({name: value})
    return tuple(f"{name}={value}" for name, value in values.items())


def with_process(it: Spec, record: Record, linked: tuple[str, ...] = ()) -> Spec:
    """What runs, where, and with which environment."""
    assert it.process is not None
    config, host = record.config, record.host
    return replace(it, process=replace(
        it.process, args=record.argv, cwd=config.working_dir or "/", env=environment(record, linked),
        terminal=config.tty,
        no_new_privileges=security.parse(host.security_opt or ()).no_new_privileges, oom_score_adj=host.oom_score_adj))


def with_capabilities(it: Spec, host: HostConfig, every: tuple[str, ...]) -> Spec:
    """Bounding, effective, permitted; never inheritable or ambient ones (CVE-2022-24769)."""
    assert it.process is not None
    names = every if host.privileged else security.capabilities(host.cap_add or (), host.cap_drop or (), every)
    return replace(it, process=replace(
        it.process, capabilities=LinuxCapabilities(bounding=names, effective=names, permitted=names)))


def with_profiles(it: Spec, host: HostConfig) -> Spec:
    """The filter of system calls, and AppArmor's profile where one was asked for."""
    assert it.process is not None and it.process.capabilities is not None and it.linux is not None
    options = security.parse(host.security_opt or ())
    chosen = seccomp.chosen(options.seccomp, it.process.capabilities.bounding, privileged=host.privileged)
    apparmor = "" if options.apparmor == "unconfined" else options.apparmor
    return replace(it, linux=replace(it.linux, seccomp=chosen), process=replace(it.process, apparmor_profile=apparmor))


def with_limits(it: Spec, host: HostConfig) -> Spec:
    """--ulimit: resource limits of the process; the others are the engine's own."""
    assert it.process is not None
    limits = tuple(POSIXRlimit(type=f"RLIMIT_{one.name.upper()}", soft=_unlimited(one.soft), hard=_unlimited(one.hard))
                   for one in host.ulimits or ())
    return replace(it, process=replace(it.process, rlimits=limits))


def _unlimited(value: int) -> int:
    return 2**64 - 1 if value == -1 else value


def with_names(it: Spec, record: Record) -> Spec:
    """The names that uname(2) tells."""
    names = ("", "") if record.host.uts_mode == "host" else (record.config.hostname, record.config.domainname)
    return replace(it, hostname=names[0], domainname=names[1], annotations=record.host.annotations or {})


def with_namespaces(it: Spec, host: HostConfig) -> Spec:
    """Its own of every kind but those that it shares with the host."""
    assert it.linux is not None
    return replace(it, linux=replace(it.linux, namespaces=sharing.own(host)))


def with_mounts(it: Spec, record: Record, data: Path, shared_memory: str) -> Spec:
    """The usual file systems, what was asked for, and the three files of /etc; those further down come later.

    --read-only and --privileged change who may write.
    """
    assert it.root is not None and it.linux is not None
    host, asked = record.host, of_record(record)
    taken = {point.destination for point in asked}
    usual = tuple(with_ipc(default_mounts(shm_size=host.shm_size or SHM), host.ipc_mode, shared_memory))
    if host.privileged or security.parse(host.security_opt or ()).writable_cgroups:
        kinds = ("sysfs", "cgroup") if host.privileged else ("cgroup",)
        usual = tuple(_writable(mount, kinds) for mount in usual)
    files_at = etcfiles.directory(record, data)
    options = ("rbind", "rprivate", *(["ro"] if host.readonly_rootfs else []))
    files = tuple(Mount(destination=f"/etc/{name}", type="bind", source=str(files_at / name), options=options)
                  for name in renewing.NAMES)
    wanted = sorted((*map(mounts.of_spec, asked), *(file for file in files if file.destination not in taken)),
                    key=lambda mount: mount.destination.count("/"))
    return replace(it, mounts=(*(mount for mount in usual if mount.destination not in taken), *wanted),
                   root=replace(it.root, readonly=host.readonly_rootfs),
                   linux=replace(it.linux, rootfs_propagation=mounts.root_propagation(asked)))


def bound(source: str, destination: str) -> Mount:
    return Mount(destination=destination, type="bind", source=source, options=("rbind", "rprivate"))


def with_ipc(usual: tuple[Mount, ...], mode: str, shared_memory: str) -> Iterator[Mount]:
    """POSIX shared memory is a file system, and goes with the IPC namespace.

    (So are message queues, but theirs shows those of the namespace that it is mounted in.)
    """
    for mount in usual:
        if mount.destination == "/dev/shm" and mode == "none":  # noqa: S108 (the container's own)
            continue
        if mount.destination == "/dev/shm" and mode == "host":  # noqa: S108
            yield bound(mount.destination, mount.destination)
        elif mount.destination == "/dev/shm" and mode.startswith(sharing.OTHER):  # noqa: S108
            yield bound(shared_memory, mount.destination)
        else:
            yield mount


def with_init(it: Spec, init: str) -> Spec:
    """--init: its program is started by another one."""
    assert it.process is not None
    if not init:
        return it
    return replace(it, mounts=(*it.mounts, inits.mount(init)),
                   process=replace(it.process, args=inits.argv(it.process.args)))


def _writable(mount: Mount, kinds: tuple[str, ...]) -> Mount:
    if mount.type not in kinds:
        return mount
    return replace(mount, options=tuple("rw" if option == "ro" else option for option in mount.options))


def with_paths(it: Spec, host: HostConfig) -> Spec:
    """What of /proc and /sys is hidden or read-only."""
    assert it.linux is not None
    masked = MASKED_PATHS if host.masked_paths is None else host.masked_paths  # None: a record of an earlier version
    readonly = READONLY_PATHS if host.readonly_paths is None else host.readonly_paths
    return replace(it, linux=replace(it.linux, masked_paths=masked, readonly_paths=readonly))


def cgroup(record: Record) -> str:
    """The path of its cgroup, in every hierarchy."""
    return str(PurePosixPath("/", record.host.cgroup_parent, record.id))


def with_resources(it: Spec, record: Record, devices: Found) -> Spec:
    """The cgroup and its limits. 0 is Docker's "not asked for"."""
    assert it.linux is not None
    host = record.host
    memory = LinuxMemory(limit=host.memory or None, swap=swap(host), reservation=host.memory_reservation or None,
                         swappiness=host.memory_swappiness if host.memory_swappiness not in (None, -1) else None,
                         disable_oom_killer=host.oom_kill_disable or None)
    cpu = LinuxCPU(shares=host.cpu_shares or None, cpus=host.cpuset_cpus, mems=host.cpuset_mems,
                   quota=host.nano_cpus * PERIOD // 10**9 or host.cpu_quota or None,
                   period=PERIOD if host.nano_cpus else host.cpu_period or None,
                   realtime_period=host.cpu_realtime_period or None, realtime_runtime=host.cpu_realtime_runtime or None)
    resources = LinuxResources(
        memory=memory if memory != LinuxMemory() else None, cpu=cpu if cpu != LinuxCPU() else None,
        pids=LinuxPids(limit=host.pids_limit) if host.pids_limit else None,
        block_io=blockio.limits(host, devices.numbers), devices=devices.rules)
    return replace(it, linux=replace(it.linux, cgroups_path=cgroup(record), resources=resources))


def swap(host: HostConfig) -> int | None:
    """Memory and swap together; without a word about it, twice the memory."""
    if host.memory > 0 and host.memory_swap == 0:
        return 2 * host.memory
    return host.memory_swap or None


def with_devices(it: Spec, devices: Found) -> Spec:
    """Nodes besides the standard ones, which the runtime adds."""
    assert it.linux is not None
    return replace(it, linux=replace(it.linux, devices=devices.nodes))


def with_sysctls(it: Spec, host: HostConfig) -> Spec:
    """Kernel parameters of its own namespaces (checked when it was created)."""
    assert it.linux is not None
    return replace(it, linux=replace(it.linux, sysctl=host.sysctls or {}))
