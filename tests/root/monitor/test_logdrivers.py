"""Where a container's output goes: files in Docker's two formats, bounded and compressed; the journal; nowhere."""

import gzip
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pydocker.containers import logsettings
from pydocker.containers.options import LogOptions
from pydocker.errors import NotSupported
from pydocker.model.container import ContainerId, HostConfig, LogConfig, RestartPolicy
from tests.peers.journal import Journal
from tests.root.containers.room import Room, fails, frames, name, nanoseconds, wait_until
from tests.waiting import stop

BINARY = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done"
LONG = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo short"


def logged(driver: str, **options: str) -> HostConfig:
    return HostConfig(log_config=LogConfig(driver, {name.replace("_", "-"): value for name, value in options.items()}))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Journal]:
    with Journal(tmp_path, stuck=getattr(request, "param", False)) as journal:
        monkeypatch.setattr(logsettings, "JOURNAL", str(journal.socket))
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        yield journal


def after(room: Room, id: str, **options: Any) -> bytes:
    """The log of a container, when that has ended."""
    room.containers.wait(id).result()
    return room.log(id, **options)


@pytest.mark.parametrize("driver", ["local", "journald"])
@pytest.mark.usefixtures("journal")
def test_binary_output_comes_back_byte_by_byte(room: Room, driver: str) -> None:
    id = room.start("sh", "-c", f"{BINARY}; {BINARY} >&2", host=logged(driver))
    assert after(room, id, stderr=False) == after(room, id, stdout=False) == bytes(range(256))


@pytest.mark.parametrize("driver", ["json-file", "local", "journald"])
@pytest.mark.usefixtures("journal")
def test_a_line_of_a_megabyte(room: Room, driver: str) -> None:
    id = room.start("sh", "-c", LONG, host=logged(driver))
    assert after(room, id) == b"x" * 1_000_000 + b"\nshort\n"
    assert after(room, id, tail=1) == b"short\n"


def files_of(room: Room, id: str) -> dict[str, bytes]:
    directory = room.paths.container(id)
    return {path.name: path.read_bytes() for place in (directory, directory / "local-logs") if place.is_dir()
            for path in place.iterdir() if "log" in path.name and path.is_file()}


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_bounded_and_compressed(room: Room, driver: str) -> None:
    id = room.start("seq", "20000", host=logged(driver, max_size="50k", max_file="4", compress="true"))
    kept = after(room, id).decode().splitlines()
    files = files_of(room, id)
    assert len(files) == 4
    assert sum(name.endswith(".gz") for name in files) == 3
    plain = [gzip.decompress(content) if name.endswith(".gz") else content for name, content in files.items()]
    assert all(len(content) < 51_000 for content in plain)
    assert 1000 < len(kept) < 20_000
    assert kept == [str(number) for number in range(20_001 - len(kept), 20_001)]
    assert after(room, id, tail=1500).decode().splitlines() == kept[-1500:]


@pytest.mark.parametrize("driver", ["json-file", "local", "journald"])
@pytest.mark.usefixtures("journal")
def test_follow_goes_through_rotations_and_restarts(room: Room, driver: str) -> None:
    """Three runs by its policy, each of which fills several files."""
    script = "test -e /n || echo 0 >/n; read n </n; echo $((n+1)) >/n; seq $((n*700+1)) $((n*700+700)); test $n = 2"
    options = {} if driver == "journald" else {"max_size": "10k", "max_file": "20", "compress": "true"}
    host = HostConfig(log_config=logged(driver, **options).log_config, restart_policy=RestartPolicy("on-failure"))
    id = room.start("sh", "-c", script, host=host)
    followed = b"".join(text for _, text in room.containers.logs(id, LogOptions(follow=True)))
    assert followed.decode().split() == [str(number) for number in range(1, 2101)]


@pytest.mark.parametrize("driver", ["json-file", "local", "journald"])
@pytest.mark.usefixtures("journal")
def test_since_until_and_timestamps(room: Room, driver: str) -> None:
    script = "for word in one two three; do echo $word; read x; done"
    id = room.start("sh", "-c", script, open_stdin=True, host=logged(driver))
    terminal = room.attach(id, stdin=True, stdout=False)
    for word in (b"one", b"two", b"three"):  # each by itself: what is read at once has one time
        wait_until(lambda word=word: word in room.log(id))
        terminal.send(b"\n")
    lines = after(room, id, timestamps=True).decode().splitlines()
    assert [line.split()[1] for line in lines] == ["one", "two", "three"]
    at = nanoseconds(lines[1].split()[0])
    assert after(room, id, since=at) == b"two\nthree\n"
    assert after(room, id, until=at) == b"one\ntwo\n"
    assert after(room, id, since=at, until=at, tail=2) == b"two\n"


