"""Attacks on `cp` (SECURITY.md, table 2), made on the engine's own functions and judged by a canary of the host's.

A container's root may do whatever it likes to its files, at any moment. The racers exchange names for as long as
PYDOCKER_RACE_SECONDS says (1: a glance; cyphar's own took minutes).
"""

import bz2
import ctypes
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pydocker.containers.archive import Archives, Options, _root_of
from pydocker.containers.options import WaitCondition
from pydocker.errors import Conflict, InvalidParameter, NotFound, NotModified, PydockerError
from pydocker.layers.limits import ArchiveError
from pydocker.layers.place import BENEATH, Place, Rules
from pydocker.layers.tar import Reader
from pydocker.storage import locks
from runtime.linux.openat2 import openat2
from tests.root.containers.room import Between, Room, descriptors, wait_until

SECONDS = float(os.environ.get("PYDOCKER_RACE_SECONDS", "1"))
SECRET = b"the host's own secret"
EXCHANGE = 2
Tar = Callable[[tarfile.TarFile], None]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """The host's files; whatever happens, they are what they were: names, contents, modes, owners, times."""
    path = tmp_path / "canary"
    (path / "sub").mkdir(parents=True)
    (path / "secret").write_bytes(SECRET)
    (path / "secret").chmod(0o600)
    before = described(path)
    yield path
    assert described(path) == before


def described(path: Path) -> list[tuple[object, ...]]:
    found = []
    for one in sorted((path, *path.rglob("*"))):
        there = one.lstat()
        content = one.read_bytes() if stat.S_ISREG(there.st_mode) else b""
        found.append((one, there.st_mode, there.st_uid, there.st_gid, there.st_nlink, there.st_mtime_ns, content))
    return found


