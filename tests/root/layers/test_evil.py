"""Archives that want out. Whatever they say, the host's files beside the target are as they were.

SECURITY.md, table 2. Each case is either refused (with a reason) or contained: unpacked into the target only.
"""

import contextlib
import gzip
import io
import os
import stat
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import LayerStore
from pydocker.layers.tree import Tree
from pydocker.paths import Paths
from tests.root.layers.archive import Made, archive, described, entry, folder, hard, link
from tests.root.layers.conftest import Unpack

CANARY = "/CANARY"  # stands for the absolute path of the host's directory beside the target
UP = "../canary"
FAR_UP = "../" * 40


@pytest.fixture
def canary(target: Path) -> Path:
    """What belongs to the host: files, a directory, a link, right beside the target."""
    path = target.parent / "canary"
    (path / "directory").mkdir(parents=True)
    (path / "file").write_text("host")
    (path / "secret").write_text("secret")
    (path / "secret").chmod(0o600)
    (path / "link").symlink_to("file")
    return path


def chain(length: int, to: str) -> list[Made]:
    """l0 -> l1 -> … -> to."""
    return [link(f"l{at}", f"l{at + 1}") for at in range(length)] + [link(f"l{length}", to)]


CONTAINED: dict[str, list[Made]] = {
    "absolute file": [entry(f"{CANARY}/file", content=b"evil")],
    "absolute file, many slashes": [entry(f"//{CANARY}//file", content=b"evil")],
    "absolute directory with mode": [folder(f"{CANARY}/directory", mode=0o777)],
    "dots that stay inside": [folder("a"), entry("a/../b", content=b"x")],
    "absolute link, then a new file": [link("l", CANARY), folder(f"{CANARY}"), entry("l/new", content=b"evil")],
    "absolute link, then a directory through it": [link("l", CANARY), folder(CANARY),
                                                   folder("l/directory", mode=0o777)],
    "relative link, then a file": [link("l", UP), folder("canary"), entry("l/file", content=b"evil")],
    "far relative link": [link("l", FAR_UP + "tmp"), folder("tmp"), entry("l/file", content=b"evil")],
    "link to the root": [link("l", "/"), entry("l/file", content=b"evil")],
    "link to the parent": [link("l", ".."), entry("l/canary/file", content=b"evil")],
    "link in a directory to its parent": [folder("a"), link("a/l", "../.."), entry("a/l/canary/file", content=b"evil")],
    "chain of links": [folder("canary"), *chain(20, UP), entry("l0/file", content=b"evil")],
    "link replaced by a directory": [link("l", CANARY), folder("l", mode=0o777), entry("l/file", content=b"evil")],
    "directory replaced by a link": [folder("d"), entry("d/x"), link("d", CANARY), folder(CANARY),
                                     entry("d/file", content=b"evil")],
    "file over a link": [link("file", f"{CANARY}/file"), entry("file", content=b"evil", mode=0o777)],
    "file over a dangling link": [link("new", f"{CANARY}/new"), entry("new", content=b"evil")],
    "directory over a link": [link("d", f"{CANARY}/directory"), folder("d", mode=0o777, uid=99)],
    "device over a link": [link("n", f"{CANARY}/file"),
                           entry("n", tarfile.CHRTYPE, mode=0o777, uid=99, major=1, minor=3)],
    "fifo over a link": [link("n", f"{CANARY}/file"), entry("n", tarfile.FIFOTYPE, mode=0o777, uid=99)],
    "link over a link": [link("n", f"{CANARY}/file"), link("n", f"{CANARY}/secret", uid=99)],
    "hard link to a link, then written": [link("l", f"{CANARY}/file"), hard("h", "l"), entry("h", content=b"evil")],
    "hard link to a link, then a mode": [link("l", f"{CANARY}/secret"), hard("h", "l"), entry("h", mode=0o777, uid=99)],
    "xattr on a link": [link("l", f"{CANARY}/file", xattrs={"trusted.evil": b"1"})],
    "times on a link": [link("l", f"{CANARY}/file", mtime=1)],
    "whiteout through a link": [link("l", CANARY), folder(CANARY), entry("l/.wh.file")],
    "opaque through a link": [link("l", CANARY), folder(CANARY), entry("l/.wh..wh..opq")],
    "whiteout of a link": [link("file", f"{CANARY}/file"), entry(".wh.file")],
    "directory removed through a whiteout and a link": [folder("canary"), link("l", "/canary"), entry(".wh.l")],
    "proc's magic links": [link("l", "/proc/self/root"), folder("proc/self/root"), entry("l/evil", content=b"evil")],
    "proc's descriptors": [link("l", "/proc/self/fd/3"), folder("proc/self/fd/3"), entry("l/evil", content=b"evil")],
    "PAX path": [entry("a", content=b"evil", pax={"path": f"{CANARY}/file"})],
    "PAX link target": [entry("a", tarfile.SYMTYPE, link="x", pax={"linkpath": CANARY}), folder(CANARY),
                        entry("a/file")],
    "root's own attributes": [folder(".", mode=0o711, uid=5), folder("./", mode=0o711, uid=5),
                              folder("/", mode=0o711, uid=5)],
    "directory again after a link took its place": [folder("a/b/c"), link("a", CANARY), folder(CANARY),
                                                    folder("a/b/c", mode=0o777), entry("a/b/c/file")],
    "directory attributes after a swap": [folder("d", mode=0o777, uid=99), entry("x/y"), folder("e"),
                                          link("d", f"{CANARY}/directory")],
    "trailing slash on a link": [link("l/", CANARY), entry("l", content=b"evil")],
    "empty names between": [entry("a//b///c", content=b"x")],
}

