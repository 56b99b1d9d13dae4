"""The host's device nodes: all of /dev for --privileged, some for --device, numbers for limits by path."""

import os
import re
import stat
from collections.abc import Iterator

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model.container import DeviceMapping, HostConfig, ThrottleDevice, WeightDevice
from runtime.spec import LinuxDevice, LinuxDeviceCgroup

_OWN = frozenset({
    "pts", "shm", "fd", "mqueue", "console", "ptmx", "null", "zero", "full", "random", "urandom", "tty",
    ".lxc", ".lxd-mounts", ".udev",
})
_RULE = re.compile(r"([acb]) (\d{1,10}|\*):(\d{1,10}|\*) ([rwm]{1,3})", re.ASCII)
_PERMISSIONS = re.compile(r"[rwm]{1,3}", re.ASCII)


class Found(msgspec.Struct, frozen=True):
    """What a container's spec needs to know of the host's devices: nodes to make, rules for the cgroup, numbers."""

    nodes: tuple[LinuxDevice, ...] = ()
    rules: tuple[LinuxDeviceCgroup, ...] = ()
    numbers: dict[str, tuple[int, int]] = {}


NOTHING = Found()


def find(host: HostConfig) -> Found:
    """Look at the host. Raises InvalidParameter for what is no device there."""
    limited: tuple[WeightDevice | ThrottleDevice, ...] = (
        *(host.blkio_weight_device or ()), *(host.blkio_device_read_bps or ()), *(host.blkio_device_write_bps or ()),
        *(host.blkio_device_read_iops or ()), *(host.blkio_device_write_iops or ()))
    numbers = {one.path: _numbers(one.path) for one in limited}
    if host.privileged:
        return Found(nodes(), (LinuxDeviceCgroup(allow=True, access="rwm"),), numbers)
    mapped = [(node, mapping.cgroup_permissions or "rwm") for mapping in host.devices or ()
              for node in _mapped(mapping)]
    allowed = (LinuxDeviceCgroup(allow=True, type=node.type, major=node.major, minor=node.minor, access=access)
               for node, access in mapped)
    deny = LinuxDeviceCgroup(allow=False, access="rwm")
    return Found(tuple(node for node, _ in mapped), (deny, *allowed, *map(rule, host.device_cgroup_rules or ())),
                 numbers)


def check(host: HostConfig) -> None:
    """What can be told without looking at the host. Raises InvalidParameter."""
    for text in host.device_cgroup_rules or ():
        rule(text)
    for mapping in host.devices or ():
        if mapping.cgroup_permissions and not _PERMISSIONS.fullmatch(mapping.cgroup_permissions):
            raise InvalidParameter(f"invalid device permissions: {mapping.cgroup_permissions}")
        for path in (mapping.path_on_host, mapping.path_in_container or "/"):
            if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
                raise InvalidParameter(f"invalid device path: {path!r}: it needs to be an absolute path")


def rule(text: str) -> LinuxDeviceCgroup:
    """`c 1:3 rwm`. Raises InvalidParameter."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    major, minor = (None if number == "*" else int(number) for number in found.group(2, 3))
    return LinuxDeviceCgroup(allow=True, type=found[1], major=major, minor=minor, access=found[4])


def _mapped(mapping: DeviceMapping) -> Iterator[LinuxDevice]:
    """One node, or all of a directory; links are followed, and the container sees the name that was asked for."""
    source, target = mapping.path_on_host, mapping.path_in_container or mapping.path_on_host
    try:
        real = os.path.realpath(source, strict=True)
        if not os.path.isdir(real):
            yield _node(real, target)
            return
        found = nodes(real)
    except OSError as error:
        raise InvalidParameter(f'error gathering device information while adding custom device "{source}": '
                               f"{(error.strerror or '').lower()}") from error
    if not found:
        raise InvalidParameter(_no_node(source))
    for node in found:
        yield msgspec.structs.replace(node, path=target + node.path.removeprefix(real))


def _node(path: str, target: str) -> LinuxDevice:
    status = os.stat(path)
    if not _is_device(status.st_mode):
        raise InvalidParameter(_no_node(path))
    return _as_node(target, status)


def _no_node(path: str) -> str:
    return f'error gathering device information while adding custom device "{path}": not a device node'


def _numbers(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidParameter(f"{path}: {(error.strerror or '').lower()}") from error
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidParameter(f"{path}: not a block device")
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def nodes(directory: str = "/dev") -> tuple[LinuxDevice, ...]:
    """Character and block devices below `directory`, with mode and owner: all but what a container has of its own."""
    found: list[LinuxDevice] = []
    for entry in os.scandir(directory):
        if directory == "/dev" and entry.name in _OWN:
            continue
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            found += nodes(entry.path)
        elif _is_device(status.st_mode):
            found.append(_as_node(entry.path, status))
    return tuple(found)


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _as_node(path: str, status: os.stat_result) -> LinuxDevice:
    return LinuxDevice(
        path=path, type="c" if stat.S_ISCHR(status.st_mode) else "b", uid=status.st_uid, gid=status.st_gid,
        major=os.major(status.st_rdev), minor=os.minor(status.st_rdev), file_mode=stat.S_IMODE(status.st_mode))