def archive(*entries: tuple[str, str, str | bytes]) -> bytes:
    """`(name, kind, link target or content)`, kinds as tarfile's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, value in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind.encode(), 0o777
            content = value if isinstance(value, bytes) else b""
            member.linkname, member.size = value if isinstance(value, str) else "", len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


FILE, HARD, LINK, DIRECTORY, FIFO = "0", "1", "2", "5", "6"


def running(room: Room, script: str) -> str:
    id = room.create("sh", "-c", f"{script}; touch /ready; sleep 1000")
    room.containers.start(id)

    def ready() -> bool:
        with suppress(NotFound):
            return bool(room.containers.path_stat(id, "/ready"))
        return False

    wait_until(ready)
    return id


def stopped(room: Room, script: str) -> str:
    id = room.create("sh", "-c", script)
    waiter = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    room.containers.start(id)
    assert waiter.result() == 0, room.log(id)
    return id


def taken(room: Room, id: str, path: str) -> bytes:
    return b"".join(room.containers.archive(id, path)[1])


def put(room: Room, id: str, path: str, content: bytes | Iterable[bytes], *, replace: bool = True,
        to_user: bool = False) -> None:
    pieces = [content] if isinstance(content, bytes) else content
    room.containers.extract(id, path, pieces, replace_directories=replace, to_user=to_user)


@contextmanager
def exchanging(root: int, one: str, other: str) -> Iterator[list[int]]:
    """Two names of a container exchanged all the while, as fast as its own processes could; yields the count."""
    libc, ended, count = ctypes.CDLL(None, use_errno=True), threading.Event(), [0]
    parent = openat2(root, "/race", os.O_PATH)

    def run() -> None:
        while not ended.is_set():
            count[0] += libc.renameat2(parent, one.encode(), parent, other.encode(), EXCHANGE) == 0

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()
        os.close(parent)


def test_a_link_exchanged_for_a_directory(room: Room, canary: Path) -> None:
    """CVE-2018-15664, CVE-2019-10152, CVE-2026-41568: reading and writing, with the path swapped under our hands."""
    id = running(room, f"mkdir -p /race/real/sub; echo inside > /race/real/secret; ln -s {canary} /race/link")
    root = _root_of(room.containers.get(id))
    assert root is not None
    ends = dict.fromkeys(("read", "not there", "written", "refused"), 0)
    planted = archive(("planted", FILE, b"evil"), ("sub/", DIRECTORY, ""), ("sub/deep", FILE, b"evil"))
    deadline = time.monotonic() + SECONDS
    with exchanging(root, "real", "link") as swaps:
        while (time.monotonic() < deadline or swaps[0] <= 100
               or not all((ends["read"], ends["not there"], ends["written"]))):
            for path in ("/race/real/secret", "/race/real/", "/race"):
                try:
                    assert SECRET not in taken(room, id, path)
                    ends["read"] += 1
                except (NotFound, InvalidParameter):
                    ends["not there"] += 1
            try:
                put(room, id, "/race/real", planted)
                ends["written"] += 1
            except PydockerError:
                ends["refused"] += 1
            assert time.monotonic() < deadline + 60, (swaps, ends)
    os.close(root)


def test_a_directory_of_the_archive_exchanged_for_a_link(room: Room, canary: Path) -> None:
    """What is put into a directory that the archive itself has made does not follow whoever takes its place."""
    id = running(room, f"mkdir -p /race/other /etc; echo own > /etc/own; chmod 600 /etc/own; ln -s /etc /race/link; "
                       f"ln -s {canary} /race/out")
    root = _root_of(room.containers.get(id))
    assert root is not None
    content = archive(("d/", DIRECTORY, ""), *((f"d/f{at}", FILE, b"x" * 600) for at in range(60)))
    deadline = time.monotonic() + SECONDS / 2
    with exchanging(root, "d", "link"):
        while time.monotonic() < deadline:
            with suppress(PydockerError):
                put(room, id, "/race", content)
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/etc"))) as found:
        assert found.getmember("etc").mode == 0o755 and found.getmember("etc/own").mode == 0o600
    os.close(root)


@pytest.mark.parametrize("state", [running, stopped])
def test_links_out_of_the_root(room: Room, canary: Path, state: Callable[[Room, str], str]) -> None:
    up = "../" * 20
    id = state(room, f"ln -s {canary} /absolute; ln -s {up}{str(canary)[1:]} /relative; ln -s / /root-link; "
                     f"ln -s /proc/1/root /magic; mkdir /d; ln -s {canary}/secret /d/secret")
    for path in ("/absolute/secret", "/relative/secret", f"/{up}{canary}/secret", f"/root-link{canary}/secret",
                 f"/magic{canary}/secret", "/proc/self/root/etc/shadow", "/proc/self/environ"):
        with pytest.raises(PydockerError):
            taken(room, id, path)
        with pytest.raises(PydockerError):
            put(room, id, path.rpartition("/")[0], archive(("secret", FILE, b"evil")))
    assert SECRET not in taken(room, id, "/d")
    for evil in EVIL.values():
        with suppress(PydockerError):
            put(room, id, "/d", archive(*((name, kind, told(value, canary)) for name, kind, value in evil)))
    put(room, id, "/d", archive(("secret", FILE, b"its own")))  # the link is replaced, not followed
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/d/secret"))) as found:
        assert found.extractfile("secret").read() == b"its own"  # type: ignore[union-attr]


EVIL: dict[str, list[tuple[str, str, str | bytes]]] = {
    "up": [("../canary/planted", FILE, b"evil")],
    "far up": [("../" * 30 + "CANARY/planted", FILE, b"evil")],
    "absolute": [("CANARY/planted", FILE, b"evil")],
    "link, then through it": [("l", LINK, "CANARY"), ("l/planted", FILE, b"evil")],
    "relative link": [("l", LINK, "../canary"), ("l/planted", FILE, b"evil")],
    "link to the parent": [("l", LINK, ".."), ("l/canary/planted", FILE, b"evil")],
    "chain of links": [("a", LINK, "b"), ("b", LINK, "c"), ("c", LINK, "../canary"), ("a/planted", FILE, b"evil")],
    "link, then written to": [("l", LINK, "CANARY/secret"), ("l", FILE, b"evil")],
    "link, then its mode": [("l", LINK, "CANARY"), ("l", DIRECTORY, "")],
    "hard link": [("h", HARD, "CANARY/secret"), ("h", FILE, b"evil")],
    "hard link up": [("h", HARD, "../canary/secret"), ("h", FILE, b"evil")],
    "hard link through a link": [("l", LINK, "../canary"), ("h", HARD, "l/secret"), ("h", FILE, b"evil")],
    "directory through a link": [("l", LINK, "../canary"), ("l/sub", DIRECTORY, ""), ("l/new", DIRECTORY, "")],
    "link in a directory": [("d", DIRECTORY, ""), ("d/l", LINK, "../../canary"), ("d/l/planted", FILE, b"evil")],
    "directory replaced by a link": [("d", DIRECTORY, ""), ("d/x", FILE, b""), ("d", LINK, "../canary"),
                                     ("d/planted", FILE, b"evil")],
    "dots in the middle": [("d", DIRECTORY, ""), ("d/../../canary/planted", FILE, b"evil")],
}


def told(value: str | bytes, canary: Path) -> str | bytes:
    return value.replace("CANARY", str(canary)) if isinstance(value, str) else value


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("keep", [True, False])
def test_an_archive_that_comes_out_of_a_container(tmp_path: Path, canary: Path, evil: str, keep: bool) -> None:
    """CVE-2026-17106, CVE-2021-41089: the command line's side, in the caller's own directory."""
    (tmp_path / "here").mkdir()
    root = os.open(tmp_path / "here", os.O_PATH | os.O_DIRECTORY)
    content = archive(*((name.replace("CANARY", str(canary)), kind, told(value, canary))
                        for name, kind, value in EVIL[evil]))
    try:
        with suppress(ArchiveError, PydockerError), \
                Place(root, rules=Rules(keep_owner=keep, replace_directories=True), resolve=BENEATH) as place:
            place.take(Reader(iter([content])))
    finally:
        os.close(root)
    assert sorted(os.listdir(tmp_path)) == ["canary", "here"]


def test_what_is_in_the_way_is_never_opened(room: Room) -> None:
    """A FIFO would hang, a device would act: both are replaced, and told as what they are."""
    id = running(room, "mkfifo /fifo; mknod /null c 1 3; mknod /loop b 7 99; mkdir /d; mkfifo /d/fifo")
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/d"))) as found:
        assert found.getmember("d/fifo").isfifo()
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/loop"))) as found:
        assert (found.getmember("loop").isblk(), found.getmember("loop").devminor) == (True, 99)
    put(room, id, "/", archive(*((name, FILE, b"text") for name in ("fifo", "null", "loop"))), replace=False)
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/null"))) as found:
        assert found.extractfile("null").read() == b"text"  # type: ignore[union-attr]
    with pytest.raises(InvalidParameter, match="extraction point is not a directory"):
        put(room, id, "/fifo", archive(("x", FILE, b"")))


def test_nothing_of_the_image_is_loaded_or_run(room: Room, tmp_path: Path) -> None:
    """CVE-2019-14271, CVE-2026-41567: evil libraries, Python modules and decompressors, and a passwd that hangs."""
    marker = tmp_path / "marker"
    source = tmp_path / "evil.c"
    source.write_text('#include <fcntl.h>\n__attribute__((constructor)) static void evil(void) '
                      f'{{ open("{marker}", O_CREAT, 0600); open("/marker", O_CREAT, 0600); }}\n')
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "evil.so", source], check=True)
    library, module = (tmp_path / "evil.so").read_bytes(), f"open({str(marker)!r}, 'w')\n".encode()
    script = f"#!/bin/sh\ntouch /marker {marker}\n".encode()
    id = running(room, "rm /etc/passwd; mkfifo /etc/passwd /etc/group")
    libraries = [f"{where}/libnss_{name}.so.2" for where in ("lib", "lib64", "lib/x86_64-linux-gnu", "usr/lib")
                 for name in ("files", "compat", "dns")]
    modules = [f"usr/lib/python3/{name}" for name in ("encodings/__init__.py", "sitecustomize.py", "pwd.py")]
    put(room, id, "/", archive(
        *((path, FILE, library) for path in libraries), *((path, FILE, module) for path in modules),
        *((f"{where}/{tool}", FILE, script) for where in ("bin", "usr/bin") for tool in ("xz", "unpigz", "tar")),
        ("etc/nsswitch.conf", FILE, b"passwd: compat files dns\n")))
    for at, compress in enumerate((lzma.compress, bz2.compress, gzip.compress, zstandard.compress)):
        put(room, id, "tmp", compress(archive((f"packed{at}", FILE, b"text"))))
        with tarfile.open(fileobj=io.BytesIO(taken(room, id, "tmp"))) as found:
            assert found.getmember(f"tmp/packed{at}").size == 4
    other = room.create("sleep", "1000", user="user")
    put(room, other, "tmp", archive(("mine", FILE, b"")), to_user=True)
    with tarfile.open(fileobj=io.BytesIO(taken(room, other, "tmp/mine"))) as found:
        assert found.getmember("mine").uid == 1000
    assert not marker.exists()
    with pytest.raises(NotFound):
        room.containers.path_stat(id, "/marker")


def test_the_hosts_mount_table_does_not_change(room: Room) -> None:
    """CVE-2026-42306: a stopped container is mounted for the copy, and nobody else sees it, not even while it lasts."""
    id = stopped(room, "mkdir /d; head -c 3000000 /dev/zero > /d/zeros")
    before = Path("/proc/self/mountinfo").read_text()
    _, pieces = room.containers.archive(id, "/d")
    next(pieces)
    assert Path("/proc/self/mountinfo").read_text() == before
    assert sum(map(len, pieces)) > 1_000_000


@pytest.mark.parametrize("state", [running, stopped])
def test_the_kernels_own_file_systems_are_empty(room: Room, state: Callable[[Room, str], str]) -> None:
    """A copy of everything is no walk through /proc; and nothing is put there."""
    id = state(room, "echo x > /here")
    with tarfile.open(fileobj=io.BytesIO(taken(room, id, "/"))) as found:
        names = set(found.getnames())
    assert {"/here", "/proc", "/sys", "/dev"} <= names
    assert not [name for name in names if name.startswith(("/proc/", "/sys/", "/dev/"))]
    for path in ("/proc/self", "/proc/sys/kernel", "/sys/kernel"):
        with pytest.raises(PydockerError):
            put(room, id, path, archive(("core_pattern", FILE, b"|evil")))


def test_copies_that_are_broken_off_leave_nothing_open(room: Room) -> None:
    """A reader that goes away, an upload that stops half way: no descriptor of a container's stays, and no lock."""
    script = "mkdir /d; head -c 3000000 /dev/zero > /d/zeros"
    before = None
    for id in (running(room, script), stopped(room, script)):
        for _ in range(3):
            _, pieces = room.containers.archive(id, "/d")
            next(pieces)
            del pieces
            exported = room.containers.export(id)
            next(exported)
            del exported
            with pytest.raises(ArchiveError, match="unexpected end"):
                put(room, id, "/d", iter([archive(("half", FILE, b"x" * 100_000))[:50_000]]))
            with pytest.raises(NotFound):
                room.containers.archive(id, "/nowhere")
            if before is None:
                before = descriptors(os.getpid())
            assert descriptors(os.getpid()) == before
    room.containers.start(id)
    room.containers.remove(id, force=True)


