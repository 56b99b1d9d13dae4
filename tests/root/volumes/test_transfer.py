"""Volumes as archives, and their copies: everything that files have, and nothing outside of them."""

import contextlib
import fcntl
import gzip
import io
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from tests.engine import CHECKOUT, Engine
from tests.root.layers.archive import archive, described, entry, folder, hard, link
from tests.root.volumes.test_volumes import data, run, volumes

RICH = [folder(".", 0o2750, uid=70, gid=71), folder("private", 0o700, uid=5), link("link", "/etc/passwd"),
        entry("suid", mode=0o4711, content=b"x", uid=3, xattrs={"user.note": b"n"}), hard("other", "suid"),
        entry("pipe", tarfile.FIFOTYPE, mode=0o622), entry("private/large", content=os.urandom(300_000))]


def send(engine: Engine, content: bytes, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run((sys.executable, "-m", "pydocker", "volume", "import", *argv), input=content, cwd=CHECKOUT,
                          env=engine.environment, capture_output=True, check=False)


def test_there_and_back(engine: Engine, tmp_path: Path) -> None:
    assert send(engine, gzip.compress(archive(RICH)), "--label", "a=b", "first").stdout == b"first\n"
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "first")
    engine.ok("volume", "import", "second", str(tmp_path / "tar"))
    engine.ok("volume", "clone", "first", "third")
    engine.ok("volume", "rename", "third", "fourth")
    first, *others = (described(data(engine, name)) for name in ("first", "second", "fourth"))
    assert len(first) == 7 and first["."][:3] == ("0o42750", 70, 71)
    assert first["suid"][0] == "0o104711" and first["suid"][6] == {"user.note": b"n"}
    assert [*others] == [first, first]
    assert engine.ok("volume", "inspect", "-f", "{{.Labels.a}}", "fourth") == "b"
    with tarfile.open(tmp_path / "tar") as tar:
        assert tar.getmember("./other").pax_headers["SCHILY.xattr.user.note"] == "n"


def test_a_volume_with_something_in_it_is_not_touched(engine: Engine) -> None:
    run(engine, "-v", "kept:/s", "busybox", "touch", "/s/mine")
    engine.ok("volume", "create", "empty")
    for command, words in (("import", "import kept: volume is not empty"),
                           ("clone", "clone kept: a volume with this name exists already"),
                           ("rename", "rename empty: a volume named kept exists already")):
        done = send(engine, archive(RICH), "kept") if command == "import" else None
        err = done.stderr.decode() if done else engine.pydocker("volume", command, "empty", "kept").err
        assert words in err
    assert os.listdir(data(engine, "kept")) == ["mine"]
    assert send(engine, archive(RICH), "empty").returncode == 0
    assert len(described(data(engine, "empty"))) == 7


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(("content", "words"), [
    (b"", "the archive is empty"), (b"no archive at all" * 100, "invalid"), (archive(RICH)[:200_000], "unexpected end"),
    (gzip.compress(archive(RICH))[:200_000], ""), (archive([entry("../../escape")]), "leads outside of the archive"),
    (archive([entry("a"), hard("b", "/etc/passwd")]), "b: no such file"),
    (archive([hard(os.fsdecode(b"\xfe\xff"), "gone")]), "daemon: \ufffd\ufffd: no such file"),
])
def test_what_is_wrong_with_an_archive_changes_nothing(engine: Engine, content: bytes, words: str, existing: bool
                                                       ) -> None:
    if existing:
        engine.ok("volume", "create", "new")
    refused = send(engine, content, "new")
    assert refused.returncode == 1 and words in refused.stderr.decode()
    assert volumes(engine) == (["new"] if existing else [])
    if existing:
        assert [*data(engine, "new").iterdir()] == []
        assert {*os.listdir(data(engine, "new").parent)} <= {"_data", "lock", "volume.json"}


