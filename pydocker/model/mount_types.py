"""Mounts in their long form (`--mount`), a kind at a time; and the tmpfs of `--tmpfs`.

Source of rules and words: moby volume/mounts (validate, linux_parser).
"""

import posixpath

from pydocker.errors import InvalidParameter, NotSupported
from pydocker.model.container import AskedMount, BindOptions, ImageOptions, TmpfsOptions, VolumeOptions
from pydocker.model.point import Making, Point

PROPAGATIONS = ("rprivate", "private", "rslave", "slave", "rshared", "shared")
_TMPFS_FLAGS = frozenset((
    "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync", "atime", "noatime",
    "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime", "mand", "nomand"))
_TMPFS_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))
_SAFE_TMPFS = ("noexec", "nosuid", "nodev")


def clean(path: str) -> str:
    """A destination, normalised. Raises InvalidParameter."""
    if not posixpath.isabs(path):
        raise InvalidParameter(f"invalid mount path: '{path}' mount path must be absolute")
    normal = posixpath.normpath("/" + path.lstrip("/"))
    if normal == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'")
    if "\0" in path:
        raise InvalidParameter("invalid mount path: it holds a NUL byte")
    return normal


def asked(mount: AskedMount) -> Point:
    """Raises InvalidParameter, NotSupported."""
    try:
        return _of_type(mount)
    except InvalidParameter as error:
        raise InvalidParameter(f'invalid mount config for type "{mount.type}": {error}') from error


def _of_type(mount: AskedMount) -> Point:
    if mount.type == "cluster":
        raise NotSupported("mount of type 'cluster' is not supported: use bind, volume, tmpfs or image")
    if mount.type not in ("bind", "volume", "tmpfs", "image"):
        raise InvalidParameter("mount type unknown")
    if not mount.target:
        raise InvalidParameter("field Target must not be empty")
    _check_foreign(mount)
    destination = clean(mount.target)
    match mount.type:
        case "tmpfs":
            return _tmpfs(mount, destination)
        case "volume":
            return _volume(mount, destination)
        case "image":
            return _image(mount, destination)
    return _bind(mount, destination)


def _check_foreign(mount: AskedMount) -> None:
    """Options of another type than its own."""
    for kind, name, options, nothing in (
            ("bind", "BindOptions", mount.bind_options, BindOptions()),
            ("volume", "VolumeOptions", mount.volume_options, VolumeOptions()),
            ("tmpfs", "TmpfsOptions", mount.tmpfs_options, TmpfsOptions()),
            ("image", "ImageOptions", mount.image_options, ImageOptions())):
        if mount.type != kind and options != nothing:
            raise InvalidParameter(f"field {name} must not be specified")


def _bind(mount: AskedMount, destination: str) -> Point:
    options = mount.bind_options
    if not mount.source:
        raise InvalidParameter("field Source must not be empty")
    if not posixpath.isabs(mount.source):
        raise InvalidParameter(f"invalid mount path: '{mount.source}' mount path must be absolute")
    if options.propagation and options.propagation not in PROPAGATIONS:
        raise InvalidParameter(f"invalid propagation mode: {options.propagation}")
    if options.read_only_force_recursive and (options.read_only_non_recursive or not mount.read_only):
        raise InvalidParameter("ReadOnlyForceRecursive needs a read-only mount, and excludes ReadOnlyNonRecursive")
    return Point(kind="bind", source=posixpath.normpath(mount.source), destination=destination,
                 readonly=mount.read_only, propagation=options.propagation, recursive=not options.non_recursive,
                 readonly_below=not options.read_only_non_recursive, create=options.create_mountpoint,
                 idmap=options.idmap)


def _volume(mount: AskedMount, destination: str) -> Point:
    options = mount.volume_options
    driver = options.driver_config
    if not mount.source and mount.read_only:
        raise InvalidParameter("must not set ReadOnly mode when using anonymous volumes")
    if not mount.source and options.subpath:
        raise InvalidParameter("must not set Subpath when using anonymous volumes")
    return Point(kind="volume", name=mount.source, destination=destination, readonly=mount.read_only,
                 mode="z" if mount.source else "", copy=not options.no_copy, subpath=_subpath(options.subpath),
                 making=Making(driver.name, driver.options or {}, options.labels or {}))


def _image(mount: AskedMount, destination: str) -> Point:
    """An image is never written to, whatever was asked."""
    if not mount.source:
        raise InvalidParameter("field Source must not be empty")
    return Point(kind="image", name=mount.source, destination=destination, readonly=True,
                 subpath=_subpath(mount.image_options.subpath))


def _subpath(path: str) -> str:
    """Relative, and within; links on the way are the monitor's affair. Raises InvalidParameter."""
    if not path:
        return ""
    normal = posixpath.normpath(path)
    if posixpath.isabs(path) or normal == ".." or normal.startswith("../"):
        raise InvalidParameter("subpath must be a relative path within the volume")
    return "" if normal == "." else normal


def _tmpfs(mount: AskedMount, destination: str) -> Point:
    if mount.source:
        raise InvalidParameter("field Source must not be specified")
    size, mode = mount.tmpfs_options.size_bytes, mount.tmpfs_options.mode
    if size < 0 or not 0 <= mode <= 0o7777:
        raise InvalidParameter(f"invalid tmpfs options: size {size}, mode {mode:o}")
    options = (*(["ro"] if mount.read_only else []), *([f"size={size}"] if size else []),
               *([f"mode={mode:o}"] if mode else []))
    return Point(kind="tmpfs", destination=destination, readonly=mount.read_only, options=(*_SAFE_TMPFS, *options))


def short_tmpfs(destination: str, text: str) -> Point:
    """One --tmpfs. Raises InvalidParameter."""
    words = tuple(word for word in text.split(",") if word not in ("", "defaults"))
    for word in words:
        name, equals, value = word.partition("=")
        if not (word in _TMPFS_FLAGS or word in PROPAGATIONS or (name in _TMPFS_VALUES and equals and value)):
            parts = " ".join(f'"{part}"' for part in word.split("=", 1))
            raise InvalidParameter(f"invalid tmpfs option [{parts}]")
    return Point(kind="tmpfs", destination=clean(destination), mode=text, readonly="ro" in words, short=True,
                 options=(*_SAFE_TMPFS, *words))
