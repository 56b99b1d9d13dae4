"""Every flag of Docker's container commands has a test that sees its effect (tests/flags/table.txt)."""

from pydocker.cli import app
from pydocker.cli.command import Command, Group
from pydocker.cli.create import CREATE
from pydocker.cli.run import RUN, RUN_FLAGS
from tests.flags import Flag, dockers, missing, proofs


def test_every_flag_has_a_proof() -> None:
    """A flag that comes, or a test that goes, is missed here: `python -m tests.flags` prints the table."""
    known = proofs()
    wanted = [flag for flag in dockers("container ") if flag.command != "container create"]
    assert len(wanted) > 150
    assert [str(flag) for flag in wanted if str(flag) not in known] == []
    assert [f"{flag}: {reason}" for flag in wanted if (reason := missing(flag, known[str(flag)]))] == []
    assert known.keys() - set(map(str, wanted)) == set()


def test_create_has_the_flags_of_run() -> None:
    """One tuple: what a test shows of `run` holds for `create`."""
    assert set(RUN.flags) - set(CREATE.flags) == set(RUN_FLAGS)
    assert set(CREATE.flags) <= set(RUN.flags)
    runs = {flag.long for flag in dockers("container run")}
    assert {flag.long for flag in dockers("container create")} <= runs


def test_the_table_of_proofs_can_fail() -> None:
    memory = Flag("container run", "--memory", "-m")
    assert missing(memory, "cli/test_nothing.py::test_x") == "there is no tests/root/cli/test_nothing.py"
    assert missing(memory, "cli/test_flags.py::test_x") == "tests/root/cli/test_flags.py has no test_x"
    assert missing(memory, "cli/test_flags.py::test_the_log") == "test_the_log does not name --memory"
    assert missing(memory, "cli/test_flags.py::test_memory_is_updated") == ""


def test_every_flag_of_dockers_is_known() -> None:
    """The commands that are there know all of Docker's flags (from its own table), long and short."""
    unknown = [f"{flag} {flag.short}" for flag in dockers() if not _knows(flag)]
    assert unknown == []


def _knows(flag: Flag) -> bool:
    command: object = app.ROOT
    for word in flag.command.split():
        if not isinstance(command, Group) or word not in command.entries:
            return True  # a command for another day
        command = command.get_command(None, word)  # type: ignore[arg-type]
    if not isinstance(command, Command):
        return True
    names = {name for one in command.flags for name in one.opts}
    return flag.long in names and (not flag.short or flag.short in names)
