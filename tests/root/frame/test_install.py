"""What `make install` puts into a prefix is a working command line, and the demo runs on it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.engine import CHECKOUT, Engine


@pytest.fixture(scope="module")
def prefix(session_directory: Path) -> Path:
    """A prefix of its own, for which `make install` leaves systemd alone."""
    prefix = session_directory / "prefix"
    make("install", prefix)
    return prefix


def make(target: str, prefix: Path) -> None:
    """Not as a part of the `make test` that runs us: without its flags and its level."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(("make", "--silent", target, f"PREFIX={prefix}"), cwd=CHECKOUT, env=environment, check=True,
                   timeout=500)


def call(engine: Engine, prefix: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    path = f"{prefix / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(argv, cwd="/", env=engine.environment | {"PATH": path}, capture_output=True, text=True,
                          timeout=500, check=False)


@pytest.mark.parametrize("command", ["pydocker", "pydocker-runtime"])
def test_the_commands_answer_from_any_directory(prefix: Path, fresh_engine: Engine, command: str) -> None:
    done = call(fresh_engine, prefix, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert command in done.stdout


def test_the_commands_ignore_pythons_environment(prefix: Path, fresh_engine: Engine) -> None:
    """Isolated mode: root's command must not run code from a directory that PYTHONPATH names."""
    evil = fresh_engine.root / "evil"
    evil.mkdir()
    (evil / "click.py").write_text("raise SystemExit(99)")
    fresh_engine.environment["PYTHONPATH"] = str(evil)
    assert call(fresh_engine, prefix, "pydocker", "--help").returncode == 0


def test_the_demo_runs(prefix: Path, engine: Engine) -> None:
    done = call(engine, prefix, str(CHECKOUT / "tests" / "demo.sh"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "67108864" in done.stdout
    assert "All of this worked. To try next:" in done.stdout.splitlines()[-6:]


def test_uninstall_takes_away_what_install_put_there(prefix: Path) -> None:
    make("uninstall", prefix)
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == []
