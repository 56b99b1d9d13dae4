"""A container's record as an OCI spec: a list of small changes, each about one thing, applied to an empty Spec in
order.

All are pure. What only the mounted root file system can tell (the user's numbers, HOME) is added by the monitor.
"""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from pydocker.containers import etcfiles, security
from pydocker.model.container import HostConfig, Record
from runtime.linux import capabilities
from runtime.spec import (
    OCI_VERSION,
    Linux,
    LinuxCapabilities,
    LinuxCPU,
    LinuxDevice,
    LinuxDeviceCgroup,
    LinuxMemory,
    LinuxNamespace,
    LinuxPids,
    LinuxResources,
    Mount,
    NamespaceType,
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
    default_namespaces,
)

PERIOD = 100_000  # microseconds; the kernel's default, and what --cpus counts in
SHM = 64 << 20


def spec(record: Record, data: Path, rootfs: Path, devices: tuple[LinuxDevice, ...] = ()) -> Spec:
    """The spec of `record`. `data` is where its /etc files lie; `devices` are the host's, for --privileged."""
    made = Spec(oci_version=OCI_VERSION, linux=Linux(), process=Process(cwd="/"), root=Root(path=str(rootfs)))
    changes: tuple[Callable[[Spec], Spec], ...] = (
        lambda it: with_process(it, record),
        lambda it: with_capabilities(it, record.host),
        lambda it: with_limits(it, record.host),
        lambda it: with_names(it, record),
        lambda it: with_namespaces(it, record.host),
        lambda it: with_mounts(it, record, data),
        lambda it: with_paths(it, record.host),
        lambda it: with_resources(it, record),
        lambda it: with_devices(it, record.host, devices),
        lambda it: with_sysctls(it, record.host),
    )
    for change in changes:
        made = change(made)
    return made


def environment(record: Record) -> tuple[str, ...]:
    """Docker's: PATH, HOSTNAME, TERM on a terminal, then the configured ones; an entry without `=` removes its name."""
    first = (DEFAULT_PATH, f"HOSTNAME={record.config.hostname}", *(["TERM=xterm"] if record.config.tty else []))
    values: dict[str, str] = {}
    for entry in (*first, *record.config.env):
        name, equals, value = entry.partition("=")
        values.pop(name, None) if not equals else values.update({name: value})
    return tuple(f"{name}={value}" for name, value in values.items())


def with_process(it: Spec, record: Record) -> Spec:
    """What runs, where, and with which environment."""
    assert it.process is not None
    config, host = record.config, record.host
    return replace(it, process=replace(
        it.process, args=record.argv, cwd=config.working_dir or "/", env=environment(record), terminal=config.tty,
        no_new_privileges=security.parse(host.security_opt or ()).no_new_privileges, oom_score_adj=host.oom_score_adj))


def with_capabilities(it: Spec, host: HostConfig) -> Spec:
    """Bounding, effective, permitted; never inheritable or ambient ones (CVE-2022-24769)."""
    assert it.process is not None
    names = capabilities.NAMES if host.privileged else security.capabilities(host.cap_add or (), host.cap_drop or ())
    return replace(it, process=replace(
        it.process, capabilities=LinuxCapabilities(bounding=names, effective=names, permitted=names)))


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
    return replace(it, hostname=record.config.hostname, domainname=record.config.domainname,
                   annotations=record.host.annotations or {})


def with_namespaces(it: Spec, host: HostConfig) -> Spec:
    """Its own of every kind; with --network host, the host's network."""
    assert it.linux is not None
    shared = {NamespaceType.NETWORK} if host.network_mode == "host" else set()
    own: tuple[LinuxNamespace, ...] = tuple(one for one in default_namespaces() if one.type not in shared)
    return replace(it, linux=replace(it.linux, namespaces=own))


def with_mounts(it: Spec, record: Record, data: Path) -> Spec:
    """The usual file systems, and the three files of /etc. --read-only and --privileged change who may write."""
    assert it.root is not None
    host = record.host
    usual = default_mounts(shm_size=host.shm_size or SHM)
    if host.privileged:
        usual = tuple(_writable(mount) for mount in usual)
    options = ("rbind", "rprivate", *(["ro"] if host.readonly_rootfs else []))
    files = tuple(Mount(destination=f"/etc/{name}", type="bind", source=str(data / name), options=options)
                  for name in etcfiles.NAMES)
    return replace(it, mounts=(*usual, *files), root=replace(it.root, readonly=host.readonly_rootfs))


def _writable(mount: Mount) -> Mount:
    if mount.type not in ("sysfs", "cgroup"):
        return mount
    return replace(mount, options=tuple("rw" if option == "ro" else option for option in mount.options))


def with_paths(it: Spec, host: HostConfig) -> Spec:
    """What of /proc and /sys is hidden or read-only."""
    assert it.linux is not None
    if host.privileged or security.parse(host.security_opt or ()).open_paths:
        return it
    return replace(it, linux=replace(it.linux, masked_paths=MASKED_PATHS, readonly_paths=READONLY_PATHS))


def cgroup(record: Record) -> str:
    """The path of its cgroup, in every hierarchy."""
    return str(PurePosixPath("/", record.host.cgroup_parent, record.id))


def with_resources(it: Spec, record: Record) -> Spec:
    """The cgroup and its limits. 0 is Docker's "not asked for"."""
    assert it.linux is not None
    host = record.host
    memory = LinuxMemory(limit=host.memory or None, swap=_swap(host), reservation=host.memory_reservation or None)
    cpu = LinuxCPU(shares=host.cpu_shares or None, cpus=host.cpuset_cpus, mems=host.cpuset_mems,
                   quota=host.nano_cpus * PERIOD // 10**9 or host.cpu_quota or None,
                   period=PERIOD if host.nano_cpus else host.cpu_period or None)
    resources = LinuxResources(
        memory=memory if memory != LinuxMemory() else None, cpu=cpu if cpu != LinuxCPU() else None,
        pids=LinuxPids(limit=host.pids_limit) if host.pids_limit else None)
    return replace(it, linux=replace(it.linux, cgroups_path=cgroup(record), resources=resources))


def _swap(host: HostConfig) -> int | None:
    if host.memory > 0 and host.memory_swap == 0:
        return 2 * host.memory
    return host.memory_swap or None


def with_devices(it: Spec, host: HostConfig, devices: tuple[LinuxDevice, ...]) -> Spec:
    """None but the standard ones, which the runtime adds; all of the host's with --privileged."""
    assert it.linux is not None
    assert it.linux.resources is not None
    rule = LinuxDeviceCgroup(allow=host.privileged, access="rwm")
    return replace(it, linux=replace(it.linux, devices=devices if host.privileged else (),
                                     resources=replace(it.linux.resources, devices=(rule,))))


def with_sysctls(it: Spec, host: HostConfig) -> Spec:
    """Kernel parameters of its own namespaces (checked when it was created)."""
    assert it.linux is not None
    return replace(it, linux=replace(it.linux, sysctl=host.sysctls or {}))
