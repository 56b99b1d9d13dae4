"""Small parts of a monitor: detach keys, backlogs, deletion, messages, the words of runtimes."""

import os
import resource
import socket
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.containers import launching
from pydocker.errors import Conflict, InvalidParameter, NotFound, StartFailed, Unavailable
from pydocker.model.container import ExecConfig
from pydocker.monitor import backlog, control, detachkeys, remains
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.execs import exit_code, process_for
from pydocker.monitor.launch import LOCK
from pydocker.monitor.ociruntime import exit_code as code_for
from pydocker.monitor.streams import pipes
from runtime.linux.capabilities import NAMES
from runtime.spec import Process


@pytest.mark.parametrize(("text", "keys"), [
    ("", b"\x10\x11"), ("ctrl-a", b"\x01"), ("ctrl-@,x", b"\0x"), ("a,b,c", b"abc"), ("ctrl-Z", b"\x1a"),
])
def test_detach_keys(text: str, keys: bytes) -> None:
    assert detachkeys.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-ab", "ä", "a,,b", "ctrl-1"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidParameter):
        detachkeys.parse(text)


@pytest.mark.parametrize(("pieces", "passed", "detached"), [
    ([b"abc"], b"abc", False), ([b"a\x10\x11b"], b"a", True), ([b"\x10", b"\x11"], b"", True),
    ([b"\x10", b"x"], b"\x10x", False), ([b"\x10\x10\x11"], b"\x10", True), ([b"\x11\x10"], b"\x11", False),
])
def test_watching_for_them(pieces: list[bytes], passed: bytes, detached: bool) -> None:
    watch = detachkeys.Watch(detachkeys.parse(""))
    results = [watch.feed(piece) for piece in pieces]
    assert b"".join(data for data, _ in results) == passed
    assert results[-1][1] == detached


@given(st.lists(st.binary(max_size=3000), max_size=30), st.integers(1, 2000))
def test_a_backlog_is_a_queue(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], step: int) -> None:
    queue = backlog.Backlog(str(tmp_path_factory.getbasetemp()))
    before, backlog.MEMORY = backlog.MEMORY, 1000
    try:
        out = bytearray()
        for piece in pieces:
            if piece:
                queue.push(piece)
            first = bytes(queue.first()[:step])
            out += first
            if first:
                queue.taken(len(first))
        while first := bytes(queue.first()):
            out += first
            queue.taken(len(first))
        assert bytes(out) == b"".join(pieces)
        assert len(queue) == 0
    finally:
        backlog.MEMORY = before
        queue.close()


def test_a_deep_tree_with_links_is_deleted(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("x")
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1500):  # deeper than PATH_MAX and than Python's stack
        os.symlink(canary, "link", dir_fd=fd)
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remains.delete_tree(top)
    assert not top.exists()
    assert (canary / "file").read_text() == "x"
    remains.delete_tree(top)  # a second time is fine


def test_two_delete_the_same_tree(tmp_path: Path) -> None:
    """Who removes a volume, and a server that starts and sweeps. Each moves up what the other has not seen yet."""
    def delete(errors: list[OSError], both: threading.Barrier, top: Path) -> None:
        both.wait()
        try:
            remains.delete_tree(top)
        except OSError as error:
            errors.append(error)

    for number in range(20):
        top, errors, both = tmp_path / f"{number}", list[OSError](), threading.Barrier(2)
        for outer in range(36):
            (top / f"{outer % 6}/{outer}/x/y").mkdir(parents=True)
        two = [threading.Thread(target=delete, args=(errors, both, top)) for _ in range(2)]
        for one in two:
            one.start()
        for one in two:
            one.join()
        assert errors == [] and not top.exists()


def test_who_begins_anew_keeps_what_he_makes(tmp_path: Path) -> None:
    run, rounds = tmp_path / "run", 300

    def user(errors: list[Exception]) -> None:
        try:
            for _ in range(rounds):
                fd = launching._lock(run)
                (run / "mine").mkdir()  # FileExistsError: two were inside at once
                (run / "document").write_bytes(b"")
                assert (run / "mine").exists()
                remains.give_up(run, LOCK)
                os.close(fd)
        except Exception as error:
            errors.append(error)

    errors: list[Exception] = []
    users = [threading.Thread(target=user, args=(errors,)) for _ in range(3)]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert errors == []
    assert not run.exists()


