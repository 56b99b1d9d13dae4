"""What `pack` writes: our reader and Python's understand it, and the bytes are the same each time."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.layers import pack, tar
from pydocker.layers.pack import Packed
from pydocker.layers.sparse import Sparse
from pydocker.layers.tar import Entry, Reader

NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)
ENTRIES = st.builds(
    Entry, path=NAMES, kind=st.sampled_from([tar.REGULAR, tar.SYMLINK, tar.HARD_LINK, tar.FIFO]),
    mode=st.integers(0, 0o7777), uid=st.integers(0, 2**32 - 2), gid=st.integers(0, 2**32 - 2), size=st.just(0),
    mtime=st.integers(-(2**33) * 10**9, 2**33 * 10**9), link=st.binary(max_size=300).filter(lambda it: b"\0" not in it),
    xattrs=st.dictionaries(st.from_regex(rb"user\.[a-z]{1,9}", fullmatch=True), st.binary(max_size=200), max_size=3))


def entry(path: bytes = b"f", **fields: object) -> Entry:
    given = {"kind": tar.REGULAR, "mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 0} | fields
    return Entry(path=path, **given)  # type: ignore[arg-type]


def read(content: bytes) -> list[tuple[Entry, bytes]]:
    reader = Reader(iter([content]))
    return [(found, b"".join(map(bytes, reader.content()))) for found in reader]


@given(st.lists(ENTRIES, max_size=3))
def test_comes_back_as_it_was(entries: list[Entry]) -> None:
    content = b"".join(pack.stream(Packed(one) for one in entries))
    assert [found for found, _ in read(content)] == entries
    assert len(content) % 512 == 0


def test_content_is_padded_and_goes_out_in_pieces() -> None:
    data = bytes(range(256)) * 1024
    pieces = list(pack.stream([Packed(entry(size=5), [b"hel", b"lo"]), Packed(entry(b"g", size=len(data)), [data])]))
    assert [body for _, body in read(b"".join(pieces))] == [b"hello", data]
    assert data in pieces  # a large piece is not copied


@pytest.mark.parametrize("mtime, told", [
    (1_500_000_000, b"1.5"), (-1_500_000_000, b"-1.5"), (1, b"0.000000001"), (-1, b"-0.000000001"),
    (1_700_000_000_123_456_789, b"1700000000.123456789"), (-3_000_000_000, b"-3")])
def test_times_with_a_fraction_or_before_1970(mtime: int, told: bytes) -> None:
    assert b" mtime=" + told + b"\n" in pack.header(entry(mtime=mtime))


def test_a_plain_entry_has_one_block() -> None:
    assert len(pack.header(entry(mtime=1_700_000_000 * 10**9))) == 512


@pytest.mark.parametrize("length", [*range(88, 106), 989, 990, 991, 992, 993, 9990])
def test_a_records_length_counts_its_own_digits(length: int) -> None:
    found = entry(b"n" * 101, link=b"", xattrs={b"user.a": b"v" * length})
    assert [one for one, _ in read(pack.header(found) + pack.END)] == [found]


def test_pythons_tarfile_reads_it() -> None:
    long = b"d/" * 60 + "ü".encode()
    content = b"".join(pack.stream([
        Packed(entry(b"dir/", kind=tar.DIRECTORY, mode=0o1777)), Packed(entry(long, size=2, uid=2**31), [b"ab"]),
        Packed(entry(b"dev", kind=tar.CHARACTER, major=1, minor=3)),
        Packed(entry(b"link", kind=tar.SYMLINK, link=b"t" * 150))]))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        directory, file, device, link = archive
        assert (directory.isdir(), directory.mode) == (True, 0o1777)
        assert (file.name, file.uid, archive.extractfile(file).read()) == (long.decode(), 2**31, b"ab")  # type: ignore[union-attr]
        assert (device.ischr(), device.devmajor, device.devminor, link.linkname) == (True, 1, 3, "t" * 150)


MAPS = [Sparse(1 << 40, ()), Sparse((1 << 20) + 5, ((1 << 20, 5),)), Sparse(5000, ((0, 512), (1024, 2048))),
        Sparse(1 << 20, tuple((at * 4096, 512) for at in range(200)))]


@pytest.mark.parametrize("map_", MAPS)
@pytest.mark.parametrize("path", [b"f", b"d/" + b"n" * 120])
def test_a_file_with_holes(map_: Sparse, path: bytes) -> None:
    size = sum(length for _, length in map_.parts)
    found = entry(path, size=size, sparse=map_)
    content = b"".join(pack.stream([Packed(found, [b"x" * size]), Packed(entry(b"after", size=1), [b"y"])]))
    assert read(content) == [(found, b"x" * size), (entry(b"after", size=1), b"y")]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert [(one.name, one.size) for one in archive] == [(path.decode(), map_.size), ("after", 1)]


@pytest.mark.parametrize("map_", MAPS[1:])
def test_gnu_tar_unpacks_a_file_with_holes(map_: Sparse, tmp_path: Path) -> None:
    size = sum(length for _, length in map_.parts)
    content = b"".join(pack.stream([Packed(entry(size=size, sparse=map_), [b"x" * size])]))
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=content, check=True)
    made = (tmp_path / "f").read_bytes()
    assert len(made) == map_.size and made.count(b"x") == size
    assert all(made[offset:offset + length] == b"x" * length for offset, length in map_.parts)