def test_one_that_is_started_meanwhile_is_not_mounted_twice(room: Room) -> None:
    id = room.create("sleep", "1000")
    states = []

    def content() -> Iterator[bytes]:
        states.append((room.containers.get(id).state.running, locks.is_held(room.paths.container(id) / "lock")))
        yield archive(("new", FILE, b"text"))

    def start() -> None:
        with suppress(NotModified):
            room.containers.start(id)

    real = room.containers._archives
    lifecycle: Any = Between(real._lifecycle, before_lock=start)
    raced = Archives(room.paths, real._statuses, lifecycle, real._files, real._seen)
    raced.put(id, "tmp", content(), Options(replace_directories=True, to_user=False))
    assert states == [(True, False)]  # through its init's root, without the lock that a mount needs
    assert room.exec(id, "cat", "tmp/new")[1].rest().endswith(b"text")


def test_one_that_ends_meanwhile_is_written_to_all_the_same(room: Room) -> None:
    id = running(room, "true")
    alive = room.containers.get(id)
    room.containers.stop(id, 0, None)
    real = room.containers._archives
    statuses: Any = Between(real._statuses, seen=[alive])
    raced = Archives(room.paths, statuses, real._lifecycle, real._files, real._seen)
    raced.put(id, "tmp", [archive(("new", FILE, b"text"))], Options(replace_directories=True, to_user=False))
    assert b"text" in taken(room, id, "tmp/new")


def test_one_that_waits_for_its_next_run_is_said_to(room: Room) -> None:
    id = room.restarting()
    with pytest.raises(Conflict, match="is restarting, wait until the container is running"):
        put(room, id, "tmp", archive(("new", FILE, b"text")))
