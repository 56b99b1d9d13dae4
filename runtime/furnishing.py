"""What a root file system needs beside config.json's mounts: devices, a terminal, and to become the root. Pure: a part
of the plan."""

from collections.abc import Iterator

from runtime.process.session import OwnOutputs
from runtime.rootfs.devices import DEFAULT_DEVICES, DEFAULT_LINKS, BindConsole, DeviceNode, Link
from runtime.rootfs.root import PivotRoot
from runtime.spec import Linux, NamespaceType, Process, Spec
from runtime.spec.linux import LinuxDevice
from runtime.stage import Inside
from runtime.step import Step


def devices(spec: Spec) -> Iterator[Step[Inside]]:
    """The devices that every container has, and its own. A /dev that was brought along is left as it is."""
    assert spec.linux is not None
    if any(mount.destination.rstrip("/") == "/dev" and (mount.type == "bind" or {"bind", "rbind"} & {*mount.options})
           for mount in spec.mounts):
        return
    own = {device.path for device in spec.linux.devices}
    yield from (node(device) for device in DEFAULT_DEVICES if device.path not in own)
    yield from (node(device, f"$.linux.devices[{number}]") for number, device in enumerate(spec.linux.devices))
    for path, to in DEFAULT_LINKS:
        if path not in own:
            yield Link(path, to)


def node(device: LinuxDevice, member: str = "") -> DeviceNode:
    mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
    return DeviceNode(device.path, device.type, device.major, device.minor, mode, device.uid or 0, device.gid or 0,
                      member=member)


def terminal(process: Process, *, console: bool = True, mapped: bool = False) -> Iterator[Step[Inside]]:
    """Pipes belong to the host's root, who is nobody to a mapped one."""
    if not process.terminal:
        if process.user.uid or mapped:
            yield OwnOutputs(process.user.uid)
        return
    from runtime.process.terminal import OpenTerminal, UseTerminal

    size = process.console_size
    yield OpenTerminal(size.height if size else 0, size.width if size else 0, process.user.uid)
    if console:
        yield BindConsole()
    yield UseTerminal()


def propagation(linux: Linux) -> str:
    """Of all mounts, as long as the root file system is made.

    An unbindable mount cannot be copied, and shared ones have to stay shared until all is mounted.
    """
    asked = linux.rootfs_propagation
    return asked if asked and "unbindable" not in asked else "rslave"


def change_root(linux: Linux, *, pivot: bool) -> Iterator[Step[Inside]]:
    if pivot:
        yield PivotRoot()
        return
    from runtime.rootfs.moving import ChangeRoot, CoverHost, MoveRoot, UnmountHost

    mapped = linux.has(NamespaceType.USER)
    yield CoverHost() if mapped else UnmountHost()
    if not mapped and "shared" not in propagation(linux):  # else it lies over / already (AttachRoot)
        yield MoveRoot()
    yield ChangeRoot()
