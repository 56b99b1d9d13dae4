"""`-it` as a person lives it: size, keys, letting go, and a terminal that is as it was afterwards."""

import signal
import sys
from pathlib import Path

import pytest

from tests.engine import CHECKOUT, Engine
from tests.root.cli.conftest import Peer
from tests.root.cli.terminals import Terminal

RUN = ("run", "-it", "--network", "none")
_WINCH = 'trap "stty size" WINCH; echo rea""dy; while :; do sleep 0.1; done'


def test_the_programs_exit_status_is_ours(peer: Peer) -> None:
    with peer.terminal(*RUN, "--rm", "busybox", "sh", "-c", "tty; exit 7") as terminal:
        terminal.expect("/dev/")
        assert terminal.end() == 7


def test_the_terminal_has_our_size_and_follows_it(peer: Peer) -> None:
    script = 'until stty size 2>/dev/null | grep -v "^0 0"; do sleep 0.1; done; ' + _WINCH
    with peer.terminal(*RUN, "--rm", "busybox", "sh", "-c", script, rows=31, columns=97) as terminal:
        terminal.expect("31 97")
        terminal.expect("ready")
        terminal.resize(41, 107)
        terminal.expect("41 107")
        terminal.type("\x10\x11")
        assert terminal.end() == 0


def test_keys_belong_to_the_program(peer: Peer) -> None:
    script = 'trap "echo interrup""ted; exit 5" INT; echo rea""dy; while :; do sleep 0.1; done'
    with peer.terminal(*RUN, "--rm", "busybox", "sh", "-c", script) as terminal:
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("interrupted")
        assert terminal.end() == 5


def test_letting_go_and_coming_back(peer: Peer) -> None:
    with peer.terminal(*RUN, "--name", "kept", "busybox", "sh") as terminal:
        terminal.type("echo he''re\n")
        terminal.expect("here")
        terminal.type("\x10\x11")
        assert terminal.end() == 0
        assert terminal.settings() == terminal.at_first
    assert peer.ok("ps", "-q", "--filter", "name=kept")
    with peer.terminal("attach", "kept") as terminal:
        terminal.type("echo he''re again\n")
        terminal.expect("here again")
        terminal.type("\x10\x11")
        assert terminal.end() == 1
        assert "read escape sequence" in terminal.seen
    with peer.terminal("attach", "--detach-keys", "ctrl-a,x", "kept") as terminal:
        terminal.type("\x10\x11echo he''re a third time\n")
        terminal.expect("here a third time")
        terminal.type("exit 3\n")
        assert terminal.end() == 3


def test_other_keys_let_go_where_they_were_asked_for(peer: Peer) -> None:
    with peer.terminal(*RUN, "--detach-keys", "ctrl-a,x", "--name", "kept", "busybox", "sh") as terminal:
        terminal.type("echo he''re\n")
        terminal.expect("here")
        terminal.type("\x01x")
        assert terminal.end() == 0
    assert peer.ok("ps", "-q", "--filter", "name=kept")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_us_and_leaves_the_terminal_as_it_was(peer: Peer, number: signal.Signals) -> None:
    with peer.terminal(*RUN, "busybox", "sh", "-c", 'echo rea""dy; sleep 100') as terminal:
        terminal.expect("ready")
        raw = terminal.settings()
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert terminal.settings() != raw


def test_exec_has_a_terminal_of_its_own(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sleep", "1000")
    with peer.terminal("exec", "-it", "web", "sh", rows=33, columns=99) as terminal:
        terminal.type("until stty size | grep -x '3[3] 99'; do sleep 0.1; done\n")
        terminal.expect("33 99")
        terminal.resize(40, 90)
        terminal.type("until stty size | grep -x '4[0] 90'; do sleep 0.1; done\n")
        terminal.expect("40 90")
        terminal.type("exit 9\n")
        assert terminal.end() == 9


def test_start_in_the_foreground(peer: Peer) -> None:
    peer.ok("create", "-it", "--network", "none", "--name", "web", "busybox", "sh")
    with peer.terminal("start", "-ai", "web") as terminal:
        terminal.type("echo he''re; exit 4\n")
        terminal.expect("here")
        assert terminal.end() == 4


def test_a_terminal_is_needed_for_one(peer: Peer) -> None:
    result = peer.run(*RUN, "busybox", "sh")
    assert (result.code, result.out, result.err) == (1, "", "the input device is not a TTY\n")


def test_ctrl_c_without_a_terminal_of_its_own_is_sent_on(peer: Peer) -> None:
    script = 'trap "echo interrup""ted; exit 5" INT; echo rea""dy; while :; do sleep 0.1; done'
    with peer.terminal("run", "--rm", "--network", "none", "busybox", "sh", "-c", script) as terminal:
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("interrupted")
        assert terminal.end() == 5


def test_in_the_background_the_terminal_is_the_shells(engine: Engine, tmp_path: Path) -> None:
    """Its output is shown, its input waits for `fg`; Docker's client burns a processor meanwhile."""
    command = f"{sys.executable} -m pydocker run --rm -i --network none -v {tmp_path}:/in busybox"
    script = ("echo beg''un; while [ ! -e /in/on ]; do sleep 0.1; done; "
              "echo la''ter; read word; echo got-\\$word; exit 5")
    with Terminal(("bash", "--norc", "--noediting", "-i"), engine.environment, str(CHECKOUT)) as terminal:
        terminal.type(f'{command} sh -c "{script}" &\n')
        terminal.expect("begun")
        terminal.type("echo she''ll\n")
        terminal.expect("shell")
        (tmp_path / "on").touch()
        terminal.expect("later")
        terminal.type("jobs\n")
        terminal.expect("Running")
        terminal.type("fg\nword\n")
        terminal.expect("got-word")
        terminal.expect("# ")
        terminal.type("echo status $?\n")
        terminal.expect("status 5")
