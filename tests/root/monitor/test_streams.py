"""Standard streams: attached clients, terminals, half-closed input, slow readers, logs while they grow."""

import os
import signal
import threading
import time

import pytest

from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.errors import Conflict, InvalidParameter, NotFound, NotSupported, PydockerError, StartFailed
from pydocker.model.container import ExecConfig, HostConfig, LogConfig
from pydocker.monitor import control
from tests.root.containers.room import Room, descriptors, fails, frames, nanoseconds, wait_until


def test_attached_before_the_start_sees_the_first_byte(any_room: Room) -> None:
    id = any_room.create("sh", "-c", "echo first; echo second >&2")
    terminal = any_room.attach(id)
    any_room.containers.start(id)
    assert frames(terminal.rest()) == {1: b"first\n", 2: b"second\n"}


def test_input_and_its_end(any_room: Room) -> None:
    id = any_room.create("cat", open_stdin=True, stdin_once=True)
    terminal = any_room.attach(id, stdin=True, leftover=b"left")
    any_room.containers.start(id)
    terminal.send(b"over\n")
    terminal.end_input()
    assert frames(terminal.rest())[1] == b"leftover\n"
    assert any_room.containers.wait(id).result() == 0


def test_input_that_ends_before_the_start(room: Room) -> None:
    id = room.create("cat", open_stdin=True, stdin_once=True)
    terminal = room.attach(id, stdin=True)
    terminal.send(b"early\n")
    terminal.end_input()
    room.containers.start(id)
    assert frames(terminal.rest())[1] == b"early\n"


def test_a_megabyte_through_cat(room: Room) -> None:
    id = room.create("cat", open_stdin=True, stdin_once=True)
    terminal = room.attach(id, stdin=True)
    room.containers.start(id)
    data = os.urandom(1 << 20)

    def feed() -> None:
        terminal.send(data)
        terminal.end_input()

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert frames(terminal.rest())[1] == data
    feeder.join()


def test_input_outlives_a_client_without_stdin_once(room: Room) -> None:
    id = room.start("cat", open_stdin=True)
    for word in (b"one\n", b"two\n"):
        terminal = room.attach(id, stdin=True)
        terminal.send(word)
        terminal.until(word)
        terminal.end.close()
    assert room.containers.get(id).state.running
    assert room.log(id) == b"one\ntwo\n"


def test_nobody_reads_the_input(room: Room) -> None:
    id = room.create("sh", "-c", "exec <&-; echo closed; sleep 100", open_stdin=True, stdin_once=True)
    terminal = room.attach(id, stdin=True)
    room.containers.start(id)
    terminal.until(b"closed")
    terminal.send(b"x" * 100_000)
    room.containers.stop(id, 0)
    assert frames(terminal.rest())[1] == b"closed\n"


def test_a_terminal(any_room: Room) -> None:
    script = "stty size; trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.05; done"
    id = any_room.create("sh", "-c", script, tty=True, open_stdin=True)
    terminal = any_room.attach(id, stdin=True)
    any_room.containers.start(id)
    terminal.until(b"ready")
    any_room.containers.resize(id, 33, 99)
    assert b"33 99" in terminal.until(b"33 99")
    assert any_room.containers.wait(id).result() == 7
    assert b"TERM=xterm" in any_room.run("env", tty=True).out
    assert b"ready\r\n" in any_room.log(id)


def test_ctrl_c_goes_to_the_program(room: Room) -> None:
    script = "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done"
    id = room.create("sh", "-c", script, tty=True, open_stdin=True)
    terminal = room.attach(id, stdin=True)
    room.containers.start(id)
    terminal.until(b"ready")
    terminal.send(b"\x03")
    assert room.containers.wait(id).result() == 5


def test_the_detach_keys_let_go(room: Room) -> None:
    id = room.create("cat", tty=True, open_stdin=True)
    terminal = room.attach(id, stdin=True)
    room.containers.start(id)
    terminal.send(b"hello\r")
    terminal.until(b"hello\r\nhello\r\n")
    terminal.send(b"\x10\x11")
    terminal.rest()
    assert room.containers.get(id).state.running
    again = room.attach(id, stdin=True, detach_keys="x")
    again.send(b"bye\r")
    again.until(b"bye\r\nbye\r\n")
    again.send(b"x")
    again.rest()
    assert isinstance(fails(lambda: room.attach(id, detach_keys="ctrl-ctrl")), InvalidParameter)