def test_sweep_keeps_what_it_is_told(tmp_path: Path) -> None:
    for name in ("keep-file", "gone-file"):
        (tmp_path / name).touch()
    for name in ("keep-full", "keep-empty", "gone-directory"):
        (tmp_path / name).mkdir()
    (tmp_path / "keep-full" / "file").touch()
    remains.sweep(tmp_path, keep=("keep-file", "keep-full", "keep-empty"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep-file", "keep-full"]


def test_messages_carry_descriptors() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with ours, theirs:
        request = AttachRequest(b"\0\xff", True, True, False, False, True, "")
        control.send(ours, request, [writing])
        os.close(writing)
        received, fds = control.receive(theirs, control.Request)  # type: ignore[arg-type]
        assert received == request
        assert not os.get_inheritable(fds[0])
        os.write(fds[0], b"x")
        assert os.read(reading, 1) == b"x"
        control.close([*fds, reading])
        ours.close()
        assert control.receive(theirs, control.Reply) == (None, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(("failed", "kind"), [
    (control.Failed("x", 127), StartFailed), (control.Failed("x", status=404), NotFound),
    (control.Failed("x", status=409), Conflict), (control.Failed("x", status=503), Unavailable),
])
def test_a_failure_becomes_the_same_error_on_the_other_side(failed: control.Failed, kind: type[Exception]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        control.send(ours, failed)
        with pytest.raises(kind, match="x"):
            control.expect_done(theirs, "test")


def test_a_monitor_that_dies_is_no_answer() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with theirs, pytest.raises(Unavailable, match="ended without an answer"):
        control.expect_done(theirs, "test")


def test_a_monitor_that_is_gone_cannot_be_asked() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours, pytest.raises(Unavailable, match="test: it ended without an answer"):
        control.ask(ours, control.View(), "test")


def test_garbage_is_refused() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(b'["exec"]')
        with pytest.raises(msgspec.MsgspecError):
            control.receive(theirs, control.Request)  # type: ignore[arg-type]


@pytest.mark.parametrize(("message", "code"), [
    ('exec: "x": executable file not found in $PATH', 127), ('exec: "/x": no such file or directory', 127),
    ('exec: "/x": permission denied', 126), ('exec: "/": is a directory', 126), ("mount: operation not permitted", 128),
])
def test_who_is_to_blame(message: str, code: int) -> None:
    assert code_for(message) == code


def test_exit_codes_of_wait_statuses() -> None:
    assert [exit_code(status) for status in (0, 7 << 8, 9, 15)] == [0, 7, 137, 143]


def test_the_process_of_a_session() -> None:
    container = Process(cwd="/app", args=("sleep",), env=("A=1", "B=2", "PATH=/bin"))
    process = process_for(container, ExecConfig(cmd=("id",), env=("A=3", "B"), tty=True, privileged=True))
    assert process.env == ("PATH=/bin", "TERM=xterm", "A=3")
    assert (process.args, process.cwd, process.terminal) == (("id",), "/app", True)
    assert process.capabilities is not None
    assert process.capabilities.bounding == NAMES
    assert process_for(container, ExecConfig(cmd=("id",), working_dir="/srv")).cwd == "/srv"


@pytest.mark.parametrize("room", [1, 3, 5])
def test_pipes_that_cannot_be_made_leave_none_behind(room: int) -> None:
    """EMFILE at the first, the second, the third of them."""
    before = os.listdir("/proc/self/fd")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling = [os.open(os.devnull, os.O_RDONLY)]
    while filling[-1] < max(map(int, before)):  # no gap below the limit
        filling.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (filling[-1] + 1 + room, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            pipes(stdin=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in filling:
            os.close(fd)
    assert os.listdir("/proc/self/fd") == before
