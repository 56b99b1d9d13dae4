"""What a layer says is what lies on disk afterwards."""

import errno
import os
import resource
import signal
import stat
import struct
import tarfile
from pathlib import Path

import pytest

from pydocker.layers.limits import ArchiveError
from tests.root.layers.archive import TIME, archive, described, entry, folder, hard, link
from tests.root.layers.conftest import Unpack

# struct vfs_cap_data, revision 2, effective, CAP_NET_RAW
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def is_whiteout(path: Path) -> bool:
    there = path.lstat()
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def test_owner_mode_and_time_of_a_file(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("a", content=b"x" * 3000, mode=0o640, uid=1234, gid=70000, mtime=TIME + 0.123456789))
    there = (target / "a").lstat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (1234, 70000, 0o640)
    assert there.st_mtime_ns // 1000 == TIME * 10**6 + 123456
    assert (target / "a").read_bytes() == b"x" * 3000


def test_nanoseconds_are_kept(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("a", pax={"mtime": "1600000000.123456789"}), entry("b", pax={"mtime": "-1.5"}))
    assert (target / "a").lstat().st_mtime_ns == 1600000000123456789
    assert (target / "b").lstat().st_mtime_ns == -1_500_000_000


def test_setuid_survives_the_change_of_owner(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("su", mode=0o4755, uid=7), folder("tmp", mode=0o1777, gid=9), entry("tmp/x", mode=0o2711))
    assert stat.S_IMODE((target / "su").lstat().st_mode) == 0o4755
    assert stat.S_IMODE((target / "tmp").lstat().st_mode) == 0o1777
    assert stat.S_IMODE((target / "tmp/x").lstat().st_mode) == 0o2711


def test_a_setgid_directory_does_not_hand_its_group_on(unpacked: Unpack, target: Path) -> None:
    unpacked(folder("d", mode=0o2755, gid=50), entry("d/f"))
    assert (target / "d/f").lstat().st_gid == 0


def test_capability_and_user_xattrs(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("ping", mode=0o755, uid=5, xattrs={"security.capability": CAPABILITY, "user.note": b"\xff\x00x"}),
             folder("d", xattrs={"user.d": b"1"}), link("l", "ping", xattrs={"trusted.l": b"2"}))
    assert os.getxattr(target / "ping", "security.capability") == CAPABILITY
    assert os.getxattr(target / "ping", "user.note") == b"\xff\x00x"
    assert os.getxattr(target / "d", "user.d") == b"1"
    assert os.getxattr(target / "l", "trusted.l", follow_symlinks=False) == b"2"


def test_xattrs_that_would_steer_the_overlay_are_left_out(unpacked: Unpack, target: Path) -> None:
    unpacked(folder("d", xattrs={"trusted.overlay.redirect": b"/etc", "trusted.overlay.opaque": b"y",
                                 "user.overlay.metacopy": b"", "security.selinux": b"unconfined_u"}))
    assert os.listxattr(target / "d") == []


def test_devices_fifos_and_links(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("null", tarfile.CHRTYPE, mode=0o666, major=1, minor=3, gid=3),
             entry("loop", tarfile.BLKTYPE, major=7), entry("pipe", tarfile.FIFOTYPE, mode=0o622),
             link("l", "/nowhere", uid=8), entry("f", content=b"1"), hard("g", "f"), hard("m", "l"))
    null, loop, pipe = ((target / name).lstat() for name in ("null", "loop", "pipe"))
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev, stat.S_IMODE(null.st_mode), null.st_gid) == (
        True, os.makedev(1, 3), 0o666, 3)
    assert (stat.S_ISBLK(loop.st_mode), loop.st_rdev) == (True, os.makedev(7, 0))
    assert (stat.S_ISFIFO(pipe.st_mode), stat.S_IMODE(pipe.st_mode)) == (True, 0o622)
    assert (os.readlink(target / "l"), (target / "l").lstat().st_uid) == ("/nowhere", 8)
    assert (target / "l").lstat().st_mtime == TIME
    assert (target / "f").samefile(target / "g")
    assert (target / "m").lstat().st_ino == (target / "l").lstat().st_ino


