"""/sys/fs/cgroup inside: the container's own cgroup, and nothing above it.

With a cgroup namespace of its own, a container mounts the hierarchies anew, and the kernel shows each of them from the
container's cgroup on. Without one, the same is had by binding the host's directories. v2 is one tree; v1 has one for
each group of controllers, collected in a tmpfs as the host has them.

In the host's cgroup namespace and on a v2 host, the whole tree is shown, as by runc (rootfs_linux.go,
mountCgroupV2): who reads a path in /proc/self/cgroup looks for it there, as language runtimes do for their limits.
"""

import os
from collections.abc import Iterator

from runtime.cgroups import Cgroup, Hierarchy, Layout
from runtime.linux.mounts import MOUNT_ATTR_RDONLY
from runtime.rootfs.devices import Link
from runtime.rootfs.mounts import BindMount, NewFilesystem
from runtime.rootfs.options import Attributes, Options
from runtime.rootfs.root import SetAttributes
from runtime.spec import NamespaceType, Spec
from runtime.stage import Inside
from runtime.step import Step


def cgroup_filesystem(path: str, options: Options, cgroup: Cgroup, layout: Layout, *,
                      namespaced: bool, shared: bool = False) -> Iterator[Step[Inside]]:
    """The steps that show the cgroup at `path`. `shared`: the host's cgroup namespace is the container's."""
    attributes = options.attributes
    if layout.mode == "v2":
        assert layout.v2 is not None
        if shared:
            yield BindMount(source=layout.v2.mountpoint, path=path, recursive=False, attributes=attributes)
            return
        yield show(path, layout.v2, cgroup, attributes, namespaced=namespaced)
        return
    yield NewFilesystem(fstype="tmpfs", source="tmpfs", path=path, data=(("mode", "755"),),
                        attributes=attributes.adding(0, MOUNT_ATTR_RDONLY))
    for hierarchy in (*layout.v1, *([layout.v2] if layout.v2 else [])):
        name = os.path.basename(hierarchy.mountpoint)
        yield show(f"{path}/{name}", hierarchy, cgroup, attributes, namespaced=namespaced)
        if hierarchy.version == 1:
            yield from (Link(f"{path}/{controller}", name) for controller in hierarchy.controllers
                        if controller != name and not controller.startswith("name="))
    if attributes.set & MOUNT_ATTR_RDONLY:
        yield SetAttributes(path, Attributes(set=MOUNT_ATTR_RDONLY))


def show(path: str, hierarchy: Hierarchy, cgroup: Cgroup, attributes: Attributes, *, namespaced: bool) -> Step[Inside]:
    """One hierarchy: mounted anew in a cgroup namespace, else bound from the host."""
    if not namespaced:
        return BindMount(source=cgroup.paths[hierarchy.name], path=path, recursive=False, attributes=attributes)
    if hierarchy.version == 2:
        return NewFilesystem(fstype="cgroup2", source="cgroup", path=path, attributes=attributes)
    return NewFilesystem(fstype="cgroup", source="cgroup", path=path, attributes=attributes,
                         data=tuple(option for name in hierarchy.controllers for option in words(name)))


def words(controller: str) -> tuple[tuple[str, str | None], ...]:
    """The mount options for a controller, or for a hierarchy that has only a name."""
    if controller.startswith("name="):
        return (("none", None), ("name", controller.removeprefix("name=")))
    return ((controller, None),)


def owner(spec: Spec) -> int:
    """Who is to own the cgroup, as the host numbers it: the container's user, if it may write to its own cgroups."""
    own = spec.linux and spec.linux.makes(NamespaceType.CGROUP)
    writable = any(mount.type in ("cgroup", "cgroup2") and "ro" not in mount.options for mount in spec.mounts)
    if spec.process is None or spec.linux is None or not own or not writable:
        return 0
    uid = spec.process.user.uid
    if not spec.linux.uid_mappings:
        return uid
    return next((one.host_id + uid - one.container_id for one in spec.linux.uid_mappings
                 if one.container_id <= uid < one.container_id + one.size), 0)
