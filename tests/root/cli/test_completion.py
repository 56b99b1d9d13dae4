"""Completion in the shells themselves, at a terminal: what is typed with a tab, and what the shell then calls."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.cli.terminals import Terminal

# The completions are pydocker's own; any other call tells its words.
COMMAND = """#!/bin/sh
case $1 in __complete|completion) exec {python} -m pydocker "$@" ;; esac
for word; do printf '<%s>' "$word"; done; echo '!'
"""
SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "source <(pydocker completion bash)"),
    "zsh": (("zsh", "-f", "-i"), "autoload -U compinit; compinit -D -u; source <(pydocker completion zsh)"),
    "fish": (("fish", "--no-config", "--private"), "pydocker completion fish | source"),
}
LINES = (
    ("stop we\t", "<stop><web>"), ("sto\twe\t", "<stop><web>"), ("start o\t", "<start><old>"),
    ("rmi onl\t", "<rmi><only:1>"), ("cp we\t/x y", "<cp><web:/x><y>"), ("import roo\t", "<import><root.tar>"),
    ("run --pid container:w\tbusybox", "<run><--pid><container:web><busybox>"),
    ("run --restart=unl\tbusybox", "<run><--restart=unless-stopped><busybox>"),
    ("run -it -v dat\t/d busybox", "<run><-it><-v><data:/d><busybox>"),
    ("container inspec\told", "<container><inspect><old>"), ("ps --filter stat\tup", "<ps><--filter><status=up>"),
    ("exec web cat root\t", "<exec><web><cat><root.tar>"),
    ("network inspect hos\t", "<network><inspect><host>"), ("volume rm dat\t", "<volume><rm><data>"),
)


@pytest.fixture(scope="module")
def populated(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine.ok("run", "-d", "--name", "web", "--network", "none", "busybox", "sleep", "1000")
    engine.ok("create", "--name", "old", "--network", "none", "-v", "data:/d", "busybox")
    engine.ok("tag", "busybox", "only:1")
    yield engine
    engine.ok("rm", "-f", "web", "old")
    engine.ok("rmi", "only:1")
    engine.ok("volume", "rm", "data")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(populated: Engine, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    argv, setting_up = SHELLS[shell]
    command = tmp_path / "bin" / "pydocker"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    (tmp_path / "root.tar").touch()
    environment = populated.environment | {
        "PATH": f"{command.parent}:{populated.environment['PATH']}", "HOME": str(tmp_path), "TERM": "xterm",
        "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with Terminal(argv, environment, str(tmp_path), columns=200) as terminal:
        terminal.type(f"{setting_up}\necho re''ady\n")
        terminal.expect("ready")
        for typed, called in LINES:
            terminal.type(f"pydocker {typed}\n")
            before = terminal.expect(">!")
            assert f"{before}>".endswith(called), typed