def test_attach_replays_the_log(room: Room) -> None:
    id = room.start("sh", "-c", "echo before; cat", open_stdin=True, stdin_once=True)
    wait_until(lambda: room.log(id) == b"before\n")
    terminal = room.attach(id, stdin=True, logs=True)
    terminal.send(b"after\n")
    terminal.end_input()
    assert frames(terminal.rest())[1] == b"before\nafter\n"


def test_a_slow_client_holds_up_neither_the_log_nor_others(room: Room) -> None:
    size = 20_000_000
    host = HostConfig(log_config=LogConfig(config={"max-size": "100m"}))
    id = room.create("sh", "-c", f"yes {'x' * 100} | head -c {size}", host=host)
    slow, quick = room.attach(id), room.attach(id)
    room.containers.start(id)
    assert len(frames(quick.rest())[1]) == size
    assert room.containers.wait(id).result() == 0
    assert len(room.log(id)) == size
    assert len(frames(slow.rest())[1]) == size  # and has lost nothing


def test_a_client_that_is_killed_is_forgotten(room: Room) -> None:
    id = room.start("sh", "-c", "while :; do echo x; sleep 0.01; done")
    monitor = room.monitor(id)
    first = room.attach(id)
    first.until(b"x")  # the monitor is up
    before = descriptors(monitor)
    for _ in range(50):
        terminal = room.attach(id)
        terminal.until(b"x")
        terminal.end.close()
    first.end.close()
    wait_until(lambda: descriptors(monitor) < before)


