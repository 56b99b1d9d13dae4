"""kill -9 at every step of what changes volumes: what was there is there, and what was begun is whole or not there.

A child process does the work, and kills itself when it is about to make its n-th system call of those that Python has
an audit event for (open, mkdir, rename, chown, …); n goes up until it comes to its end. Each time an engine that
starts afterwards (`recover`) finds things in order.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pydocker.errors import Conflict, NotFound, PydockerError
from pydocker.model.point import Point
from pydocker.paths import Paths
from pydocker.storage.locks import is_held
from pydocker.volumes.service import Volumes

EVENTS = ("open", "os.", "shutil.", "fcntl.", "ctypes.")
FILES = {"a": b"first", "d/b": b"second" * 1000, "d/e/c": b""}


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.mode = len(data), 7, 0o640
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Ground:
    """A data root without an engine, and one volume with something in it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "run")
        self.paths.make()
        self.image = root / "image"
        (self.image / "d/e").mkdir(parents=True)
        for name, data in FILES.items():
            (self.image / name).write_bytes(data)
        os.chmod(self.image, 0o2751)
        os.chown(self.image, 70, 71)
        self.volumes().import_("kept", iter([archive()]), {"a": "b"})

    def volumes(self) -> Volumes:
        return Volumes(self.paths, "/")

    @contextmanager
    def opened(self, point: Point) -> Iterator[int]:
        fd = os.open(self.image, os.O_PATH)
        try:
            yield fd
        finally:
            os.close(fd)

    def fill(self) -> None:
        with self.volumes().ready([Point(kind="volume", name="new", destination="/x")], self.opened):
            pass

    def names(self) -> list[str]:
        return [name for name, _ in self.volumes().list()]

    def data(self, name: str) -> dict[str, bytes]:
        return content(self.paths.volume_data(name))


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that kills itself at its n-th step; whether it came to that."""
    pid = os.fork()
    if pid == 0:
        try:
            left = [step]

            def hook(event: str, arguments: object) -> None:
                if event.startswith(EVENTS):
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL), f"step {step}: the work failed"
    return status != 0


def steps(work: Callable[[], object], check: Callable[[int], None], stride: int = 1) -> int:
    """Kill it at every step (or every second, …), and check each time; how many there were."""
    step = 1
    while killed_at(step, work):
        check(step)
        step += stride
    check(step)
    return step


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def recovered(ground: Ground, left: Sequence[str] = ()) -> list[str]:
    """What there is when an engine has started; nothing else is left."""
    ground.volumes().recover()
    assert os.listdir(ground.paths.temporary) == [*left]
    for name in ground.names():
        assert {*os.listdir(ground.paths.volume(name))} <= {"_data", "volume.json", "lock"}
    assert ground.data("kept" if "kept" in ground.names() else "moved") == FILES
    return ground.names()


def test_first_content_is_whole_or_not_there(ground: Ground) -> None:
    seen = set()

    def check(step: int) -> None:
        if "new" not in recovered(ground):
            seen.add("no volume")
            return
        there = ground.data("new")
        assert there in ({}, FILES), f"step {step}: {there.keys()}"
        seen.add("full" if there else "empty")
        if there:
            status = ground.paths.volume_data("new").stat()
            assert (status.st_uid, status.st_gid, oct(status.st_mode & 0o7777)) == (70, 71, "0o2751")
        ground.volumes().remove("new")

    assert steps(ground.fill, check) > 40
    assert seen == {"no volume", "empty", "full"}


def test_the_next_use_goes_on_where_somebody_was_killed(ground: Ground) -> None:
    """Without any engine's start in between: and what a container has made meanwhile is not overwritten."""
    seen = set()

    def check(step: int) -> None:
        if "new" in ground.names():
            mine = ground.paths.volume_data("new") / "a"
            if not mine.exists() and (ground.paths.volume("new") / "_filled").exists():
                mine.write_bytes(b"a container's")
                seen.add("written meanwhile")
        ground.fill()
        there = ground.data("new")
        assert there in (FILES, {**FILES, "a": b"a container's"}), f"step {step}"
        ground.volumes().remove("new")

    steps(ground.fill, check, stride=3)
    assert seen == {"written meanwhile"}


def test_import_into_an_empty_volume(ground: Ground) -> None:
    def work() -> None:
        ground.volumes().import_("new", iter([archive()]), {})

    ground.volumes().create("new", "", {}, {})

    def check(step: int) -> None:
        assert "new" in recovered(ground)
        there = ground.data("new")
        assert there in ({}, FILES), f"step {step}"
        if there:
            ground.volumes().remove("new")
            ground.volumes().create("new", "", {}, {})

    assert steps(work, check) > 30


