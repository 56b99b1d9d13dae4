"""What is offered at the end of a command line, without a shell (tests/root/cli/test_completion.py has them)."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.cli import completing
from pydocker.cli.app import ROOT
from pydocker.cli.command import Group
from pydocker.cli.completion import _words
from pydocker.cli.session import Session
from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

LISTED = answer("200 OK", b'[{"Id":"a","Names":["/web"],"Image":"x","State":"running"},'
                          b'{"Id":"b","Names":["/old","/web/alias"],"Image":"y","State":"exited"}]')


@pytest.mark.parametrize(("words", "lines"), [
    ("sto", ["stop\tStop one or more running containers", "-"]), ("stop ''", ["web\tx", "-"]),
    ("start ''", ["old\ty", "-"]), ("rm ''", ["old\ty", "web\tx", "-"]), ("logs web ''", ["-"]),
    ("cp w", ["web:\tx", "files open"]), ("exec web ''", ["files"]), ("-D container lo", [
        "logs\tFetch the logs of a container", "-"]), ("run --rm --restart=al", ["--restart=always\t", "-"]),
    ("run --pull ne", ["never\t", "-"]), ("ps -f dis", ["open"]), ("ps -f he", ["health=\t", "open"]),
    ("run -itm ''", ["-"]), ("run x --", ["files"]), ("nonsense ''", ["-"]), ("stop --nonsense ''", ["web\tx", "-"]),
    ("container prune --filter un", ["until=\t", "open"]), ("rename -- we", ["web\tx", "-"]),
])
def test_what_is_offered(pydocker: CommandLine, words: str, lines: list[str]) -> None:
    pydocker.server.answers = [LISTED]
    said = pydocker("__complete", "fish", *(word.strip("'") for word in words.split()))
    assert (said.code, said.out.splitlines()) == (0, lines)


def test_bash_gets_what_is_behind_its_breaks(pydocker: CommandLine) -> None:
    pydocker.server.answers = [LISTED] * 2
    assert pydocker("__complete", "bash", "pydocker run --pid container:w", " \t=:").out == "web\n-\n"
    assert pydocker("__complete", "bash", "pydocker run --pid container:w", " ").out == "container:web\n-\n"


@pytest.mark.parametrize(("line", "words"), [
    ("a b", ["a", "b"]), ("a ", ["a", ""]), (r"a b\ c", ["a", "b c"]), ("a 'b c", ["a", "b c"]),
    (r'a "b \"c" d', ["a", 'b "c', "d"]), ("", [""])])
def test_a_line_that_is_not_finished(line: str, words: list[str]) -> None:
    assert _words(line) == words


def test_arguments_are_known_of_commands_that_exist() -> None:
    """Nothing is offered for a command that was renamed."""
    for path in completing._ARGUMENTS:
        command: click.Command | None = ROOT
        for word in path.split():
            assert isinstance(command, Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None, path


WORDS = ("run", "container", "image", "-it", "--", "--rm", "-e", "--env", "x", "", "-", "ps", "--filter", "--filter=",
         "--rm=", "-H", "\udcff", "é", "__complete")


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
def test_whatever_is_typed_is_no_fault(words: list[str]) -> None:
    completing.found(Session({"DOCKER_HOST": "unix:///nowhere"}), words)
