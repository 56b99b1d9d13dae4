"""`update`: other limits for a container, whether it runs or not.

First what cannot be right is refused, of the request alone and beside what the container has (moby,
container/container_unix.go, UpdateContainer: the words are its, too). Then the kernel is told, by the container's
monitor through the runtime; only what the kernel has taken is recorded, so that the next start has it as well.
"""

from pathlib import Path

import msgspec

from pydocker.containers import blockio, bundle, hostdevices, validate
from pydocker.containers.lifecycle import Lifecycle
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, InvalidParameter, PydockerError
from pydocker.model.container import Container, ContainerId, HostConfig, Record, RestartPolicy
from pydocker.model.limits import Update
from pydocker.monitor import control
from runtime import cgroups
from runtime.spec import Linux, LinuxBlockIO, LinuxPids, LinuxResources, Spec

replace = msgspec.structs.replace
_OTHERS = ("restart_policy", "publish_add", "publish_remove")  # no limits
_POLICIES = ("no", "always", "unless-stopped", "on-failure")


def update(lifecycle: Lifecycle, store: Store, streams: Streams, id: ContainerId, change: Update) -> None:
    """Raises InvalidParameter, Conflict; then nothing is changed."""
    check(change)
    with lifecycle.locked(id) as container:
        try:
            if container.state.dead:
                raise Conflict('container is marked for removal and cannot be "update"')
            record = replace(container.record, host=merged(container.record.host, change))
            if container.state.running and _limits(change):
                _apply(streams, container, resources(record, change))
        except PydockerError as error:
            raise type(error)(f"Cannot update container {id}: {error}") from error
        store.change(record)
        store.journal.container(record, "update")


def _limits(change: Update) -> bool:
    """Whether it is about more than the restart policy, which the monitor looks up when it needs it."""
    return replace(change, restart_policy=None) != Update()


def possible(change: Update) -> tuple[Update, list[str]]:
    """The change without what this kernel has not, and Docker's warnings about that."""
    if change.blkio_weight and not weighs_devices():
        return replace(change, blkio_weight=0), [
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."]
    return change, []


def weighs_devices() -> bool:
    """Whether some cgroup has a file for it: a root never has (kernel, block/bfq-cgroup.c, CFTYPE_NOT_ON_ROOT)."""
    layout = cgroups.read_layout()
    places = [(tree.mountpoint, "blkio*.weight") for tree in layout.v1 if "blkio" in tree.controllers]
    if layout.v2:
        places.append((layout.v2.mountpoint, "io*.weight"))
    return any(next(Path(mountpoint).glob(f"*/{name}"), None) for mountpoint, name in places)


def check(change: Update) -> None:
    """Of the request alone. Raises InvalidParameter in Docker's words."""
    asked = {name: getattr(change, name) for name in change.__struct_fields__ if name not in _OTHERS}
    host = HostConfig(**asked)
    validate.check_resources(host, update=True)
    blockio.check(host)
    if change.restart_policy is not None:
        check_policy(change.restart_policy)


def check_policy(policy: RestartPolicy) -> None:
    """Raises InvalidParameter in Docker's words."""
    if policy.name not in ("", *_POLICIES):
        raise InvalidParameter(f"invalid restart policy '{policy.name}'")
    if policy.name != "on-failure" and policy.maximum_retry_count:
        raise InvalidParameter(f"maximum retry count cannot be used with restart policy '{policy.name}'")
    if policy.maximum_retry_count < 0:
        raise InvalidParameter("maximum retry count cannot be negative")


def merged(host: HostConfig, change: Update) -> HostConfig:
    """What the container has, with what it shall have. Raises Conflict where the two do not go together."""
    swap = bundle.swap(host) or 0
    _check_processors(host, change)
    if change.memory > swap >= 0 and not change.memory_swap:  # -1: as much swap as there is
        raise Conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the "
                       "same time")
    if change.memory_swap > 0 and (change.memory or host.memory) > change.memory_swap:
        raise Conflict("Minimum memoryswap limit should be larger than memory limit, see usage")
    limits = {name: value for name in change.__struct_fields__
              if name != "restart_policy" and (value := getattr(change, name)) not in (0, "", None)}
    if change.memory and not change.memory_swap:
        limits["memory_swap"] = swap  # it was twice the old limit, and stays that
    if change.pids_limit is not None:
        limits["pids_limit"] = max(change.pids_limit, 0)
    policy = change.restart_policy
    if policy is None or not policy.name:
        return replace(host, **limits)
    if host.auto_remove and policy.name != "no":
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    return replace(host, **limits, restart_policy=policy)


def _check_processors(host: HostConfig, change: Update) -> None:
    """--cpus is a period and a quota under another name."""
    there = (("CPU Period", host.cpu_period, change.cpu_period), ("CPU Quota", host.cpu_quota, change.cpu_quota))
    for name, present, asked in there:
        if change.nano_cpus > 0 and present > 0:
            raise Conflict(f"Conflicting options: Nano CPUs cannot be updated as {name} has already been set")
        if asked > 0 and host.nano_cpus > 0:
            raise Conflict(f"Conflicting options: {name} cannot be updated as NanoCPUs has already been set")


def resources(record: Record, change: Update) -> LinuxResources:
    """All limits that an update may change, as the OCI runtime is told: what depends on each other, together."""
    made = bundle.with_resources(Spec(oci_version="", linux=Linux()), record, hostdevices.NOTHING).linux
    assert made is not None
    assert made.resources is not None
    host = record.host
    return LinuxResources(
        memory=made.resources.memory, cpu=made.resources.cpu,
        pids=None if change.pids_limit is None else LinuxPids(limit=host.pids_limit or -1),
        block_io=LinuxBlockIO(weight=host.blkio_weight) if change.blkio_weight else None)


def _apply(streams: Streams, container: Container, limits: LinuxResources) -> None:
    streams.ask(container.record.id, control.Update(limits), f"update container {container.record.id[:12]}")
