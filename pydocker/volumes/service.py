"""`Volumes`: one method per request. All are synchronous, may be called from several threads, raise pydocker.errors.

What several processes do at once is kept apart by locks on files (see `store`), never by this object.
"""

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path

from pydocker.errors import Conflict, NotFound, PydockerError
from pydocker.events.journal import Journal
from pydocker.layers.copying import Copying
from pydocker.layers.limits import ArchiveError
from pydocker.model import volume
from pydocker.model.event import Kind
from pydocker.model.point import Point
from pydocker.model.volume import ANONYMOUS, Source, Volume
from pydocker.paths import Paths
from pydocker.storage import locks, measure
from pydocker.storage.trees import delete_left
from pydocker.volumes import filesystem, filling, usage
from pydocker.volumes.contents import Contents, Mounted
from pydocker.volumes.store import DATA, LOCK, Inode, Store

_log = logging.getLogger(__name__)

Named = tuple[str, Volume]
Content = Callable[[Point], AbstractContextManager[int | None]]


def _named(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != ANONYMOUS}


def unwrapped(content: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """A tar archive's bytes. Raises ArchiveError where there are none: what was to send them has failed."""
    from pydocker.images.archive_layers import Source, bounded

    source = Source(iter(content))
    if not source.peek(1):
        raise ArchiveError("the archive is empty")
    yield from bounded(source)


def _has(content: Content, point: Point) -> bool:
    with content(point) as handle:
        return handle is not None


class Volumes:
    """All volumes below one data root. `holder` is the mount point of the mount that this root is on; `mounted` finds
    the volumes that are a file system in memory: see `monitor.inmemory`."""

    def __init__(self, paths: Paths, holder: str, mounted: Mounted = lambda name: None) -> None:
        self._paths = paths
        self._store = Store(paths)
        self._contents = Contents(self._store, holder, mounted)
        self._journal = Journal(paths.events)

    def recover(self) -> None:
        """At start-up: finish or undo what a crash left half done."""
        self._store.sweep()
        for name in filter(self.unfinished, self._store.names()):
            try:
                self.finish(name)
            except (PydockerError, OSError) as error:  # it prevents no start, and nothing of it is lost
                _log.warning("volume %s: %s", name, error)

    def unfinished(self, name: str) -> bool:
        """Whether somebody was killed on the way to its first content."""
        directory = self._paths.volume(name)
        return bool(filling.LEFT & set(os.listdir(directory))) and not locks.is_held(directory / LOCK)

    def finish(self, name: str) -> None:
        """Put the first content in place to the end, or take away what is not complete."""
        with self._store.filling(name) as directory, filling.beside(directory) as target:
            filling.finish(target)

    # -- one by one ----------------------------------------------------------------------------------

    def get(self, name: str) -> Volume:
        """NotFound `get x: no such volume`."""
        return self._store.get(name)

    def users(self) -> Mapping[str, Sequence[str]]:
        """The ids of the containers by the volume that they use, running or not."""
        return usage.users(self._paths.containers)

    def size(self, name: str) -> int:
        """Bytes of its files; of another file system, -1: it would have to be mounted to be known."""
        return -1 if self._store.get(name).options else measure.content(self._paths.volume_data(name))

    def create(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Named:
        """Make it, under a name of its own if it has none; one that is there already is what was asked for."""
        labels = dict(labels) if name else {**labels, ANONYMOUS: ""}
        name = name or secrets.token_hex(32)
        volume.check_driver(name, driver)
        volume.check_name(name)
        volume.check_options(name, options)
        filesystem.parse(options.get("o", ""))
        made = Volume(created=time.time(), options=dict(options), labels=labels)
        while True:
            with contextlib.suppress(NotFound):
                return name, self._store.get(name)
            with self._store.draft() as draft:
                if self._store.publish(draft, name, made):
                    break
        self._journal.volume("create", name)
        return name, made

    def remove(self, name: str, *, force: bool = False, empty: bool = False) -> None:
        """Conflict: a container has it, running or not; or, where it has to be `empty`, there is something in it.

        `force`: one that is not there is removed already, and one whose record is damaged can be removed.
        """
        with self._store.taking():
            try:
                self._store.get(name)
            except NotFound:
                if force:
                    return
                raise
            except PydockerError:
                if not force:
                    raise
            self._refuse_used("remove", name)
            grave = self._store.bury(name, empty=empty)
        self._journal.volume("destroy", name)
        self._store.delete(name, grave)

    def _refuse_used(self, verb: str, name: str) -> None:
        used = usage.users(self._paths.containers, strict=True).get(name, ())
        if used:
            raise Conflict(f"{verb} {name}: volume is in use - [{', '.join(used)}]")

    def rename(self, old: str, new: str) -> None:
        """Conflict: a container has it (and would look for it under the old name), or the new name is taken.

        Who gets a name is not anonymous any more, and no `prune` takes it for that.
        """
        volume.check_name(new)
        with self._store.taking():
            found = self._store.get(old)
            self._refuse_used("rename", old)
            if new in self._store.names():
                raise Conflict(f"rename {old}: a volume named {new} exists already")
            if found.anonymous:
                self._store.change(old, labels=_named(found.labels))
            self._store.rename(old, new)
        self._journal.volume("rename", new, oldName=old)

    def prune(self, wanted: Callable[[str, Volume], bool]) -> tuple[list[str], int]:
        """Remove those that no container has, and that are `wanted` away: their names, and the bytes freed."""
        graves: dict[str, Path] = {}
        with self._store.taking():
            used = usage.users(self._paths.containers, strict=True)
            for name, found in self.list():
                if name in used or not wanted(name, found):
                    continue
                with contextlib.suppress(Conflict):  # it is being read or filled
                    graves[name] = self._store.bury(name)
                    self._journal.volume("destroy", name)
        freed = 0
        for grave in graves.values():
            freed += measure.content(grave / DATA)
            delete_left(grave)
        self._journal.pruned(Kind.VOLUME, freed)
        return list(graves), freed

    # -- whole contents ------------------------------------------------------------------------------

    def export(self, name: str) -> Iterator[bytes]:
        """Its content as an archive, which has begun when this returns; it cannot be removed meanwhile."""
        pieces = self._exported(name, self._store.get(name))
        return chain([next(pieces)], pieces)

    def _exported(self, name: str, found: Volume) -> Iterator[bytes]:
        with self._contents.read(name, found) as target:
            yield from filling.packed(target.data)

    def import_(self, name: str, content: Iterable[bytes], labels: Mapping[str, str]) -> None:
        """A new volume of an archive (plain, or compressed with gzip, bzip2, xz or zstd), or the content of one that is
        empty: all of it, or nothing is changed. Conflict: there is something in it already.
        """
        volume.check_name(name)
        archive = filling.Archive(unwrapped(content))
        if not self._is_there(name):
            self._begin(name, labels, archive, "import")
            return
        if labels:
            raise Conflict(f"import {name}: the volume exists already, and keeps its labels")
        found = self._store.get(name)
        with self._contents.emptied(name, found) as target:
            if found.filesystem is not None:  # it has to be unpacked right there
                filling.fill(target, archive)
                return
        with self._store.draft() as draft:  # which may take long, as its client likes: without the lock
            with filling.beside(draft) as target:
                filling.unpack(target.data, archive)
            with self._contents.emptied(name, self._store.get(name)) as target:
                filling.take(target, draft / DATA)

    def clone(self, source: str, name: str) -> None:
        """A new volume with the same content and labels, on this machine whatever the other one is."""
        volume.check_name(name)
        found = self._store.get(source)
        if self._is_there(name):
            raise Conflict(f"clone {name}: a volume with this name exists already")
        labels = _named(found.labels)
        with self._contents.read(source, found) as target:
            self._begin(name, labels, Copying(target.data), "clone")

    def _begin(self, name: str, labels: Mapping[str, str], content: filling.Content, verb: str) -> None:
        """It gets its name when all of it is on the disk."""
        made = Volume(created=time.time(), labels=dict(labels))
        with self._store.draft() as draft:
            with filling.beside(draft) as target:
                filling.unpack(target.data, content)
            if self._is_there(name) or not self._store.publish(draft, name, made):
                raise Conflict(f"{verb} {name}: a volume with this name exists already")
        self._journal.volume("create", name)

    # -- for containers ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def ready(self, points: Iterable[Point], content: Content) -> Iterator[None]:
        """All volumes of a container that is being created: made where they are missing, filled where they are empty.

        `content` opens what the image has at a mount point. Nobody takes them away during this block; if it fails,
        those that were made for it go. But others may know a name, and may have used that volume meanwhile: only an
        empty one goes.
        """
        wanted = [point for point in points if point.kind == "volume"]
        made: list[Point] = []
        try:
            with self._prepared(wanted, made, content) if wanted else contextlib.nullcontext():
                yield
        except BaseException:
            self.discard(point.name for point in made if point.anonymous)
            self.discard((point.name for point in made if not point.anonymous), empty=True)
            raise

    @contextlib.contextmanager
    def _prepared(self, wanted: Sequence[Point], made: list[Point], content: Content) -> Iterator[None]:
        """Filling may take long, and only that one volume is locked then. So somebody may take away a volume that is
        ready, while others are not: it is made again."""
        ready: dict[str, Inode | None] = {}
        while True:
            with self._store.using():
                lacking = [point for point in wanted
                           if ready.get(point.name) is None or ready[point.name] != self._store.identity(point.name)]
                if not lacking:
                    yield
                    return
            for point in lacking:
                ready[point.name] = self._prepare(point, made, content)

    def _is_there(self, name: str) -> bool:
        try:
            self._store.get(name)
        except NotFound:
            return False
        return True

    def _prepare(self, point: Point, made: list[Point], content: Content) -> Inode | None:
        """Which volume that was, to see later whether it still is; None: somebody has taken it away meanwhile."""
        volume.check_driver(point.name, point.making.driver)
        if not self._is_there(point.name):
            made.append(point)
            labels = {**point.making.labels, **({ANONYMOUS: ""} if point.anonymous else {})}
            self.create(point.name, point.making.driver, point.making.options, labels)
        found = self._store.identity(point.name)
        try:
            if point.copy and not point.subpath:
                self._fill(point, content)
        except PydockerError:
            if found is not None and found == self._store.identity(point.name):
                raise
            return None
        return found

    def _fill(self, point: Point, content: Content) -> None:
        """Only an empty one needs the lock, for which an export would have to be waited for; and another file system
        is only mounted if there is something to put into it: its server may be down, until the container starts."""
        found = self._store.get(point.name)
        if found.filesystem is None:
            with self._contents.target(self._paths.volume(point.name), found) as target:
                if target.settled():
                    return
        elif self._contents.vanishes(point.name, found) or not _has(content, point):
            return
        with self._store.filling(point.name) as directory, self._contents.target(directory, found) as target:
            filling.finish(target)
            if target.names():
                return
            with content(point) as handle:
                if handle is not None:
                    filling.fill(target, Copying(handle))

    def data(self, name: str) -> str:
        """Where its content lies, or would lie: Docker's mount point."""
        return str(self._paths.volume_data(name))

    def source(self, point: Point) -> Source:
        """Where the content of a container's volume comes from, or would, if it is not there yet."""
        try:
            volume = self._store.get(point.name)
        except NotFound:
            volume = Volume(created=0.0, options=point.making.options)
        return Source(data=self.data(point.name), subpath=point.subpath, filesystem=volume.filesystem)

    def check(self, points: Iterable[Point]) -> None:
        """NotFound: a container's volume is not there any more."""
        for point in points:
            if point.kind == "volume":
                self._store.get(point.name)

    def discard(self, names: Iterable[str], *, empty: bool = False) -> None:
        """Remove those of these that no container has (and, if asked so, that are empty)."""
        for name in names:
            try:
                self.remove(name, empty=empty)
            except (NotFound, Conflict):
                continue
            except PydockerError as error:
                _log.warning("volume %s is not removed: %s", name, error)

    # last in the class: it takes the name of the type

    def list(self) -> list[Named]:
        """All of them, by name; a damaged record hides no other volume."""
        found = []
        for name in self._store.names():
            try:
                found.append((name, self._store.get(name)))
            except NotFound:  # it was removed just now
                continue
            except PydockerError as error:
                _log.warning("volume %s: %s", name, error)
        return found
