"""The file of events: many writers, rotation, and readers that lose nothing to either."""

import os
import resource
import threading
import time
from pathlib import Path

import msgspec
import pytest

from pydocker.events import reader
from pydocker.events.journal import Journal, older
from pydocker.model.event import Event, Kind, event
from runtime.linux import namespaces


def written(number: int, at: int | None = None) -> Event:
    return event(Kind.CONTAINER, "start", str(number), {"name": "web", "image": "busybox"}, at)


def ids(events: object) -> list[int]:
    return [int(one.actor.id) for one in events]  # type: ignore[attr-defined]


def test_a_line_is_what_goes_over_the_wire(tmp_path: Path) -> None:
    Journal(tmp_path / "events").write(written(7, 1_700_000_000_000_000_123))
    assert (tmp_path / "events").read_text() == (
        '{"status":"start","id":"7","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"7",'
        '"Attributes":{"name":"web","image":"busybox"}},"scope":"local","time":1700000000,'
        '"timeNano":1700000000000000123}\n')


def test_since_and_until(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    for number in range(10):
        journal.write(written(number, number))
    assert ids(reader.read(journal.path, 3, 6)) == [3, 4, 5, 6]
    assert ids(reader.read(journal.path, 8)) == [8, 9]
    assert ids(reader.follow(journal.path, 5, 7)) == [5, 6, 7]


def test_rotation_bounds_the_files_and_keeps_the_last(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events", limit=1000)
    for number in range(52):
        journal.write(written(number))
    assert sorted(os.listdir(tmp_path)) == ["events", "events.1", "events.2"]
    assert all(older(journal.path, number).stat().st_size < 1300 for number in (1, 2))
    found = ids(reader.read(journal.path, 0))
    assert found == list(range(found[0], 52))
    assert len(found) >= 10


def test_a_follower_loses_nothing_to_rotations(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events", limit=3000)
    found: list[int] = []
    follower = reader.follow(journal.path, None, time.time_ns() + 10**11)

    def follow() -> None:
        for one in follower:
            found.append(int(one.actor.id))
            if len(found) == 300:
                return

    reading = threading.Thread(target=follow)
    reading.start()
    for number in range(300):
        journal.write(written(number))
        while len(found) < number - 10:  # else two rotations may pass before it has read: then the oldest is gone
            time.sleep(0.001)
    reading.join(60)
    assert found == list(range(300))


def test_writers_in_many_processes_and_rotations(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events", limit=20_000, kept=2)
    children = []
    for writer in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(50):
                    journal.write(written(writer * 1000 + number))
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    found = ids(reader.read(journal.path, 0))
    assert sorted(found) == [writer * 1000 + number for writer in range(4) for number in range(50)]
    assert older(journal.path, 1).exists()


def test_what_a_power_cut_left_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    journal.write(written(1))
    with open(journal.path, "ab") as file:
        file.write(b'\0\0\0\n{"Type":"conta\n\xff\n[]\n')
    journal.write(written(2))
    assert ids(reader.read(journal.path, 0)) == [1, 2]


def test_a_follower_ends_when_nobody_listens(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    class Gone:
        def fileno(self) -> int:
            return reading

    follower = reader.follow(tmp_path / "events", None, None, Gone())
    os.close(writing)
    assert list(follower) == []
    os.close(reading)


def test_without_inotify_it_looks_by_itself(tmp_path: Path) -> None:
    """A user has 128 instances, which others need meanwhile. In a user namespace of one's own the limit is one's own
    (namespaces(7), /proc/sys/user)."""
    pid = os.fork()
    if pid == 0:
        try:
            namespaces.unshare(namespaces.CLONE_NEWUSER)
            Path("/proc/sys/user/max_inotify_instances").write_text("0")
            with pytest.raises(OSError, match="Too many open files"):
                reader.inotify.watch(tmp_path, reader.inotify.IN_CREATE)
            journal = Journal(tmp_path / "events")
            follower = reader.follow(journal.path, 0)
            journal.write(written(1))
            assert int(next(follower).actor.id) == 1
            threading.Timer(0.05, journal.write, [written(2)]).start()
            assert int(next(follower).actor.id) == 2
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_full_disk_costs_the_event_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(Path("/dev/full")).write(written(1))
    assert capsys.readouterr().err.startswith("event start of 1 is lost: write /dev/full: no space left on device")


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit of the process's stands for a full disk: the last write has room for a part."""
    journal = Journal(tmp_path / "events")
    journal.write(written(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 50, hard))
    try:
        journal.write(written(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "event start of 2 is lost" in capsys.readouterr().err
    journal.write(written(3))
    journal.write(written(4))
    assert ids(reader.read(journal.path, 0)) == [1, 3, 4]


def test_an_event_reads_as_it_was_written() -> None:
    one = written(3)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Event) == one
