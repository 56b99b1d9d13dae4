"""`top`: ps's lines for exactly the container's processes, whatever options ps gets."""

import pytest

from pydocker.containers.top import chosen
from pydocker.errors import Conflict, InvalidParameter
from tests.root.containers.room import Room, fails, wait_until


def test_every_process_of_it_and_no_other(any_room: Room) -> None:
    id = any_room.start("sh", "-c", "sleep 111 & sleep 222 & echo ready; wait")
    other = any_room.program("sleep", "333")
    wait_until(lambda: any_room.log(id) == b"ready\n")
    titles, rows = any_room.containers.top(id, "")
    assert [titles[0], titles[1], titles[-1]] == ["UID", "PID", "CMD"]
    wait_until(lambda: {"sleep 111", "sleep 222"} <= {row[-1] for row in any_room.containers.top(id, "")[1]})
    pid = any_room.containers.get(id).state.pid
    assert [row[-1][:2] for row in rows if row[1] == str(pid)] == ["sh"]
    assert len(rows) == 3
    wait_until(lambda: [row[-1] for row in any_room.containers.top(other, "-e -o pid,args")[1]] == ["sleep 333"])


def test_options_are_those_of_ps(room: Room) -> None:
    id = room.program("sleep", "100")
    pid = str(room.containers.get(id).state.pid)
    assert room.containers.top(id, "-o pid,comm") == (["PID", "COMMAND"], [[pid, "sleep"]])
    titles, [row] = room.containers.top(id, "auxf")  # `f` does not go with `-q`
    assert (titles[:2], row[1]) == (["USER", "PID"], pid)
    titles, rows = room.containers.top(id, "m")  # a thread's line has no number
    assert [row[titles.index("PID")] for row in rows] == [pid, "-"]


@pytest.mark.parametrize(("options", "words"), [
    ("-o comm", "Couldn't find PID field in ps output"),
    ("-o pid,comm=PID", 'specifying "pid,comm=PID" is not allowed'),
    ("--nope", "unknown gnu long option"),
])
def test_options_that_lead_nowhere(room: Room, options: str, words: str) -> None:
    id = room.start("sleep", "100")
    assert words in str(fails(lambda: room.containers.top(id, options)))


def test_one_that_does_not_run_has_no_processes(room: Room) -> None:
    id = room.create("true")
    error = fails(lambda: room.containers.top(id, ""))
    assert (type(error), str(error)) == (Conflict, f"Container {id} is not running")


def test_a_command_with_blanks_is_one_cell() -> None:
    output = "PID CMD\n 7 a  b\u2003c\n 8 other\n"
    assert chosen(output, [7]) == (["PID", "CMD"], [["7", "a b\u2003c"]])
    assert isinstance(fails(lambda: chosen("PID CMD\nx y\n", [7])), Exception)
    assert not isinstance(fails(lambda: chosen("CMD\nx\n", [7])), InvalidParameter)
    error = fails(lambda: chosen("CGROUP PID\n7\n", [7]))
    assert str(error) == "Unexpected line '7' in ps output: it has no pid"