REFUSED: dict[str, tuple[list[Made], str]] = {
    "dots": ([entry(f"{UP}/file", content=b"evil")], "leads outside"),
    "dots later": ([folder("a"), entry("a/../../canary/file", content=b"evil")], "leads outside"),
    "many dots": ([entry(f"{FAR_UP}etc/evil", content=b"evil")], "leads outside"),
    "absolute dots": ([entry("/../canary/file", content=b"evil")], "leads outside"),
    "directory by dots": ([folder(f"{UP}/directory", mode=0o777)], "leads outside"),
    "link by dots": ([link(f"{UP}/evil", "/etc/passwd")], "leads outside"),
    "whiteout by dots": ([entry("../canary/.wh.file")], "leads outside"),
    "opaque by dots": ([entry("../canary/.wh..wh..opq")], "leads outside"),
    "whiteout of dots": ([entry(".wh...")], "invalid whiteout"),
    "whiteout of a dot": ([entry("d/.wh..")], "invalid whiteout"),
    "whiteout of nothing": ([entry(".wh.")], "invalid whiteout"),
    "hard link by dots": ([hard("h", f"{UP}/file")], "leads outside"),
    "hard link to an absolute path": ([hard("h", f"{CANARY}/file")], "no such file or directory"),
    "hard link through a link": ([link("l", CANARY), hard("h", "l/secret"), entry("h", mode=0o777)], "no such file"),
    "hard link through a relative link": ([link("l", UP), hard("h", "l/secret")], "no such file"),
    "hard link through a chain": ([*chain(10, UP), hard("h", "l0/secret")], "no such file"),
    "hard link to a directory": ([folder("d"), hard("h", "d")], "hard link"),
    "hard link to itself in other words, missing": ([hard("a", "./b/../c")], "no such file"),
    "file below a file": ([entry("a"), entry("a/b")], "not a directory"),
    "file below a dangling link": ([link("l", f"{CANARY}/missing"), entry("l/x", content=b"evil")], "a dangling link"),
    "absolute link, then a file through it": ([link("l", CANARY), entry("l/file", content=b"evil")], "a dangling link"),
    "link that leads to itself": ([link("l", "l"), entry("l/x")], "too many levels"),
    "two links in a circle": ([link("a", "b"), link("b", "a"), entry("a/x")], "too many levels"),
    "more links than the kernel follows": ([*chain(60, UP), entry("l0/file")], "too many levels"),
    "the root as a file": ([entry("./", content=b"evil")], "must be a directory"),
    "the root as a link": ([link("./", CANARY), entry("file", content=b"evil")], "must be a directory"),
    "the root as a link, by dots": ([folder("a"), link("a/..", CANARY)], "must be a directory"),
    "the root as a hard link": ([entry("a"), hard(".", "a")], "must be a directory"),
    "NUL in a PAX path": ([entry("a", pax={"path": "b\0c"})], "NUL"),
    "a path longer than PATH_MAX": ([entry("a/" * 3000 + "b")], "longer than 4096"),
    "a component longer than NAME_MAX": ([entry("a" * 300)], "file name too long"),
    "an empty link": ([entry("l", tarfile.SYMTYPE, link="")], "no such file"),
    "directories without end": ([folder("d/" * 400)], "directories inside each other"),
    "an owner beyond 32 bits": ([entry("a", pax={"uid": "4294967295"})], "out of range"),
    "a negative owner": ([entry("a", pax={"uid": "-1"})], "not a number"),
    "a time beyond all times": ([entry("a", pax={"mtime": "99999999999999"})], "not a time"),
    "a device beyond 12 bits": ([entry("a", tarfile.CHRTYPE, major=99999, minor=1)], "out of range"),
    "an unknown type": ([entry("a", b"Z")], "entry type b'Z'"),
    "an xattr of a megabyte": ([entry("a", xattrs={"user.a": b"x" * 70000})], "at most 65536"),
    "two megabytes of PAX records": ([entry("a", pax={"comment": "x" * (2 << 20)})], "extended header of"),
}


