"""The log's writer and its reader, on files in a temporary directory."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.monitor import locallog
from pydocker.monitor.launch import LogSettings
from pydocker.monitor.logfile import LineFile, origin_of, pack
from pydocker.monitor.logformat import JSON, LOCAL, Entry
from pydocker.monitor.logkeeper import LogKeeper
from pydocker.monitor.logreader import LogReader
from pydocker.monitor.logwriter import PARTIAL, LogWriter, entries, timestamp
from pydocker.monitor.loop import Loop


def written(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(path: Path, files: int = 3, tail: int | None = None) -> str:
    reader = LogReader(str(path), files, JSON)
    if tail is not None:
        reader.skip_to_tail(tail)
    text = "".join(entry.log for batch in reader.read() for entry in batch)
    reader.close()
    return text


def test_a_line_of_the_file(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), 1 << 20, 3)
    log.write(1, b'say "hi"\n\x01')
    log.write(2, b"\xff\n")
    log.close()
    found = written(tmp_path / "log")
    assert [(one["log"], one["stream"]) for one in found] == [
        ('say "hi"\n', "stdout"), ("\ufffd\n", "stderr"), ("\x01", "stdout")]
    assert all(len(one["time"]) == len("2026-01-02T03:04:05.123456789Z") for one in found)


def test_a_character_in_two_pieces(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), 1 << 20, 3)
    for byte in "ä\n".encode():
        log.write(1, bytes([byte]))
    log.close()
    assert [one["log"] for one in written(tmp_path / "log")] == ["ä\n"]


@pytest.mark.parametrize("length", [PARTIAL - 1, PARTIAL, PARTIAL + 1, 3 * PARTIAL + 5])
def test_long_lines_are_cut(tmp_path: Path, length: int) -> None:
    for newline in ("", "\n"):
        path = tmp_path / f"log{len(newline)}"
        log = LogWriter(str(path), 1 << 30, 3)
        log.write(1, b"x" * length + newline.encode())
        log.close()
        found = [one["log"] for one in written(path)]
        assert "".join(found) == "x" * length + newline
        assert max(map(len, found)) <= PARTIAL


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    lines = [json.loads(line)["log"] for line in entries(text, 1, "t").decode().split("\n")[:-1]]
    assert "".join(lines) == text.replace("\uffff", "\ufffd")
    assert all("\n" not in line[:-1] for line in lines)


def test_rotation_keeps_whole_lines_and_a_bounded_number_of_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 1000, 3)
    log.write(1, b"".join(b"line %d\n" % number for number in range(100)))
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size < 1100 for file in tmp_path.iterdir())
    kept = read(path).splitlines()
    assert kept == [f"line {number}" for number in range(100 - len(kept), 100)]


def test_one_file_only(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), 100, 1)
    log.write(1, b"x\n" * 100)
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


def test_a_reader_goes_through_rotations(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 500, 3)
    reader = LogReader(str(path), 3, JSON)
    seen: list[str] = []
    for number in range(200):
        log.write(1, b"line %d\n" % number)
        if number % 7 == 0:
            seen += [entry.log for batch in reader.read() for entry in batch]
    log.close()
    seen += [entry.log for batch in reader.read() for entry in batch]
    reader.close()
    assert seen == [f"line {number}\n" for number in range(200)]


def test_a_reader_that_was_overtaken_goes_on_with_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 300, 3)
    log.write(1, b"first\n")
    reader = LogReader(str(path), 3, JSON)
    assert [entry.log for batch in reader.read() for entry in batch] == ["first\n"]
    log.write(1, b"".join(b"line %d\n" % number for number in range(100)))
    log.close()
    seen = [entry.log for batch in reader.read() for entry in batch]
    reader.close()
    assert seen[-1] == "line 99\n"
    assert seen[-8:] == [f"line {number}\n" for number in range(92, 100)]


@pytest.mark.parametrize("tail", [0, 1, 2, 7, 20, 1000])
def test_tail_across_files(tmp_path: Path, tail: int) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 400, 5)
    log.write(1, b"".join(b"%d\n" % number for number in range(20)))
    log.close()
    assert read(path, 5, tail) == "".join(f"{number}\n" for number in range(20)[-tail:] if tail)


def test_no_log_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "log") == ""


def test_timestamps_compare_as_texts() -> None:
    assert timestamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
    assert timestamp(999_999_999) < timestamp(1_000_000_000)


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"log":"whole\\n","stream":"stdout","time":"t"}\n{"log":"half')
    log = LogWriter(str(path), 1 << 20, 3)
    log.write(1, b"next\n")
    log.close()
    assert read(path) == "whole\nnext\n"


def test_a_full_disk_is_told_once_and_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    log = LogKeeper(LogSettings("json-file", str(tmp_path / "log")), Loop())
    for _ in range(3):
        log.write(1, b"x\n")
    log.write(1, b"held back")
    log.close()
    assert capfd.readouterr().err == f"write {tmp_path}/log: No space left on device: output is lost to the log\n"


def lines_of(reader: LogReader) -> list[str]:
    return [entry.log for batch in reader.read() for entry in batch]


def test_attributes_are_told_of_every_line(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), 1 << 20, 3, attributes={"b": "2", "a": '"1"'})
    log.write(1, b"x\ny\n")
    log.close()
    assert [one["attrs"] for one in written(tmp_path / "log")] == [{"a": '"1"', "b": "2"}] * 2
    assert list(written(tmp_path / "log")[0]) == ["log", "stream", "attrs", "time"]  # Docker's order
    [batch] = LogReader(str(tmp_path / "log"), 3, JSON).read()
    assert [entry.attrs for entry in batch] == [{"a": '"1"', "b": "2"}] * 2


@pytest.mark.parametrize("files", [2, 3, 5])
def test_older_files_are_compressed_and_read_as_before(tmp_path: Path, files: int) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 1000, files, compress=True)
    for number in range(100):
        log.write(1, b"line %d\n" % number)
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", *(f"log.{at}.gz" for at in range(1, files))]
    assert all(gzip.decompress(file.read_bytes()).endswith(b"}\n") for file in tmp_path.glob("*.gz"))
    kept = read(path, files).splitlines()
    assert kept == [f"line {number}" for number in range(100 - len(kept), 100)]
    for tail in (1, 15, len(kept), 1000):
        assert read(path, files, tail).splitlines() == kept[-tail:]


@pytest.mark.parametrize("every", [1, 7, 25])
def test_a_reader_goes_through_rotations_and_compression(tmp_path: Path, every: int) -> None:
    log = LogWriter(str(tmp_path / "log"), 500, 5, compress=True)
    reader = LogReader(str(tmp_path / "log"), 5, JSON)
    seen: list[str] = []
    for number in range(200):
        log.write(1, b"line %d\n" % number)
        if number % every == 0:
            reader.reopen()
            seen += lines_of(reader)
    log.close()
    seen += lines_of(reader)
    reader.close()
    assert seen == [f"line {number}\n" for number in range(200)]


def test_while_it_is_compressed_a_file_is_there_twice(tmp_path: Path) -> None:
    """Killed between the two last calls of that: it is read once, and the next rotation leaves it once."""
    path = tmp_path / "log"
    log = LogWriter(str(path), 100, 3, compress=True)
    log.write(1, b"first\n" * 2)
    kept = tmp_path / "kept"
    os.rename(path, f"{path}.1")
    shutil.copy(f"{path}.1", kept)
    pack(f"{path}.1")
    os.rename(kept, f"{path}.1")
    assert read(path) == "first\n" * 2
    log.close()
    again = LogWriter(str(path), 100, 3, compress=True)
    for number in range(4):
        again.write(1, b"%d\n" % number)
    again.close()
    assert read(path).startswith("first\nfirst\n0\n") or read(path) == "0\n1\n2\n3\n"
    assert not (tmp_path / "log.1").exists()


def test_no_new_file_has_a_number_that_a_compressed_one_remembers(tmp_path: Path) -> None:
    """Or a reader could take one for the other: file systems give the numbers of deleted files to the next ones."""
    log = LineFile(str(tmp_path / "log"), 10, 30, compress=True)
    for _ in range(60):
        log.append(b"0123456789\n")
        remembered = [origin_of(str(file)) for file in tmp_path.glob("*.gz")]
        assert len({*remembered, os.stat(tmp_path / "log").st_ino}) == len(remembered) + 1
    log.close()


def test_what_there_is_no_room_to_compress_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "log.1.packing").symlink_to("/dev/full")
    log = LogWriter(str(tmp_path / "log"), 100, 3, compress=True)
    log.write(1, b"x\n" * 3)
    log.close()
    assert read(tmp_path / "log") == "x\n" * 3
    assert (tmp_path / "log.1").exists()


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40))), st.integers(10, 400))
def test_local_keeps_every_byte(tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[int, bytes]],
                                size: int) -> None:
    path = tmp_path_factory.mktemp("local") / "logs" / "log"
    log = locallog.LocalWriter(str(path), size, 1000)
    for stream, data in chunks:
        log.write(stream, data)
    log.close()
    entries = [entry for batch in LogReader(str(path), 1000, LOCAL).read() for entry in batch]
    for stream, name in ((1, "stdout"), (2, "stderr")):
        said = "".join(entry.log for entry in entries if entry.stream == name).encode(errors="surrogateescape")
        assert said == b"".join(data for number, data in chunks if number == stream)
    shutil.rmtree(path.parent)


def test_a_record_of_dockers_local_driver(tmp_path: Path) -> None:
    """As moby writes it: a whole line, a part of a long one, its last part."""
    def record(message: bytes) -> bytes:
        length = len(message).to_bytes(4, "big")
        return length + message + length

    at = 1_700_000_000_000_000_001
    moment = b"\x10" + bytes(at >> 7 * group & 0x7F | (group < 8) << 7 for group in range(9))
    head = b"\x0a\x06stdout" + moment
    parts = b"\x20\x01\x2a\x06" + b"\x12\x02id\x18\x01", b"\x20\x01\x2a\x08" + b"\x08\x01\x12\x02id\x18\x02"
    (tmp_path / "log").write_bytes(record(head + b"\x1a\x05hello") + record(head + b"\x1a\x02ab" + parts[0])
                                   + record(head + b"\x1a\x02cd" + parts[1]))
    [entries] = LogReader(str(tmp_path / "log"), 3, LOCAL).read()
    assert [entry.log for entry in entries] == ["hello\n", "ab", "cd\n"]
    assert entries[0] == Entry("hello\n", "stdout", timestamp(at))
    log = locallog.records([b"hello\n", b"ab"], 1, at)
    assert log == record(head + b"\x1a\x05hello") + record(head + b"\x1a\x02ab\x20\x01")


@pytest.mark.parametrize("tail", [0, 1, 2, 7, 20, 1000])
@pytest.mark.parametrize("compress", [False, True])
def test_the_tail_of_local(tmp_path: Path, tail: int, compress: bool) -> None:
    log = locallog.LocalWriter(str(tmp_path / "log"), 100, 20, compress=compress)
    log.write(1, b"".join(b"%d\n" % number for number in range(20)))
    log.close()
    reader = LogReader(str(tmp_path / "log"), 20, LOCAL)
    reader.skip_to_tail(tail)
    assert lines_of(reader) == [f"{number}\n" for number in range(20)[-tail:] if tail]
    reader.close()


def test_a_record_that_was_cut_off_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = locallog.records([b"one\n", b"two\n"], 1, 1)
    path.write_bytes(whole[:-3])
    reader = LogReader(str(path), 3, LOCAL)
    assert lines_of(reader) == ["one\n"]
    log = locallog.LocalWriter(str(path), 1 << 20, 3)
    log.write(1, b"three\n")
    log.close()
    assert [entry.log for batch in LogReader(str(path), 3, LOCAL).read() for entry in batch] == ["one\n", "three\n"]


@pytest.mark.parametrize("damaged", [b"", b"not gzip at all", None])
@pytest.mark.parametrize("tail", [None, 1000])
def test_a_damaged_file_hides_no_newer_one(tmp_path: Path, damaged: bytes | None, tail: int | None) -> None:
    path = tmp_path / "log"
    log = LogWriter(str(path), 2000, 3, compress=True)
    for number in range(100):
        log.write(1, b"%d\n" % number)
    log.close()
    whole, packed = read(path), path.with_name("log.2.gz")
    packed.write_bytes(packed.read_bytes()[:30] + b"\xff" * 300 if damaged is None else damaged)
    shown = read(path, tail=tail)
    assert shown and shown != whole and whole.endswith(shown)


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x01\xff", b"\x08\x01", b"\x12\x02ab", b"\x1a\x05ab",
                                     b"\x10" + b"\xff" * 30 + b"\x01", b""])
def test_a_damaged_record_hides_no_other(tmp_path: Path, message: bytes) -> None:
    def local(text: bytes) -> bytes:
        return locallog.records([text], 1, 0)

    length = len(message).to_bytes(4, "big")
    (tmp_path / "log").write_bytes(local(b"one\n") + length + message + length + local(b"two\n"))
    reader = LogReader(str(tmp_path / "log"), 1, LOCAL)
    found = lines_of(reader)
    reader.close()
    assert [line for line in found if line.strip()] == ["one\n", "two\n"]
