"""The log's writer and its reader, on files in a temporary directory."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.monitor.logreader import LogReader
from pydocker.monitor.logwriter import PARTIAL, LogWriter, entries, timestamp


def written(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(path: Path, files: int = 3, tail: int | None = None) -> str:
    reader = LogReader(str(path), files)
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
    reader = LogReader(str(path), 3)
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
    reader = LogReader(str(path), 3)
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
