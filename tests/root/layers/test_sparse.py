"""Files with holes, as GNU tar writes them in each of its formats: the content comes back, and the holes."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pydocker.layers.limits import ArchiveError
from tests.root.layers.archive import archive, entry
from tests.root.layers.conftest import Unpack

HOLE = 1 << 20
FORMATS = [("--format=gnu",), *(("--format=posix", f"--sparse-version={version}") for version in ("0.0", "0.1", "1.0"))]


def with_holes(path: Path, parts: int, *, tail: bool) -> None:
    """`parts` parts of some bytes, a hole before each of them; with `tail`, one at the end."""
    with path.open("wb") as file:
        for at in range(parts):
            file.seek(HOLE, os.SEEK_CUR)
            file.write(b"%d" % at * 1000)
        if tail:
            file.truncate(file.tell() + HOLE)


@pytest.mark.parametrize("options", FORMATS, ids=" ".join)
@pytest.mark.parametrize(("parts", "tail"), [(0, True), (1, False), (3, True), (100, False)])
def test_gnu_tars_sparse_files(options: tuple[str, ...], parts: int, tail: bool, unpacked: Unpack, target: Path,
                               session_directory: Path) -> None:
    source = target.parent / "source"
    source.mkdir()
    with_holes(source / ("n" * 120), parts, tail=tail)
    (source / "plain").write_bytes(b"after it")
    packed = subprocess.run(["tar", "-cS", *options, "-C", source, "n" * 120, "plain"], check=True,
                            capture_output=True).stdout
    assert len(packed) < 1 << 20
    result = unpacked(content=packed, pieces=777)
    made, original = target / ("n" * 120), source / ("n" * 120)
    assert made.read_bytes() == original.read_bytes()
    assert made.stat().st_blocks <= original.stat().st_blocks + 8
    assert (target / "plain").read_bytes() == b"after it"
    assert os.listdir(target) == os.listdir(source)
    assert result.size == original.stat().st_size + 8


def sparse_1_0(text: bytes, size: str = "1000", content: bytes = b"") -> bytes:
    map_ = text + bytes(-len(text) % 512)
    return archive([entry("x", content=map_ + content, pax={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a", "GNU.sparse.realsize": size})])


def pax_map(map_: str, size: str = "1000", content: bytes = b"") -> bytes:
    return archive([entry("a", content=content, pax={"GNU.sparse.map": map_, "GNU.sparse.size": size})])


def old(parts: bytes, content: bytes = b"", more: bytes = b"\0", size: bytes = b"00000001750\0") -> bytes:
    """An entry of GNU's old kind; `parts` are fields of 12 bytes."""
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(content)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[386:482] = parts.ljust(96, b"\0")
    block[482:483] = more
    block[483:495] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content + bytes(-len(content) % 512) + bytes(1024)


@pytest.mark.parametrize(("data", "reason"), [
    (sparse_1_0(b"1\n10\n5\n", content=b"12345"), None),
    (sparse_1_0(b"0\n"), None),
    (pax_map("995,5", content=b"12345"), None),
    (old(b"0" * 10 + b"7\0" + b"0" * 10 + b"5\0"), "contradict each other"),
    (sparse_1_0(b"1\n996\n5\n", content=b"12345"), "invalid sparse map: 5 bytes at 996 in a file of 1000"),
    (sparse_1_0(b"2\n10\n5\n12\n5\n", content=b"1234567890"), "invalid sparse map: 5 bytes at 12"),
    (sparse_1_0(b"1\n10\n6\n", content=b"12345"), "contradict each other"),
    (sparse_1_0(b"1\n-10\n5\n", content=b"12345"), "not a number"),
    (sparse_1_0(b"9" * 30 + b"\n"), "not a number"),
    (sparse_1_0(b"999999999\n1\n"), "longer than the content"),
    (sparse_1_0(b"1" * 600), "longer than the content"),
    (sparse_1_0(b"0\n", size=str(1 << 60)), "max-layer-size"),
    (sparse_1_0(b"0\n", size=""), "without its size"),
    (sparse_1_0(b"0\n", size=str(1 << 63)), f"a file of {1 << 63} bytes"),
    (pax_map("1,2,3"), "an offset without its length"),
    (pax_map("1,x"), "not a number"),
    (pax_map("0,5", content=b"123"), "contradict each other"),
    (archive([entry("a", pax={"GNU.sparse.major": "2", "GNU.sparse.minor": "0"})]), "unknown version 2.0"),
    (archive([entry("a", pax={"GNU.sparse.numbytes": "1"})]), "malformed sparse map"),
    (old(b"0" * 11 + b"\0" + b"0" * 10 + b"5\0", b"12345", b"\1")[:512] + b"\xff" * 512, "unexpected end"),
    (old(b"", b"", b"\1")[:512], "unexpected end"),
    (old(b"", size=b"\xff" * 12), "a file of -1 bytes"),
])
def test_maps_that_lie(data: bytes, reason: str | None, unpacked: Unpack, target: Path) -> None:
    if reason is None:
        unpacked(content=data)
        assert (target / "a").stat().st_size == 1000
        assert (target / "a").stat().st_blocks <= 8
        return
    with pytest.raises(ArchiveError, match=reason):
        unpacked(content=data)


def test_a_map_without_end_is_refused_in_bounded_time(unpacked: Unpack) -> None:
    text = b"3000000\n" + b"1\n" * (5 << 20)
    with pytest.raises(ArchiveError, match="sparse map of more than"):
        unpacked(content=sparse_1_0(text))
    block = bytearray(512)
    block[504] = 1
    endless = old(b"", more=b"\1")[:512] + bytes(block) * (10 << 11)
    with pytest.raises(ArchiveError, match="sparse map of more than"):
        unpacked(content=endless)


def test_python_reads_the_same(unpacked: Unpack, target: Path) -> None:
    """Another reader of GNU's old kind, with numbers in base 256."""
    data = old((10).to_bytes(12, "big").replace(b"\0", b"\x80", 1) + b"00000000005\0", b"12345")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        other = tar.extractfile("a")
        assert other is not None
        expected = other.read()
    unpacked(content=data)
    assert (target / "a").read_bytes() == expected