def test_details(room: Room) -> None:
    host = logged("json-file", labels="app,team", env="A", tag="{{.Name}}")
    id = room.start("sh", "-c", "echo x; echo y", host=host, name="told", labels={"app": "web server", "no": "1"},
                    env=("A=a,b",))
    line = "A=a%2Cb,app=web+server,tag=told "
    assert after(room, id, details=True).decode() == f"{line}x\n{line}y\n"
    stamped = room.log(id, details=True, timestamps=True).decode().splitlines()[0]
    assert stamped.split(" ", 1)[1] == f"{line}x"
    [first, _] = (room.paths.container(id) / f"{id}-json.log").read_text().splitlines()
    assert json.loads(first)["attrs"] == {"A": "a,b", "app": "web server", "tag": "told"}
    assert after(room, room.start("echo", "x"), details=True) == b" x\n"


def test_attach_with_logs_replays_what_local_has_compressed(room: Room) -> None:
    script = "seq 3000; echo end; sleep 100"
    id = room.start("sh", "-c", script, host=logged("local", max_size="5k", max_file="30"))
    wait_until(lambda: b"end" in room.log(id))
    terminal = room.attach(id, logs=True)
    terminal.until(b"end\n")
    room.containers.stop(id, 0)
    assert frames(terminal.rest())[1].decode().split() == [*map(str, range(1, 3001)), "end"]


def test_none_keeps_nothing(room: Room) -> None:
    id = room.start("echo", "x", host=logged("none", any="thing"))
    room.containers.wait(id).result()
    assert isinstance(fails(lambda: room.log(id)), NotSupported)
    assert not files_of(room, id)


# journald

def test_the_fields_of_an_entry(room: Room, journal: Journal) -> None:
    host = logged("journald", tag="{{.Name}}-tag", labels="com.example.text", env="A")
    id = room.start("sh", "-c", "echo out; echo err >&2; printf part", host=host, name="web",
                    labels={"com.example.text": "two\nlines"}, env=("A=1",))
    assert after(room, id) in (b"out\nerr\npart", b"err\nout\npart", b"out\nparterr\n")
    by_text = {one["MESSAGE"]: one for one in journal.entries()}
    common = {"CONTAINER_ID": id[:12], "CONTAINER_ID_FULL": id, "CONTAINER_NAME": "web", "CONTAINER_TAG": "web-tag",
              "IMAGE_NAME": "busybox", "SYSLOG_IDENTIFIER": "web-tag", "COM_EXAMPLE_TEXT": "two\nlines", "A": "1"}
    assert all(one.items() >= common.items() for one in by_text.values())
    assert {text: one["PRIORITY"] for text, one in by_text.items()} == {"out": "6", "err": "3", "part": "6"}
    assert by_text["part"]["CONTAINER_PARTIAL_MESSAGE"] == "true"
    assert room.log(id, details=True, stderr=False).startswith(b"A=1,COM_EXAMPLE_TEXT=two%0Alines out\n")


def test_another_containers_entries_are_not_shown(room: Room, journal: Journal) -> None:
    ids = [room.start("echo", text, host=logged("journald")) for text in ("a", "b")]
    assert [after(room, id) for id in ids] == [b"a\n", b"b\n"]
    assert len(journal.entries()) == 2


def test_a_host_without_a_journal(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsettings, "JOURNAL", str(tmp_path / "none"))
    id = room.create("true", host=logged("journald"))
    assert str(fails(lambda: room.containers.start(id))).endswith("journald is not enabled on this host")
    room.containers.remove(id)


