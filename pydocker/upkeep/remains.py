"""The rest: what nobody refers to, what nobody works on any more, and what a container has lost.

Whatever is being made is locked by its maker, so what is not locked is what a crash left. Two things have no lock of
their own, a container's directory on its way in or out: these count as left after a minute.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydocker.containers import Containers
from pydocker.containers.store import is_one
from pydocker.errors import NotFound, PydockerError
from pydocker.images.partial import is_kept
from pydocker.images.store import ImageStore
from pydocker.monitor import remains
from pydocker.monitor.launch import LOCK
from pydocker.paths import Paths
from pydocker.storage import documents, locks
from pydocker.upkeep.findings import Finding, Findings, Summary
from runtime.linux import mounts

_UNLOCKED = ("container-", "removed-")
_LEFT = 60.0  # seconds
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TEMPORARY = re.compile(r"(?:blob|container|layer|lease|partial|pull|removed|terms|volume)-.+|check\.lock|tmp\w{8}|"
                        + documents.LEFT.pattern, re.ASCII)


def check(store: ImageStore, containers: Containers, summary: Summary) -> Findings:
    """Everything but what images refer to."""
    yield from _containers(store, containers, summary)
    yield from _names(store.paths)
    yield from _runs(store.paths)
    yield from _mounts(store.paths)
    yield from _orphans(store)
    yield from _temporary(store.paths)


def _orphans(store: ImageStore) -> Findings:
    try:
        orphans = store.orphans()
    except PydockerError:
        yield Finding("what nobody needs", "cannot be told while one image or container is damaged", "mend that first")
        return
    found = [(f"blob {blob}", store.blobs.size(blob)) for blob in sorted(orphans.blobs)]
    found += [(f"layer {chain}", store.reader.layer_size(chain)) for chain in sorted(orphans.layers)]
    for subject, size in found:  # the first one's removal is the removal of all
        yield Finding(subject, f"nothing refers to it ({size} bytes)", "removed", store.collect)
    for path in store.layers.strangers():
        yield Finding(f"file {path}", "is no layer", "move it away by hand")


def _temporary(paths: Paths) -> Findings:
    for name in sorted(os.listdir(paths.images)):
        if documents.LEFT.fullmatch(name):
            yield from _left(paths.images / name)
    for entry in _listed(paths.temporary):
        yield from (_left if _is_ours(entry) else _strange)(Path(entry.path))


def _listed(directory: Path) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    made = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    return made and _TEMPORARY.fullmatch(entry.name) is not None


def _left(path: Path) -> Findings:
    if _is_left(path):
        yield Finding(f"temporary file {path}", "nobody works on it any more", "removed", partial(_remove, path))


def _strange(path: Path) -> Findings:
    """Whoever put it there may still want it."""
    yield Finding(f"file {path}", "is nothing of pydocker's", "move it away by hand")


def _is_left(path: Path) -> bool:
    try:
        if path.name.startswith(_UNLOCKED) or path.name.endswith(".tmp"):
            return path.lstat().st_mtime < time.time() - _LEFT
        return not (is_kept(path) or locks.is_held(path))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Under its own lock, unless somebody has taken that meanwhile: a lock file is taken up again, a part goes on."""
    with locks.directory(path.parent):
        lock = locks.take(path)
    if lock is None:
        return
    try:
        if path.is_dir():
            remains.delete_tree(path)
        elif not is_kept(path):
            path.unlink()
    finally:
        os.close(lock)


def _containers(store: ImageStore, containers: Containers, summary: Summary) -> Findings:
    for entry in _listed(store.paths.containers):
        if not is_one(entry):
            yield Finding(f"file {entry.path}", "is no container", "move it away by hand")
            continue
        id = entry.name
        summary.containers += 1
        directory = store.paths.container(id)
        try:
            container = containers.get(id)
        except NotFound:
            if directory.is_dir() and not (directory / "config.json").exists():
                yield _lost_record(directory, "its record is missing")
            continue
        except PydockerError as error:
            yield _lost_record(directory, str(error))
            continue
        subject = f"container {container.record.name}"
        if not (directory / "upper").is_dir() and directory.is_dir():
            yield Finding(subject, "its files are gone", "removed",
                          partial(containers.remove, id, force=True))
            continue
        for chain in container.record.layers:
            if not store.layers.has(chain):
                yield Finding(subject, f"the layer {chain} below it is missing", "pull its image again")


def _lost_record(directory: Path, problem: str) -> Finding:
    return Finding(f"container {directory.name[:12]}", problem,
                   f"its files are in {directory / 'upper'}: save what you need, and remove {directory}")


def _names(paths: Paths) -> Findings:
    for link in sorted(paths.names.iterdir()):
        if link.is_symlink() and not paths.container(os.readlink(link)).is_dir():
            yield Finding(f"name {link.name}", "its container is gone", "removed",
                          partial(_release, paths, link))


def _release(paths: Paths, link: Path) -> None:
    with locks.held(paths.names / ".lock"), contextlib.suppress(FileNotFoundError):
        if not paths.container(os.readlink(link)).is_dir():
            link.unlink()


def _runs(paths: Paths) -> Findings:
    for directory in sorted((paths.run / "containers").iterdir()):
        if not _ID.fullmatch(directory.name):
            yield from _strange(directory)
        elif not paths.container(directory.name).is_dir() and not locks.is_held(directory / LOCK):
            yield Finding(f"directory {directory}", "its container is gone", "removed",
                          partial(remains.delete_tree, directory))


def _mounts(paths: Paths) -> Findings:
    """A container's overlay is mounted in its monitor's mount namespace; in the server's, one is a mistake's."""
    for point in _overlays():
        path = Path(point)
        if any(path.is_relative_to(root) for root in (paths.data, paths.run)):
            yield Finding(f"mount {point}", "an overlay that belongs to no monitor", "unmounted",
                          partial(mounts.umount2, point, mounts.MNT_DETACH))


def _overlays() -> Iterator[str]:
    """Mount points of overlays, the innermost first (proc(5), mountinfo; blanks are octal there)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("overlay "):
            found.append(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
    return reversed(found)