def aimed(entries: list[Made], canary: Path) -> list[Made]:
    """The entries with the real place of the canary."""
    for info, _ in entries:
        info.name = info.name.replace(CANARY, str(canary))
        info.linkname = info.linkname.replace(CANARY, str(canary))
        info.pax_headers = {key: value.replace(CANARY, str(canary)) for key, value in info.pax_headers.items()}
    return entries


@pytest.mark.parametrize("case", CONTAINED)
def test_contained(case: str, unpacked: Unpack, target: Path, canary: Path) -> None:
    before = described(target.parent / "canary")
    host = os.listdir(target.parent)
    unpacked(*aimed(CONTAINED[case], canary))
    assert described(canary) == before
    assert os.listdir(target.parent) == host


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, unpacked: Unpack, target: Path, canary: Path) -> None:
    entries, reason = REFUSED[case]
    before = described(canary)
    with pytest.raises(ArchiveError, match=reason):
        unpacked(*aimed(entries, canary))
    assert described(canary) == before


def test_hard_links_to_the_hosts_files_are_impossible_by_any_path(unpacked: Unpack, target: Path, canary: Path) -> None:
    """CVE-2021-32760: a mode that arrives through a hard link."""
    secret = canary / "secret"
    for at, path in enumerate((secret, f"/proc/self/root{secret}", f"/proc/self/cwd/{UP}/secret")):
        with pytest.raises(ArchiveError):
            unpacked(hard(f"h{at}", str(path)), entry(f"h{at}", mode=0o777))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.stat().st_nlink == 1


def test_mount_points_are_not_crossed(unpacked: Unpack, target: Path) -> None:
    """Nothing is mounted in a layer's directory; were it so, nothing would be written there."""
    root = os.open("/", os.O_RDONLY)
    try:
        with Tree(root) as tree, pytest.raises(OSError, match="cross-device"):
            tree.parent(b"proc/self")
    finally:
        os.close(root)


