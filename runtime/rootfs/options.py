"""Mount options: one comma-less list of words, three different things (mount(8), runtime-spec config.md "Mounts").

    ro nosuid nodev noexec noatime …    attributes of the mount: where it is seen
    rprivate shared slave …             propagation: whether later mounts spread
    size=64m mode=1777 …                the file system's own, handed to it as they are

An attribute with an r before it (rro, rnosuid) is for the mount and all below it: mount_setattr(2) with AT_RECURSIVE.
"""

import msgspec

from runtime.errors import InvalidSpec
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

NOTHING = {"defaults", "bind", "rbind", "async", "nomand", "loud", "noiversion", "auto", "noauto", "user", "nouser"}
FLAGS = {"sync", "dirsync", "lazytime", "silent", "mand", "iversion"}  # of the file system: no value
UNSUPPORTED = {"idmap", "ridmap", "tmpcopyup", "remount"}


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


class Options(msgspec.Struct, frozen=True):
    """The words of one mount, sorted by what they are. `data` is what the file system gets: (key, value or None)."""

    bind: bool = False
    recursive: bool = False
    attributes: Attributes = Attributes()
    below: Attributes = Attributes()
    propagation: tuple[str, ...] = ()
    data: tuple[tuple[str, str | None], ...] = ()


def parse(words: tuple[str, ...], path: str) -> Options:
    """Sort the words. `path` is the JSON path for the error. Raises InvalidSpec for an option that is not supported."""
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
        elif word in UNSUPPORTED:
            raise InvalidSpec(f"config.json: mount option {word} is not supported - at `{path}.options`")
        elif word not in NOTHING:
            key, equals, value = word.partition("=")
            data.append((key, value if equals else None))
    return Options(bind="bind" in words or "rbind" in words, recursive="rbind" in words, attributes=attributes,
                   below=below, propagation=tuple(propagation), data=tuple(data))