def test_an_import_whose_client_takes_its_time_holds_up_nobody(ground: Ground) -> None:
    def slowly() -> Iterator[bytes]:
        yield archive()[:600]
        assert not is_held(ground.paths.volume("new") / "lock")
        ground.fill()
        yield archive()[600:]

    ground.volumes().create("new", "", {}, {})
    with pytest.raises(Conflict, match="volume is not empty"):
        ground.volumes().import_("new", slowly(), {})
    assert recovered(ground) == ["kept", "new"]
    assert ground.data("new") == FILES


def test_a_first_content_that_takes_its_time_holds_up_nobody(ground: Ground) -> None:
    """But those who want that very volume: it is refused, or waited for."""
    opened = []

    @contextmanager
    def slowly(point: Point) -> Iterator[int]:
        opened.append(point.name)
        others = ground.volumes()
        others.create("other", "", {}, {})
        others.rename("other", "another")
        others.remove("another")
        for take in (others.remove, lambda name: others.rename(name, "else")):
            with pytest.raises(Conflict, match="new: volume is in use - it is being"):
                take("new")
        assert others.prune(lambda name, found: name != "kept") == ([], 0)
        for thread in waiting:
            thread.start()
        with ground.opened(point) as fd:
            yield fd

    def fill() -> None:
        with ground.volumes().ready([Point(kind="volume", name="new", destination="/x")], slowly):
            assert ground.data("new") == FILES

    waiting = [threading.Thread(target=fill) for _ in range(3)]
    fill()
    for thread in waiting:
        thread.join()
    assert opened == ["new"]
    assert recovered(ground) == ["kept", "new"]


def test_what_is_taken_away_before_its_container_is_there_is_made_again(ground: Ground) -> None:
    """Of two volumes the first is ready, and nobody's yet, while the second is filled."""
    points = [Point(kind="volume", name=name, destination=f"/{name}") for name in ("first", "second", "third")]
    takes: list[Callable[[], object]] = [
        lambda: ground.volumes().remove("first"), lambda: ground.volumes().rename("second", "away"),
        lambda: ground.volumes().prune(lambda name, found: name != "kept")]

    @contextmanager
    def evil(point: Point) -> Iterator[int]:
        if point.name == "third" and takes:
            takes.pop()()
        with ground.opened(point) as fd:
            yield fd

    while takes:
        left = len(takes)
        with ground.volumes().ready(points, evil):
            for point in points:
                assert ground.data(point.name) == FILES
        assert len(takes) == left - 1
        ground.volumes().prune(lambda name, found: name != "kept")


def test_what_somebody_removes_all_the_time_can_be_used(ground: Ground) -> None:
    ended = threading.Event()

    def remove() -> None:
        while not ended.is_set():
            with suppress(Conflict, NotFound):
                ground.volumes().remove("new")

    def use() -> None:
        for _ in range(40):
            with ground.volumes().ready([Point(kind="volume", name="new", destination="/x")], ground.opened):
                assert ground.data("new") == FILES
            ground.volumes().create("new", "", {}, {})

    with ThreadPoolExecutor(3) as pool:
        removing = pool.submit(remove)
        using = [pool.submit(use) for _ in range(2)]
        try:
            for one in using:
                one.result()
        finally:
            ended.set()
        removing.result()


def test_what_cannot_be_deleted_is_told_and_holds_up_no_other(ground: Ground) -> None:
    volumes = ground.volumes()
    for verb in ("remove", "prune"):
        for name in ("evil", "good"):
            volumes.clone("kept", name)
        subprocess.run(("chattr", "+i", f"{volumes.data('evil')}/d/b"), check=True)
        if verb == "prune":
            assert volumes.prune(lambda name, found: name != "kept")[0] == ["evil", "good"]
        else:
            with pytest.raises(PydockerError, match="remove evil: operation not permitted: the volume is gone, and"):
                volumes.remove("evil")
            volumes.remove("good")
        left, = ground.paths.temporary.iterdir()
        subprocess.run(("chattr", "-R", "-i", left), check=True)
        assert recovered(ground) == ["kept"]