def test_a_volume_that_is_being_exported_can_be_used_and_not_removed(engine: Engine) -> None:
    """An export holds the volume's lock for as long as it takes."""
    run(engine, "-v", "kept:/s", "busybox", "touch", "/s/mine")
    with open(data(engine, "kept").parent / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert run(engine, "-v", "kept:/s", "busybox", "ls", "/s") == "mine"
        for command in (("rm", "kept"), ("rm", "-f", "kept")):
            refused = engine.pydocker("volume", *command)
            assert refused.code == 1 and "volume is in use - it is being read or filled" in refused.err
        assert engine.ok("volume", "prune", "-af") == "Total reclaimed space: 0B"
    assert volumes(engine) == ["kept"]


def test_an_archive_stays_in_its_volume(engine: Engine, tmp_path: Path) -> None:
    """Links first, and then paths over them: everything ends inside, whatever the archive says."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("the host's")
    before = described(canary)
    up = "../" * 12 + str(canary).lstrip("/")
    for number, evil in enumerate((
            [link("out", str(canary)), entry("out/file", content=b"x")],
            [link("out", up), entry("out/new", content=b"x")],
            [folder("d"), link("d/out", up), entry("d/out/file", content=b"x"), folder("d/out", 0o777)],
            [link("out", str(canary)), hard("h", "out/file"), entry("h", content=b"x")],
            [link("a", "b"), link("b", str(canary)), entry("a/file", content=b"x")],
            [entry(f"{canary}/new", content=b"x")],
            [link(".", str(canary)), entry("file", content=b"x")],
    )):
        send(engine, archive(evil), f"evil{number}")
        assert described(canary) == before, number


def test_an_export_of_what_changes_meanwhile(engine: Engine, tmp_path: Path) -> None:
    """CVE-2023-0778: a file is swapped for a link to the host's while it is exported."""
    (tmp_path / "secret").write_text("the host's secret")
    engine.ok("volume", "create", "kept")
    top = data(engine, "kept")
    for number in range(50):
        (top / f"f{number}").write_text("mine")
    (top / "d").mkdir()
    (top / "d/secret").write_text("mine")
    over, swaps = threading.Event(), [0]

    def swap() -> None:
        while not over.is_set():
            for number in range(50):
                os.rename(top / f"f{number}", top / "away")
                os.symlink(tmp_path / "secret", top / f"f{number}")
                os.rename(top / "away", top / f"f{number}")
            os.rename(top / "d", top / "away")
            os.symlink(tmp_path, top / "d")
            os.unlink(top / "d")
            os.rename(top / "away", top / "d")
            swaps[0] += 1

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        exports = 0
        while exports < 6 or swaps[0] <= 10:
            assert attacker.is_alive()
            exports += 1
            done = subprocess.run((sys.executable, "-m", "pydocker", "volume", "export", "kept"), cwd=CHECKOUT,
                                  env=engine.environment, capture_output=True, check=True)
            assert b"the host's secret" not in done.stdout
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
                assert len(tar.getnames()) > 10
    finally:
        over.set()
        attacker.join()


@pytest.fixture
def sparse(engine: Engine) -> Path:
    """`kept`, with a file of a gigabyte, of which almost nothing is written."""
    engine.ok("volume", "create", "kept")
    path = data(engine, "kept") / "disk"
    with path.open("wb") as file:
        for at in (0, 5 << 20, 300 << 20):
            os.pwrite(file.fileno(), b"written", at)
        file.truncate(1 << 30)
    assert path.stat().st_blocks < 64
    return path


def parts(path: Path) -> list[tuple[int, bytes]]:
    """What is written of a file; the whole of it, where its holes are lost."""
    found, end = [], 0
    with path.open("rb") as file, contextlib.suppress(OSError):  # ENXIO: a hole up to the end
        while True:
            begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.append((begin, os.pread(file.fileno(), min(end - begin, 1 << 20), begin)))
    return found


def test_holes_stay_holes(engine: Engine, sparse: Path, tmp_path: Path) -> None:
    engine.ok("volume", "clone", "kept", "copy")
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "kept")
    assert (tmp_path / "tar").stat().st_size < 100_000
    engine.ok("volume", "import", "back", str(tmp_path / "tar"))
    for name in ("copy", "back"):
        made = data(engine, name) / "disk"
        assert made.stat().st_size == 1 << 30 and parts(made) == parts(sparse)


def test_holes_of_more_parts_than_an_archive_has_room_for(engine: Engine, tmp_path: Path) -> None:
    """The smallest ones are filled, as few as have to be."""
    engine.ok("volume", "create", "kept")
    path, step = data(engine, "kept") / "disk", 8192
    with path.open("wb") as file:
        for at in range(0, 20_100 * step, step):
            os.pwrite(file.fileno(), b"%d" % at, at)
        os.pwrite(file.fileno(), b"far", 1 << 34)
    engine.ok("volume", "clone", "kept", "copy")
    made = data(engine, "copy") / "disk"
    assert made.stat().st_size == path.stat().st_size and made.stat().st_blocks < 1 << 20
    with made.open("rb") as one, path.open("rb") as other:
        assert one.read(20_100 * step) == other.read(20_100 * step)
        assert os.pread(one.fileno(), 3, 1 << 34) == b"far"
