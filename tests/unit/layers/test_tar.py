"""The archive reader on its own: fields, extensions, and rubbish of every kind."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given, strategies

from pydocker.layers import pax, tar
from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import chain_ids
from pydocker.layers.tree import split
from pydocker.model import digest
from pydocker.model.digest import Digest


def read(data: bytes, size: int = 10240) -> list[tuple[tar.Entry, bytes]]:
    reader = tar.Reader(data[at:at + size] for at in range(0, len(data), size))
    return [(entry, b"".join(map(bytes, reader.content()))) for entry in reader]


def made(*infos: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_fields(format: int) -> None:
    data = made(info("d/f", mode=0o4755, uid=5, gid=7, mtime=1234567890, size=700), format=format)
    [(entry, content)] = read(data)
    assert entry == tar.Entry(b"d/f", tar.REGULAR, 0o4755, 5, 7, 700, 1234567890 * 10**9)
    assert content == bytes(700)


def test_large_numbers_in_gnus_base_256() -> None:
    [(entry, _)] = read(made(info("f", uid=3_000_000_000, mtime=-5), format=tarfile.GNU_FORMAT))
    assert (entry.uid, entry.mtime) == (3_000_000_000, -5 * 10**9)


def test_content_that_is_not_read_is_skipped() -> None:
    reader = tar.Reader(iter([made(info("a", size=5000), info("b", size=10))]))
    assert [entry.path for entry in reader] == [b"a", b"b"]


def test_an_old_directory_is_told_by_its_slash() -> None:
    data = bytearray(made(info("d/", type=tarfile.AREGTYPE), format=tarfile.USTAR_FORMAT))
    [(entry, _)] = read(bytes(data))
    assert entry.kind in (tar.DIRECTORY, tar.REGULAR)


def test_only_files_have_content() -> None:
    """A directory whose header claims a size: what follows is the next header (Go does the same)."""
    header = bytearray(info("d", type=tarfile.DIRTYPE).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"00000001000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert [entry.path for entry, _ in read(bytes(header) + made(info("f")))] == [b"d/", b"f"]


def test_global_headers_change_nothing() -> None:
    [(entry, _)] = read(info("x", type=tarfile.XGLTYPE).tobuf(tarfile.USTAR_FORMAT) + made(info("f")))
    assert entry.path == b"f"


def test_an_archive_may_end_without_its_zeros() -> None:
    assert len(read(made(info("a", size=512), format=tarfile.USTAR_FORMAT)[:1024])) == 1
    assert read(b"") == []


@pytest.mark.parametrize("size", [1, 100, 511, 512, 700, 1023])
def test_an_archive_may_end_without_the_last_padding(size: int) -> None:
    """As `umoci insert` leaves it, and Go's reader takes it; a missing byte of content is something else."""
    data = made(info("a", size=700), info("b", size=size), format=tarfile.USTAR_FORMAT)
    end = 512 + 1024 + 512 + size
    assert [(entry.path, len(content)) for entry, content in read(data[:end], 64)] == [(b"a", 700), (b"b", size)]
    reader = tar.Reader(iter([data[:end]]))
    assert [entry.path for entry in reader] == [b"a", b"b"]
    for cut in (end - 1, 512 + 699):
        with pytest.raises(ArchiveError, match="unexpected end of archive"):
            list(tar.Reader(iter([data[:cut]])))


@pytest.mark.parametrize("content", [b"x", b"5 a=b", b"0 a=b\n", b"99 a=b\n", b"6 a=b\nrest", b"-6 a=b\n", b"5 ab\n",
                                     b"5 =b\n", b"9" * 30 + b" a=b\n", b" a=b\n"])
def test_malformed_records(content: bytes) -> None:
    with pytest.raises(ArchiveError, match="invalid PAX header"):
        pax.records(content)


def plain(key: bytes) -> bool:
    """Not one of the pair that stands for a sparse map. (hypothesis finds such words in the source.)"""
    return b"=" not in key and not key.startswith(b"GNU.sparse.")


@given(strategies.dictionaries(strategies.binary(min_size=1).filter(plain), strategies.binary()))
def test_records_round_trip(records: dict[bytes, bytes]) -> None:
    def record(key: bytes, value: bytes) -> bytes:
        rest = len(key) + len(value) + 3
        length = next(size for size in range(rest, rest + 20) if size == rest + len(str(size)))
        return b"%d %s=%s\n" % (length, key, value)

    assert pax.records(b"".join(record(*item) for item in records.items())) == records


@given(strategies.binary(max_size=3000), strategies.integers(1, 2000))
def test_rubbish_is_refused_not_crashed_on(data: bytes, size: int) -> None:
    with contextlib.suppress(ArchiveError):
        read(data, size)


@given(strategies.data())
def test_a_damaged_archive_is_read_or_refused(data: strategies.DataObject) -> None:
    holes = {"GNU.sparse.map": "0,5,1000,595", "GNU.sparse.size": "2000"}
    whole = bytearray(made(info("a" * 120, size=10, pax_headers={"SCHILY.xattr.user.x": "y"}), info("b", size=600),
                           info("c", size=600, pax_headers=holes)))
    for _ in range(data.draw(strategies.integers(1, 5))):
        whole[data.draw(strategies.integers(0, len(whole) - 1))] = data.draw(strategies.integers(0, 255))
    with contextlib.suppress(ArchiveError):
        read(bytes(whole[:data.draw(strategies.integers(0, len(whole)))]))


@given(strategies.binary(max_size=200))
def test_a_split_path_never_leads_out(path: bytes) -> None:
    try:
        above, name = split(path)
    except ArchiveError:
        return
    parts = [*above.split(b"/"), name]
    assert b".." not in parts
    assert b"." not in parts
    assert b"/" not in name


def test_chain_ids() -> None:
    first, second = digest.of(b"1"), digest.of(b"2")
    assert chain_ids([first, second]) == (first, digest.of(f"{first} {second}".encode()))
    assert chain_ids([]) == ()
    assert chain_ids(iter([Digest(first)])) == (first,)


