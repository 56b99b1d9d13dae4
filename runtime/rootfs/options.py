"""Mount options: one comma-less list of words, three different things (mount(8), runtime-spec config.md "Mounts").

    ro nosuid nodev noexec noatime …    attributes of the mount: where it is seen
    rprivate shared slave …             propagation: whether later mounts spread
    size=64m mode=1777 …                the file system's own, handed to it as they are

An attribute with an r before it (rro, rnosuid) is for the mount and all below it: mount_setattr(2) with AT_RECURSIVE.
"""

import msgspec

from runtime.linux import idmaps
from runtime.linux import mounts as m

ATTRIBUTES = {  # word: what it sets, what it clears
    "ro": (m.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, m.MOUNT_ATTR_RDONLY),
    "nosuid": (m.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, m.MOUNT_ATTR_NOSUID),
    "nodev": (m.MOUNT_ATTR_NODEV, 0),
    "dev": (0, m.MOUNT_ATTR_NODEV),
    "noexec": (m.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, m.MOUNT_ATTR_NOEXEC),
    "nodiratime": (m.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, m.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (m.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, m.MOUNT_ATTR_NOSYMFOLLOW),
    # One field of several bits: the kernel wants it cleared as a whole before another value is set.
    "relatime": (m.MOUNT_ATTR_RELATIME, m.MOUNT_ATTR_ATIME),
    "norelatime": (m.MOUNT_ATTR_RELATIME, m.MOUNT_ATTR_ATIME),
    "noatime": (m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR_ATIME),
    "atime": (m.MOUNT_ATTR_RELATIME, m.MOUNT_ATTR_ATIME),
    "strictatime": (m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR_ATIME),
    "nostrictatime": (m.MOUNT_ATTR_RELATIME, m.MOUNT_ATTR_ATIME),
}

PROPAGATION = {
    "shared": m.MS_SHARED, "rshared": m.MS_SHARED | m.MS_REC,
    "slave": m.MS_SLAVE, "rslave": m.MS_SLAVE | m.MS_REC,
    "private": m.MS_PRIVATE, "rprivate": m.MS_PRIVATE | m.MS_REC,
    "unbindable": m.MS_UNBINDABLE, "runbindable": m.MS_UNBINDABLE | m.MS_REC,
}

# Said elsewhere, or so anyway: file systems that count inodes' versions always do, mandatory locks are gone (5.15).
NOTHING = {"defaults", "bind", "rbind", "idmap", "ridmap", "tmpcopyup", "remount", "async", "nolazytime", "mand",
           "nomand", "silent", "loud", "iversion", "noiversion", "auto", "noauto", "user", "nouser", "acl", "noacl"}
# Of the file system, without a value: a bind mount has that of its source already.
FLAGS = {"sync", "dirsync", "lazytime"}


class Attributes(msgspec.Struct, frozen=True):
    """What mount_setattr(2) is to set and to clear."""

    set: int = 0
    clear: int = 0

    def adding(self, set: int, clear: int) -> "Attributes":
        """A later word wins over an earlier one."""
        return Attributes(self.set & ~clear | set, (self.clear | clear) & ~(set & ~m.MOUNT_ATTR_ATIME))

    def words(self) -> str:
        """As `mount -o` takes them."""
        found = [word for word, (set, clear) in ATTRIBUTES.items() if set and self.set & (clear or set) == set]
        found += [word for word, (set, clear) in ATTRIBUTES.items() if not set and clear & self.clear
                  and not clear & m.MOUNT_ATTR_ATIME]
        return ",".join(found)


class Idmapping(msgspec.Struct, frozen=True):
    """Which owners a mount shows for those on the disk; without maps those of the container's user namespace."""

    recursive: bool = False
    uids: idmaps.Map = ()
    gids: idmaps.Map = ()

    def words(self) -> str:
        """As `mount -o` takes them (util-linux 2.39)."""
        maps = [f"{kind}:{first}:{outside}:{size}" for kind, map in (("u", self.uids), ("g", self.gids))
                for first, outside, size in map]
        return f"X-mount.idmap={' '.join(maps) or '/proc/self/fd/8'}"


class Options(msgspec.Struct, frozen=True):
    """The words of one mount, sorted by what they are. `data` is what the file system gets: (key, value or None)."""

    bind: bool = False
    recursive: bool = False
    attributes: Attributes = Attributes()
    below: Attributes = Attributes()
    propagation: tuple[str, ...] = ()
    data: tuple[tuple[str, str | None], ...] = ()
    idmap: str = ""  # idmap or ridmap
    copy_up: bool = False
    remount: bool = False

    @property
    def own_data(self) -> tuple[tuple[str, str | None], ...]:
        """Without the flags that any file system has."""
        return tuple((key, value) for key, value in self.data if key not in FLAGS)


def parse(words: tuple[str, ...]) -> Options:
    """Sort the words. Whatever is none of the kernel's is the file system's own, which knows what it takes."""
    attributes, below = Attributes(), Attributes()
    propagation: list[str] = []
    data: list[tuple[str, str | None]] = []
    for word in words:
        if word in ATTRIBUTES:
            attributes = attributes.adding(*ATTRIBUTES[word])
        elif word[:1] == "r" and word[1:] in ATTRIBUTES:
            below = below.adding(*ATTRIBUTES[word[1:]])
        elif word in PROPAGATION:
            propagation.append(word)
        elif word not in NOTHING:
            key, equals, value = word.partition("=")
            data.append((key, value if equals else None))
    return Options(bind="bind" in words or "rbind" in words, recursive="rbind" in words, attributes=attributes,
                   below=below, propagation=tuple(propagation), data=tuple(data),
                   idmap="ridmap" if "ridmap" in words else "idmap" if "idmap" in words else "",
                   copy_up="tmpcopyup" in words, remount="remount" in words)