@pytest.mark.parametrize("journal", [True], indirect=True)
def test_a_journal_that_takes_nothing_holds_the_container_up_and_nobody_else(own_room: Room, journal: Journal) -> None:
    """Blocking: the program waits. But its monitor answers, and it can be stopped."""
    id = own_room.start("sh", "-c", "yes | head -c 3000000; touch /through; sleep 100", host=logged("journald"))
    session, terminal = own_room.exec(id, "sh", "-c", "sleep 0.3; ls /through; echo end")
    terminal.until(b"end\n")
    assert own_room.exec_ended(session).exit_code == 0
    assert b"/through\n" not in frames(terminal.rest())[1]
    own_room.containers.stop(id, 0)
    assert own_room.containers.get(id).state.exit_code == 137
    complaints = own_room.directory / "monitors.log"
    assert "the journal takes nothing: output is lost to the log" in complaints.read_text()
    complaints.write_text("")


# mode=non-blocking

def writer_of(room: Room, id: ContainerId) -> int:
    """The process that writes the log: a child of the monitor's, by the name that it gives itself."""
    children = Path("/proc/{0}/task/{0}/children".format(room.monitor(id)))
    found: list[int] = []

    def begun() -> bool:
        found[:] = (int(pid) for pid in children.read_text().split() if name(int(pid)) == "pydocker-log")
        return bool(found)

    wait_until(begun)
    return found[0]


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_a_stuck_disk_does_not_hold_up_a_container_that_shall_not_be(room: Room, driver: str) -> None:
    """The writer is stopped, as if the disk had stopped."""
    script = "read x; seq 1000000; echo through >&2; while read x; do echo again; done"
    id = room.start("sh", "-c", script, open_stdin=True, tty=False,
                    host=logged(driver, mode="non-blocking", max_buffer_size="64k"))
    terminal = room.attach(id, stdin=True, stdout=False)
    writer = writer_of(room, id)
    stop(writer)
    terminal.send(b"\n")
    terminal.until(b"through\n")  # and it is not through in vain: nothing of its output has been written yet
    os.kill(writer, signal.SIGCONT)

    def again() -> bool:
        """What comes while there is still no room for it is lost."""
        terminal.send(b"\n")
        return b"again\n" in room.log(id)

    wait_until(again)
    lines = room.log(id).decode().split()
    assert lines[:1000] == [str(number) for number in range(1, 1001)]
    assert len(lines) < 100_000


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_non_blocking_loses_nothing_as_long_as_the_disk_follows(room: Room, driver: str) -> None:
    id = room.start("sh", "-c", "for i in 1 2 3 4 5; do seq 100; sleep 0.02; done; printf end",
                    host=logged(driver, mode="non-blocking"))
    assert after(room, id).decode().split() == [*map(str, range(1, 101))] * 5 + ["end"]


def test_a_killed_writer_costs_the_log_and_nothing_else(own_room: Room) -> None:
    id = own_room.start("sh", "-c", "echo before; read x; echo after; exit 4", open_stdin=True,
                        host=logged("json-file", mode="non-blocking"))
    wait_until(lambda: own_room.log(id) == b"before\n")
    os.kill(writer_of(own_room, id), signal.SIGKILL)
    terminal = own_room.attach(id, stdin=True)
    terminal.send(b"\n")
    assert frames(terminal.rest())[1] == b"after\n"
    assert own_room.containers.wait(id).result() == 4
    complaints = own_room.directory / "monitors.log"
    assert "the process that writes it was killed: output is lost to the log" in complaints.read_text()
    complaints.write_text("")


def test_a_writer_outlives_its_killed_monitor_just_long_enough(room: Room) -> None:
    id = room.start("sh", "-c", "seq 1000; echo end; sleep 100", host=logged("local", mode="non-blocking"))
    wait_until(lambda: b"end" in room.log(id))
    writer = writer_of(room, id)
    os.kill(room.monitor(id), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{writer}/exe").exists())
    assert room.log(id).decode().split() == [*map(str, range(1, 1001)), "end"]


@pytest.mark.skipif(not os.path.exists(logsettings.JOURNAL) or not shutil.which("journalctl"),
                    reason="no journal here (make test-vm has one)")
def test_the_real_journal(room: Room) -> None:
    id = room.start("sh", "-c", f"seq 500; {BINARY}", host=logged("journald", tag="real"))
    assert after(room, id) == b"".join(b"%d\n" % number for number in range(1, 501)) + bytes(range(256))
    assert after(room, id, tail=2) == bytes(range(256))  # which has one newline in it