@pytest.mark.parametrize(("looks", "words"), [(0, "the volume is in memory, and no"), (1, "volume is not empty")])
def test_an_import_into_memory_that_nobody_has_any_more(ground: Ground, looks: int, words: str) -> None:
    """The last container that has it may end after we have looked: nothing is put where it would be gone at once."""
    ground.volumes().create("memory", "", {"type": "tmpfs", "device": "tmpfs"}, {})
    held = [os.open(ground.image / "d/e", os.O_PATH) for _ in range(looks)]
    volumes = Volumes(ground.paths, "/", lambda name: held.pop() if held else None)
    with pytest.raises(Conflict, match=f"import memory: {words}"):
        volumes.import_("memory", iter([archive()]), {})


def test_what_cannot_be_deleted_prevents_no_start(ground: Ground) -> None:
    left = ground.paths.temporary / "volume-left"
    (left / "_data/d").mkdir(parents=True)
    subprocess.run(("mount", "-t", "tmpfs", "tmpfs", left / "_data/d"), check=True)
    assert recovered(ground, ["volume-left"]) == ["kept"]
    subprocess.run(("umount", left / "_data/d"), check=True)
    assert recovered(ground) == ["kept"]


@pytest.mark.parametrize("verb", ["import", "clone", "rename", "remove", "prune"])
def test_names_come_and_go_at_once(ground: Ground, verb: str) -> None:
    kept = ground.volumes()
    work: dict[str, Callable[[], object]] = {
        "import": lambda: kept.import_("new", iter([archive()]), {"c": "d"}),
        "clone": lambda: kept.clone("kept", "new"),
        "rename": lambda: kept.rename(*(("kept", "moved") if "kept" in ground.names() else ("moved", "kept"))),
        "remove": lambda: kept.remove("new"),
        "prune": lambda: kept.prune(lambda name, found: name == "new"),
    }

    def check(step: int) -> None:
        names = recovered(ground)
        assert names in (["kept"], ["moved"]) if verb == "rename" else "kept" in names
        if "new" in names:
            assert ground.data("new") == FILES, f"step {step}"
        if verb in ("import", "clone") and "new" in names:
            assert ground.volumes().get("new").labels == ({"c": "d"} if verb == "import" else {"a": "b"})
            ground.volumes().remove("new")
        if verb in ("remove", "prune") and "new" not in names:
            ground.volumes().clone("kept", "new")

    if verb in ("remove", "prune"):
        kept.clone("kept", "new")
    assert steps(work[verb], check) > 5


def test_what_others_have_put_into_a_volume_outlives_the_creation_that_made_it(ground: Ground) -> None:
    points = [Point(kind="volume", name=name, destination=f"/{name}", copy=False) for name in ("used", "unused")]
    with pytest.raises(RuntimeError), ground.volumes().ready(points, ground.opened):
        (ground.paths.volume_data("used") / "a").write_bytes(b"a container's")  # which is gone already: run --rm
        raise RuntimeError
    assert ground.names() == ["kept", "used"]
    assert ground.data("used") == {"a": b"a container's"}


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """What was begun is undone, and what is there can be removed: that needs no room."""
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path), check=True)
    try:
        ground = Ground(tmp_path)
        volumes = ground.volumes()
        volumes.create("empty", "", {}, {})
        (ground.image / "large").write_bytes(bytes(range(256)) * 1600)
        large = io.BytesIO()
        with tarfile.open(fileobj=large, mode="w") as tar:
            tar.add(ground.image / "large", "large")
        with (tmp_path / "ballast").open("wb", buffering=0) as ballast:
            while os.statvfs(tmp_path).f_bavail > 8:
                ballast.write(bytes(4096))
        works: list[Callable[[], object]] = [
            ground.fill, lambda: volumes.import_("new", iter([large.getvalue()]), {}),
            lambda: volumes.import_("empty", iter([large.getvalue()]), {})]
        for work in works:
            with pytest.raises(PydockerError, match="large: no space left on device"):
                work()
            assert recovered(ground) == ["empty", "kept"] and ground.data("empty") == {}
        with (tmp_path / "ballast").open("ab", buffering=0) as ballast, pytest.raises(OSError, match="No space"):
            while True:
                ballast.write(bytes(512))
        for refused in (lambda: volumes.create("new", "", {}, {}), lambda: volumes.clone("kept", "new")):
            with pytest.raises((PydockerError, OSError), match=r"(?i)no space left on device"):
                refused()
            assert recovered(ground) == ["empty", "kept"]
        volumes.remove("empty")
        volumes.rename("kept", "moved")
        assert recovered(ground) == ["moved"]
    finally:
        subprocess.run(("umount", "-l", tmp_path), check=True)