def test_directories_get_their_times_last(unpacked: Unpack, target: Path) -> None:
    unpacked(folder(".", mtime=TIME - 5), folder("d", mode=0o500, mtime=TIME + 1), folder("d/e", mtime=TIME + 2),
             entry("d/e/f"), entry("d/g"), entry("h"))
    assert [(target / name).lstat().st_mtime for name in (".", "d", "d/e")] == [TIME - 5, TIME + 1, TIME + 2]
    assert stat.S_IMODE((target / "d").lstat().st_mode) == 0o500


def test_more_directories_than_are_kept_in_memory(unpacked: Unpack, target: Path) -> None:
    """What they are to become is more than is kept in memory; some of them go again, and the last entry wins."""
    names = [f"{at % 50}/{at}-{'n' * 200}" for at in range(6_000)]
    folders = [folder(name, mode=0o700 + at % 64, mtime=TIME + at) for at, name in enumerate(names)]
    unpacked(*folders, entry("1", content=b"no directory"), folder(names[0], mode=0o711, mtime=TIME - 1),
             *(folder(str(at), mtime=TIME - at) for at in range(2, 50)))
    assert os.listdir(target / "0") and (target / "1").is_file()
    wanted = {name: (0o700 + at % 64, TIME + at) for at, name in enumerate(names) if at % 50 != 1}
    wanted |= {names[0]: (0o711, TIME - 1)}
    assert {name: (stat.S_IMODE(there.st_mode), there.st_mtime) for name in wanted
            for there in [(target / name).lstat()]} == wanted
    assert [(target / str(at)).lstat().st_mtime for at in range(2, 50)] == [TIME - at for at in range(2, 50)]
    assert sorted(os.listdir(target)) == sorted(map(str, range(50)))  # the file of it has no name here


def test_the_last_of_several_entries_wins(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("a", content=b"1"), entry("a", content=b"22"),
             folder("b"), entry("b/c"), entry("b", content=b"file"),
             link("d", "b"), folder("d", mode=0o711), entry("d/e"),
             folder("f"), entry("f/g"), link("f", "d"), entry("f/h"))
    assert (target / "a").read_bytes() == b"22"
    assert (target / "b").read_bytes() == b"file"
    assert stat.S_IMODE((target / "d").lstat().st_mode) == 0o711
    assert os.readlink(target / "f") == "d"
    assert sorted(os.listdir(target / "d")) == ["e", "h"]


def test_what_became_of_a_removed_directory_has_nothing_of_it(unpacked: Unpack, target: Path) -> None:
    result = unpacked(folder("a", mode=0o711), folder("a/b", mode=0o700, mtime=TIME), entry("a/b/c"),
                      folder("ab", mode=0o711, mtime=TIME + 7), entry("a", content=b"file"), entry(".wh.x"),
                      folder("a", mtime=TIME + 3), entry("a/b/d"))
    assert sorted(result.implied) == [b"", b"a/b"]
    assert os.listdir(target / "a/b") == ["d"]
    assert (target / "a/b").lstat().st_mtime != TIME
    assert [(target / name).lstat().st_mtime for name in ("a", "ab")] == [TIME + 3, TIME + 7]


@pytest.mark.parametrize("time", [-(1 << 34), -1.5, (1 << 34) - 1], ids=["long ago", "before 1970", "far away"])
def test_directories_may_have_any_time_that_a_file_may_have(unpacked: Unpack, target: Path, time: float) -> None:
    unpacked(folder("d", mtime=time), entry("f", mtime=time))
    assert (target / "d").lstat().st_mtime_ns == (target / "f").lstat().st_mtime_ns


def test_a_link_inside_is_followed_within_the_layer(unpacked: Unpack, target: Path) -> None:
    unpacked(folder("run"), folder("var"), link("var/run", "/run"), entry("var/run/pid"),
             folder("var/run/d", mode=0o700))
    assert (target / "run/pid").exists()
    assert stat.S_IMODE((target / "run/d").lstat().st_mode) == 0o700


