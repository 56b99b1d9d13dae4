"""A step for volumes and images, where they are more than a directory of ours; and the maps of idmapped binds."""

import os
import shlex
import stat
from contextlib import nullcontext

from msgspec.structs import replace

from pydocker.errors import PydockerError, StartFailed
from pydocker.model.volume import Source
from pydocker.monitor import inmemory
from pydocker.monitor.birth import Birth
from pydocker.monitor.joining import reason
from pydocker.monitor.launch import Seen
from runtime.linux import mounts
from runtime.spec import LinuxIDMapping, Mount
from runtime.step import Step

_LAST = 2**32 - 2  # the largest id; the one behind it means "none" (chown(2))


class MountSource(Step[Birth], frozen=True):
    """A volume that is a file system of its own, a part of a volume, an image."""

    why = ("it is mounted for this container alone, in the monitor's mount namespace: nothing has to be counted, and "
           "nothing is left on the host, however this ends")
    manual = "mount(2), openat2(2), open_tree(2), move_mount(2)"
    seen: Seen

    @property
    def at(self) -> str:
        return f"{self.seen.place}.at"

    def describe(self) -> str:
        source = self.seen.source
        part = f"{source.subpath} of " if source.subpath else ""
        if source.filesystem is not None:
            return f"mount {part}{source.filesystem.type} {source.filesystem.device} on {self.seen.place}"
        if source.lower:
            return f"mount {part}image {self.seen.name} on {self.seen.place}, read-only"
        return f"mount {part}volume {self.seen.name} on {self.seen.place}"

    def shell(self) -> str:
        source, place, at = self.seen.source, shlex.quote(self.seen.place), shlex.quote(self.at)
        if source.filesystem is not None:
            options = f"-o {shlex.quote(source.filesystem.told)} " if source.filesystem.options else ""
            first = f"mount -t {source.filesystem.type} {options}{shlex.quote(source.filesystem.device)} {at}"
        elif len(source.lower) == 1:
            first = f"mount --bind -o ro {shlex.quote(source.lower[0])} {at}"
        elif source.lower:
            first = f"mount -t overlay overlay -o lowerdir={shlex.quote(':'.join(reversed(source.lower)))} {at}"
        else:
            first = f"mount --bind {shlex.quote(source.data)} {at}"
        part = f"{at}/{shlex.quote(source.subpath)}" if source.subpath else at
        return f"mkdir -p {place} {at}; {first}; mount --rbind {part} {place}; umount -l {at}"

    def apply(self, at: Birth) -> None:
        os.makedirs(self.at, mode=0o700)
        with inmemory.first_or_later(self.seen) if inmemory.is_one(self.seen) else nullcontext() as found:
            self._mount(found)

    def _mount(self, found: int | None) -> None:
        from pydocker.volumes.sources import tree

        try:
            found = tree(self.seen.source, self.at) if found is None else self._part(found)
        except PydockerError as error:
            raise self._failed(str(error)) from error
        except OSError as error:
            raise self._failed(f"cannot access path {error.filename or self.seen.source.data}: {reason(error)}"
                               ) from error
        try:
            self._attach(found)
            if inmemory.is_one(self.seen) and not self.seen.source.subpath:
                inmemory.remember(self.seen, found)
        finally:
            os.close(found)
            os.rmdir(self.at)

    def _part(self, whole: int) -> int:
        """A path in it is resolved where it is mounted: the kernel copies no part of a detached mount."""
        from pydocker.volumes.sources import tree

        if not self.seen.source.subpath:
            return whole
        target = os.open(self.at, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            inmemory.remember(self.seen, whole)
            mounts.move_mount(whole, target)
        finally:
            os.close(target)
            os.close(whole)
        try:
            return tree(Source(data=self.at, subpath=self.seen.source.subpath), self.at)
        finally:
            mounts.umount2(self.at, mounts.MNT_DETACH)

    def _failed(self, why: str) -> StartFailed:
        return StartFailed(f"error while mounting volume '{self.seen.source.data or self.seen.name}': {why}", 128)

    def _attach(self, found: int) -> None:
        """A part of a volume may be a file."""
        if stat.S_ISDIR(os.fstat(found).st_mode):
            os.mkdir(self.seen.place, 0o700)
        else:
            os.close(os.open(self.seen.place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        target = os.open(self.seen.place, os.O_PATH | os.O_CLOEXEC)
        try:
            mounts.move_mount(found, target)
        finally:
            os.close(target)

    def undo(self, at: Birth) -> None:
        mounts.umount2(self.seen.place, mounts.MNT_DETACH)


def idmapped(mount: Mount, uid: int, gid: int) -> Mount:
    """A bind mount in which the files of its source's owner are the container's user's, and the other way round.

    All other ids stay what they are, but for two that would then mean two things: what belongs to `uid` on the host is
    nobody's inside, and nobody inside can make a file that is the owner's by being he.
    """
    try:
        owner = os.stat(mount.source)
    except OSError as error:
        raise StartFailed(f"idmap of {mount.source}: {reason(error)}", 128) from error
    return replace(mount, uid_mappings=rows(owner.st_uid, uid), gid_mappings=rows(owner.st_gid, gid))


def rows(owner: int, user: int) -> tuple[LinuxIDMapping, ...]:
    """On disk, and as it is seen (mount_setattr(2), "ID-mapped mounts"). Pure."""
    if owner == user:
        return (LinuxIDMapping(container_id=0, host_id=0, size=_LAST + 1),)
    low, high = sorted((owner, user))
    same = ((0, low), (low + 1, high), (high + 1, _LAST + 1))
    return (LinuxIDMapping(container_id=owner, host_id=user, size=1),
            *(LinuxIDMapping(container_id=first, host_id=first, size=end - first)
              for first, end in same if end > first))
