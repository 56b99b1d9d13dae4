"""config.json's mounts as steps, in their order. Pure: a part of the plan."""

import os
from collections.abc import Iterable, Iterator

import msgspec

from runtime import cgroups
from runtime.checks import of_map, raise_first
from runtime.errors import InvalidSpec
from runtime.linux import mounts as m
from runtime.process.names import NewCgroupNamespace
from runtime.rootfs.cgroupfs import cgroup_filesystem
from runtime.rootfs.mounts import BindMount, NewFilesystem
from runtime.rootfs.options import Attributes, Idmapping, Options, parse
from runtime.rootfs.root import SetAttributes
from runtime.rootfs.target import OVER_PROC
from runtime.spec import LinuxIDMapping, Mount, NamespaceType, Spec
from runtime.stage import Inside
from runtime.step import Step

READ_ONLY = Attributes(set=m.MOUNT_ATTR_RDONLY)


def all_mounts(spec: Spec, bundle: str, cgroup: cgroups.Cgroup, layout: cgroups.Layout) -> Iterator[Step[Inside]]:
    """The mounts in the order of config.json; the cgroup namespace begins before the first that shows it, or after."""
    assert spec.linux is not None
    namespaced = spec.linux.makes(NamespaceType.CGROUP)
    begun = not namespaced
    shared = all(one.type is not NamespaceType.CGROUP for one in spec.linux.namespaces)
    for number, mount in enumerate(spec.mounts):
        options = parse(mount.options)
        path = os.path.normpath("/" + mount.destination.lstrip("/"))
        is_bind = options.bind or mount.type == "bind"
        if not options.remount:
            check_place(number, mount, path)
        idmap = idmapping(spec, mount, options, f"$.mounts[{number}]", is_bind=is_bind)
        steps: Iterable[Step[Inside]]
        if options.remount:
            steps = remount(path, options)
        elif mount.type in ("cgroup", "cgroup2"):
            if not begun:
                yield NewCgroupNamespace()
                begun = True
            steps = cgroup_filesystem(path, options, cgroup, layout, namespaced=namespaced, shared=shared)
        elif is_bind:
            steps = (bind(number, mount, path, options, bundle, idmap),)
        else:
            steps = filesystem(number, mount, path, labelled(options, mount.type, spec.linux.mount_label))
        yield from (msgspec.structs.replace(step, member=f"$.mounts[{number}]") for step in steps)
    if not begun:
        yield NewCgroupNamespace()


def check_place(number: int, mount: Mount, path: str) -> None:
    """What cannot be mounted on, wherever links may lead (which `rootfs.target` sees). Raises InvalidSpec.

    To find in procfs that it makes no directories would be "no such file or directory", which callers take for a
    program that is not there.
    """
    at = f"$.mounts[{number}]"
    if not mount.destination or path == "/":
        raise InvalidSpec("config.json: nothing can be mounted on the root of the container - at "
                          f"`{at}.destination`")
    if path.startswith("/proc/") and path not in OVER_PROC:
        raise InvalidSpec(f'config.json: error mounting "{mount.source or mount.type}" to rootfs at "{path}": '
                          f"{path} cannot be mounted because it is inside /proc - at `{at}.destination`")


def idmapping(spec: Spec, mount: Mount, options: Options, path: str, *, is_bind: bool) -> Idmapping | None:
    """The mount's own maps, or with the option alone the container's (runtime-spec, config.md "Mounts")."""
    own = mount.uid_mappings or mount.gid_mappings
    if not own and not options.idmap:
        return None
    if not is_bind or options.remount:
        raise InvalidSpec(f"config.json: id-mapped mounts are only supported for bind-mounts - at `{path}.options`")
    if own and not (mount.uid_mappings and mount.gid_mappings):
        raise InvalidSpec("config.json: id-mapped mounts must have both uid and gid mappings specified - at "
                          f"`{path}.{'gid' if mount.uid_mappings else 'uid'}Mappings`")
    for side, map in (("uid", mount.uid_mappings), ("gid", mount.gid_mappings)):
        raise_first(of_map(map, f"{path}.{side}Mappings"), "config.json")
    if not own and not mapped(spec):
        raise InvalidSpec(f"config.json: mount option {options.idmap} needs uidMappings and gidMappings, or a user "
                          f"namespace of the container's - at `{path}.options`")
    return Idmapping(options.idmap == "ridmap", rows(mount.uid_mappings), rows(mount.gid_mappings))