def long_realpath(canary: Path) -> list[Made]:
    """CVE-2025-4517 and its kin (-4138, -4330, -4435, 2024-12718): `tarfile` looks at the real path of links to see
    whether they lead outside, and stops looking where that becomes longer than PATH_MAX."""
    component, steps, path = "d" * 247, "abcdefghijklmnop", ""
    entries: list[Made] = []
    for step in steps:
        entries += [folder(os.path.join(path, component)), link(os.path.join(path, step), component)]
        path = os.path.join(path, component)
    beyond = os.path.join("/".join(steps), "l" * 254)
    return [*entries, link(beyond, "../" * len(steps)), link("escape", f"{beyond}{'/..' * 9}{canary}")]


@pytest.mark.parametrize("last", [
    [hard("flag", "escape/file"), entry("flag", content=b"evil")], [entry("escape/new", content=b"evil")],
    [folder("escape", mode=0o777)], [entry("escape/file", mode=0o777, mtime=1)],
], ids=["a hard link through it", "a new file", "its mode", "another's mode"])
def test_the_published_attacks_on_pythons_tarfile(last: list[Made], unpacked: Unpack, canary: Path) -> None:
    before = described(canary)
    with contextlib.suppress(ArchiveError):
        unpacked(*long_realpath(canary), *last)
    assert described(canary) == before


def test_a_layer_in_the_making_is_nobody_elses(target: Path) -> None:
    """CVE-2025-47290, CVE-2021-41091: who could write there, or run a setuid program of it, would."""
    paths = Paths(target / "data", target / "run")
    paths.make()
    with LayerStore(paths).draft() as draft:
        for directory in (draft.path, paths.temporary, paths.data):
            assert stat.S_IMODE(directory.stat().st_mode) & 0o066 == 0
        assert stat.S_IMODE(draft.path.stat().st_mode) == 0o700


def damaged(change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(archive([entry("a", content=b"x" * 600), entry("b")], tarfile.USTAR_FORMAT))
    change(data)
    return bytes(data)


@pytest.mark.parametrize(("data", "reason"), [
    (damaged(lambda data: data.__setitem__(0, 0x62)), "wrong checksum"),
    (damaged(lambda data: data.__delitem__(slice(700, None))), "unexpected end of archive"),
    (damaged(lambda data: data.__delitem__(slice(300, None))), "unexpected end of archive"),
    (b"not a tar archive at all" * 100, "invalid tar header"),
    (bytes(512) + b"x" * 512, "a single block of zeros"),
], ids=["checksum", "cut in content", "cut in a header", "garbage", "a lone zero block"])
def test_damaged(data: bytes, reason: str, unpacked: Unpack) -> None:
    with pytest.raises(ArchiveError, match=reason):
        unpacked(content=data)


def sized(field: bytes) -> bytes:
    """A header whose size field is `field`, with a right checksum."""
    block = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("field", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"0o17       \0",
                                   b"1_000      \0", b"99999999999\0"])
def test_sizes_that_lie(field: bytes, unpacked: Unpack) -> None:
    """CVE-2025-8194: a negative size made `tarfile` loop for ever."""
    began = time.monotonic()
    with pytest.raises(ArchiveError):
        unpacked(content=sized(field) + bytes(1024))
    assert time.monotonic() - began < 60


def test_an_image_of_a_few_bytes_with_a_huge_size_is_just_cut(unpacked: Unpack, target: Path) -> None:
    with pytest.raises(ArchiveError, match="unexpected end"):
        unpacked(content=sized(b"77777777777\0") + bytes(1024))
    assert (target / "a").stat().st_size <= 1024


def test_deep_directories_can_be_removed_again(unpacked: Unpack, target: Path, canary: Path) -> None:
    unpacked(folder("d/" * 250), link("d/l", str(canary)), entry("d", content=b"a file now"))
    assert (target / "d").read_text() == "a file now"
    assert (canary / "file").read_text() == "host"


def test_gzip_in_gzip_is_not_unwrapped_twice(unpacked: Unpack) -> None:
    with pytest.raises(ArchiveError):
        unpacked(content=gzip.compress(io.BytesIO(archive([entry("a")])).getvalue()))