def test_whiteouts_and_opaque_directories(unpacked: Unpack, target: Path) -> None:
    result = unpacked(folder("d"), entry("d/.wh.gone"), folder("o"), entry("o/.wh..wh..opq"), entry("o/new"),
                      entry("x/.wh..wh.plnk"), entry(".wh.top"))
    assert is_whiteout(target / "d/gone")
    assert is_whiteout(target / "top")
    assert os.getxattr(target / "o", "trusted.overlay.opaque") == b"y"
    assert os.listdir(target / "o") == ["new"]
    assert not (target / "x").exists()
    assert result.implied == (b"",)


@pytest.mark.parametrize("entries", [
    [entry(".wh.a"), folder("a", mode=0o711), entry("a/b")],
    [folder("a", mode=0o711), entry("a/b"), entry(".wh.a")],
    [entry(".wh.a"), entry("a/b"), folder("a", mode=0o711)],
], ids=["before", "after", "implied"])
def test_a_whiteout_beside_a_directory_of_the_same_name_makes_it_opaque(unpacked: Unpack, target: Path,
                                                                        entries: list) -> None:
    unpacked(*entries)
    assert os.getxattr(target / "a", "trusted.overlay.opaque") == b"y"
    assert os.listdir(target / "a") == ["b"]
    assert stat.S_IMODE((target / "a").lstat().st_mode) == 0o711


def test_a_whiteout_beside_a_file_of_the_same_name_hides_nothing_more(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("a", content=b"new"), entry(".wh.a"), entry(".wh.b"), entry("b", content=b"new"))
    assert (target / "a").read_bytes() == (target / "b").read_bytes() == b"new"


def test_directories_without_entry_are_reported(unpacked: Unpack) -> None:
    result = unpacked(entry("a/b/c"), folder("d"), entry("d/e/f"), folder("a"))
    assert sorted(result.implied) == [b"", b"a/b", b"d/e"]


def test_size_counts_content(unpacked: Unpack) -> None:
    result = unpacked(entry("a", content=b"12345"), entry("b", content=b"123"), hard("c", "a"), folder("d"))
    assert (result.size, result.entries) == (8, 4)


@pytest.mark.parametrize("pieces", [1, 7, 511, 512, 513, 10240])
def test_pieces_may_have_any_size(unpacked: Unpack, target: Path, tmp_path: Path, pieces: int) -> None:
    entries = [folder("d"), entry("d/" + "n" * 150, content=os.urandom(700)), entry("d/" + "é" * 60),
               entry("z", content=b"1")]
    unpacked(*entries, pieces=pieces)
    whole = tmp_path / "whole"
    whole.mkdir()
    unpacked(*entries, into=whole)
    assert described(target) | {".": ()} == described(whole) | {".": ()}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_in_every_format(unpacked: Unpack, target: Path, format: int) -> None:
    name = "/".join(["d" * 40] * (4 if format == tarfile.USTAR_FORMAT else 20))
    unpacked(content=archive([entry(name, content=b"x"), link("l", "t" * 90)], format))
    assert (target / name).read_bytes() == b"x"
    assert os.readlink(target / "l") == "t" * 90


def test_names_are_bytes(unpacked: Unpack, target: Path) -> None:
    unpacked(entry("a\udcff\n b", content=b"1"))
    assert os.listdir(os.fsencode(target)) == [b"a\xff\n b"]


def test_hard_link_to_what_is_not_in_this_layer_names_both(unpacked: Unpack) -> None:
    words = r"b'a': hard link to b'not/here': no such file or directory \(linkat\(2\)\)"
    with pytest.raises(ArchiveError, match=words):
        unpacked(hard("a", "not/here"))


def test_a_full_disk_is_not_the_archives_fault(unpacked: Unpack, target: Path) -> None:
    # a limit on file size is the nearest thing to a full disk that needs no disk
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            unpacked(entry("a", content=bytes(2000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.errno == errno.EFBIG