def mapped(spec: Spec) -> bool:
    """Whether the container is in another user namespace than the caller."""
    return spec.linux is not None and spec.linux.has(NamespaceType.USER)


def rows(mappings: tuple[LinuxIDMapping, ...]) -> tuple[tuple[int, int, int], ...]:
    return tuple((one.container_id, one.host_id, one.size) for one in mappings)


def bind(number: int, mount: Mount, path: str, options: Options, bundle: str, idmap: Idmapping | None) -> BindMount:
    """A bind mount. A relative source counts from the bundle (runtime-spec, config.md)."""
    source = os.path.join(bundle, mount.source)
    at = f"$.mounts[{number}]"
    if not mount.source:
        raise InvalidSpec(f"config.json: a bind mount needs a source - at `{at}.source`")
    if options.own_data:
        raise InvalidSpec(f"config.json: a bind mount has no option {options.own_data[0][0]!r} - at `{at}.options`")
    for kernel in ("/proc", "/sys"):
        # What security settings are read from and written to must be the kernel's (CVE-2015-3631).
        if path == kernel and os.path.commonpath((source, kernel)) != kernel:
            raise InvalidSpec(f"config.json: {source} cannot be mounted on {kernel} - at `{at}`")
    return BindMount(source=source, path=path, recursive=options.recursive, attributes=options.attributes,
                     below=options.below, propagation=options.propagation, idmap=idmap)


def filesystem(number: int, mount: Mount, path: str, options: Options) -> Iterator[Step[Inside]]:
    """A new file system. A tmpfs becomes read-only at the end, as mount points may have to be made in it."""
    if not mount.type:
        raise InvalidSpec(f"config.json: a mount that is no bind mount needs a type - at `$.mounts[{number}].type`")
    if mount.type == "tmpfs" and path in ("/proc", "/sys"):  # where anybody could write what is trusted (as in `bind`)
        raise InvalidSpec(f"config.json: tmpfs cannot be mounted on {path} - at `$.mounts[{number}]`")
    # Nothing is mounted below a new file system: what is for all below is for itself.
    attributes = options.attributes.adding(options.below.set, options.below.clear)
    late = mount.type == "tmpfs" and attributes.set & m.MOUNT_ATTR_RDONLY
    if late:
        attributes = attributes.adding(0, m.MOUNT_ATTR_RDONLY)
    yield new_filesystem(mount, path, attributes, options)
    if late:
        yield SetAttributes(path, READ_ONLY)


def labelled(options: Options, fstype: str, label: str) -> Options:
    """With the SELinux context of the new file system's files."""
    if not label:
        return options
    from runtime.process.labels import mount_context

    return msgspec.structs.replace(options, data=(*options.data, *mount_context(fstype, label)))


def new_filesystem(mount: Mount, path: str, attributes: Attributes, options: Options) -> Step[Inside]:
    """A tmpfs takes the place of a directory that may have a mode and content, of which it gets what is asked for."""
    plain = NewFilesystem(fstype=mount.type, source=mount.source or mount.type, path=path, attributes=attributes,
                          data=options.data, propagation=options.propagation)
    if mount.type != "tmpfs":
        return plain
    from runtime.rootfs.tmpfs import CopiedUp, InPlaceOf

    if options.copy_up:
        return CopiedUp(plain)
    return plain if any(key == "mode" for key, _ in options.data) else InPlaceOf(plain)


def remount(path: str, options: Options) -> Iterator[Step[Inside]]:
    """What is mounted there already gets other attributes, and its file system other options."""
    from runtime.rootfs.remount import Reconfigure

    attributes = options.attributes.adding(options.below.set, options.below.clear)
    if options.data and not options.bind:
        yield Reconfigure(path, options.data)
    yield SetAttributes(path, attributes)