def test_logs_follow_to_the_end(room: Room) -> None:
    id = room.start("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
    assert room.log(id, follow=True) == b"1\n2\n3\n4\n5\n"
    assert room.log(id, tail=2) == b"4\n5\n"


def test_logs_follow_across_rotations(room: Room) -> None:
    options = LogConfig(config={"max-size": "20k", "max-file": "3"})
    id = room.create("sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo line $i of many; i=$((i+1)); done; sleep 0.2",
                     host=HostConfig(log_config=options))
    room.containers.start(id)
    followed = room.log(id, follow=True).decode().splitlines()
    assert followed[-1] == "line 1999 of many"
    assert len(list(room.paths.container(id).glob("*-json.log*"))) == 3
    kept = room.log(id).decode().splitlines()
    assert kept == [f"line {number} of many" for number in range(2000 - len(kept), 2000)]


def test_nobody_follows_any_more(room: Room) -> None:
    id = room.start("sleep", "100")
    reading, writing = os.pipe()
    with open(reading, "rb") as gone:
        lines = room.containers.logs(id, LogOptions(follow=True), gone)
        os.close(writing)
        assert list(lines) == []


def test_lines_by_time_and_stream(room: Room) -> None:
    id = room.start("sh", "-c", "echo one; read x; echo two >&2", open_stdin=True)
    terminal = room.attach(id, stdin=True, stdout=False)
    wait_until(lambda: room.log(id) == b"one\n")
    terminal.send(b"\n")
    assert room.containers.wait(id).result() == 0
    stamp, _, later, _ = room.log(id, timestamps=True).decode().split()
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-01-02T03:04:05.123456789Z")
    assert room.log(id, stderr=False) == b"one\n"
    assert room.log(id, since=nanoseconds(later)) == b"two\n"
    assert room.log(id, until=nanoseconds(stamp)) == b"one\n"


def test_binary_output_and_long_lines(room: Room) -> None:
    id = room.create("sh", "-c", r"printf 'a\377b\n'; head -c 100000 /dev/zero | tr '\0' y; printf 'end'")
    terminal = room.attach(id)
    room.containers.start(id)
    raw = frames(terminal.rest())[1]
    assert raw == b"a\xffb\n" + b"y" * 100_000 + b"end"
    assert room.log(id) == "a\ufffdb\n".encode() + b"y" * 100_000 + b"end"


def test_no_log(room: Room) -> None:
    id = room.create("echo", "x", host=HostConfig(log_config=LogConfig(type="none")))
    terminal = room.attach(id)
    room.containers.start(id)
    assert frames(terminal.rest())[1] == b"x\n"
    assert isinstance(fails(lambda: room.log(id)), NotSupported)


def test_exec(any_room: Room) -> None:
    id = any_room.start("sleep", "100", env=("A=b",))
    session, terminal = any_room.exec(id, "sh", "-c", "echo $A $HOME; id -u >&2; exit 3", user="user")
    assert frames(terminal.rest()) == {1: b"b /\n", 2: b"1000\n"}
    assert any_room.exec_ended(session).exit_code == 3


def test_exec_with_input(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "cat", attach_stdin=True)
    terminal.send(b"through\n")
    terminal.end_input()
    assert frames(terminal.rest())[1] == b"through\n"
    assert room.exec_ended(session).exit_code == 0


def test_exec_with_a_terminal(any_room: Room) -> None:
    id = any_room.start("sleep", "100")
    session, terminal = any_room.exec(id, "sh", "-c", "echo ready; read x; stty size; echo $TERM; exit 9", tty=True,
                                      attach_stdin=True)
    terminal.until(b"ready")
    any_room.containers.exec_resize(session, 41, 42)
    terminal.send(b"\n")
    assert b"41 42\r\nxterm\r\n" in terminal.rest()
    assert any_room.exec_ended(session).exit_code == 9


def test_a_size_that_comes_before_the_terminal_is_kept_for_it(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", "until stty size 2>/dev/null | grep -v '^0 0'; do sleep 0.1; done",
                                  tty=True, size=(43, 44))
    assert terminal.rest() == b"43 44\r\n"
    assert room.exec_ended(session).exit_code == 0
    assert isinstance(fails(lambda: room.containers.exec_resize(session, 1, 2)), NotFound)


@pytest.mark.parametrize(("argv", "code"), [(("nope",), 127), (("/etc",), 126), (("/etc/passwd",), 126)])
def test_exec_of_what_cannot_be_run(any_room: Room, argv: tuple[str, ...], code: int) -> None:
    id = any_room.start("sleep", "100")
    error = fails(lambda: any_room.exec(id, *argv))
    assert isinstance(error, StartFailed), error
    assert error.exit_code == code
    assert any_room.containers.get(id).state.running


def test_exec_ends_though_a_descendant_holds_its_output(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sh", "-c", "sleep 50 & echo done")
    assert frames(terminal.rest())[1] == b"done\n"
    assert room.exec_ended(session).exit_code == 0


def test_exec_ends_with_its_container(room: Room) -> None:
    id = room.start("sleep", "100")
    session, terminal = room.exec(id, "sleep", "100")
    room.containers.kill(id)
    assert terminal.rest() == b""
    assert room.exec_ended(session).exit_code == 137
    assert isinstance(fails(lambda: room.exec(id, "true")), Conflict)


def test_detached_exec_and_its_error(room: Room) -> None:
    id = room.start("sleep", "100")
    session = room.containers.exec_create(id, ExecConfig(cmd=("sh", "-c", "exit 6")))
    room.containers.exec_start(session, detach=True, tty=False)
    assert room.exec_ended(session).exit_code == 6
    assert isinstance(fails(lambda: room.containers.exec_start(session, detach=True, tty=False)), Conflict)
    assert isinstance(fails(lambda: room.containers.exec_get("f" * 64)), PydockerError)


def test_nothing_grows_with_exec(room: Room) -> None:
    id = room.start("sleep", "100")
    room.exec(id, "true")[1].rest()
    monitor = room.monitor(id)
    before = descriptors(monitor)
    for _ in range(10):
        room.exec(id, "true")[1].rest()
        fails(lambda: room.exec(id, "nope"))
    wait_until(lambda: descriptors(monitor) <= before)


def test_the_monitor_ignores_what_ends_others(room: Room) -> None:
    id = room.start("sleep", "100")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(room.monitor(id), number)
    time.sleep(0.1)
    assert room.containers.get(id).state.running


def test_wait_is_told_after_the_output(room: Room) -> None:
    id = room.create("sh", "-c", f"yes {'x' * 100} | head -c 1000000")
    waiter = room.containers.wait(id, WaitCondition.NEXT_EXIT)
    room.containers.start(id)
    waiter.result()
    assert len(room.log(id)) == 1_000_000


def test_who_gives_up_waiting_or_following_is_forgotten(room: Room) -> None:
    id = room.start("sleep", "100")
    monitor = room.monitor(id)
    room.attach(id).end.close()
    before = descriptors(monitor)
    for _ in range(10):
        room.containers.wait(id).close()
        room.containers.kill(id, "URG")
        with room.containers._streams.connect(id) as follower:
            control.send(follower, control.Follow())
    wait_until(lambda: descriptors(monitor) <= before)
