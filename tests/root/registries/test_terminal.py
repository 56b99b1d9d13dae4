"""A person at `pydocker login`: asked for a name and a password, which the terminal does not show."""

import signal
import sys
import termios
from pathlib import Path

from tests.engine import CHECKOUT, Engine
from tests.peers.registry import PASSWORD, USER, Registry
from tests.root.cli.terminals import Terminal


def login(engine: Engine, *argv: str) -> Terminal:
    command = (sys.executable, "-m", "pydocker", "login", *argv)
    return Terminal(command, engine.environment | {"TERM": "dumb"}, str(CHECKOUT))


def echoes(terminal: Terminal) -> bool:
    flags = terminal.settings()[3]
    assert isinstance(flags, int)
    return bool(flags & termios.ECHO)


def test_a_person_is_asked(engine: Engine, home: Path, basic: Registry) -> None:
    with login(engine, basic.address) as terminal:
        terminal.expect("Username: ")
        terminal.type(f"{USER}\n")
        terminal.expect("Password: ")
        assert not echoes(terminal)
        terminal.type(f"{PASSWORD}\n")
        seen = terminal.expect("Login Succeeded")
        assert terminal.end() == 0
        assert PASSWORD not in seen + terminal.seen
        assert echoes(terminal)
    with login(engine, basic.address) as terminal:
        terminal.expect("Authenticating with existing credentials...")
        assert terminal.end() == 0


def test_a_wrong_password_and_another_try(engine: Engine, home: Path, basic: Registry) -> None:
    engine.ok("login", "-u", USER, "--password-stdin", basic.address, input=PASSWORD)
    config = home / ".docker" / "config.json"
    config.write_text(config.read_text().replace('"auth": "', '"auth": "eDp5", "x": "'))
    with login(engine, basic.address) as terminal:
        terminal.expect("Login did not succeed")
        terminal.expect("Username (x): ")
        terminal.type(f"{USER}\n")
        terminal.expect("Password: ")
        terminal.type(f"{PASSWORD}\n")
        terminal.expect("Login Succeeded")
        assert terminal.end() == 0


def test_an_interrupted_question_gives_the_echo_back(engine: Engine, home: Path, basic: Registry) -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with login(engine, "-u", USER, basic.address) as terminal:
            terminal.expect("Password: ")
            assert not echoes(terminal)
            terminal.process.send_signal(number)
            assert terminal.end() == status
            assert echoes(terminal)
    assert not (home / ".docker").exists()
