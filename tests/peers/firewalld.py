"""Debian's firewalld with a message bus, a configuration and a log of its own; its rules go to the network that the
test runs in. Its backend is nftables, as it is by default.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

_PROGRAMS = ("/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/bin/dbus-daemon")
_TEMPORARY = Path("/run/firewalld")  # it makes this one wherever the rest is
_PATIENCE = 120.0
_BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={root}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/> <allow eavesdrop="true"/> <allow own="*"/>
  </policy>
</busconfig>
"""


class Firewalld:
    """`root` has to be nobody else's. pytest.skip where something is not installed."""

    def __init__(self, root: Path) -> None:
        if missing := [program for program in _PROGRAMS if not Path(program).exists()]:
            pytest.skip(f"needs {', '.join(missing)}: make setup-tests")
        (root / "bus.conf").write_text(_BUS.format(root=root))
        (root / "etc").mkdir()
        shutil.copy("/etc/firewalld/firewalld.conf", root / "etc")
        self._environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={root}/bus", "LC_ALL": "C"}
        self._log = root / "log"
        with ExitStack() as undo:
            if not _TEMPORARY.exists():
                undo.callback(_TEMPORARY.rmdir)
            self._start(undo, _PROGRAMS[2], "--nofork", "--nopidfile", f"--config-file={root}/bus.conf")
            _wait((root / "bus").exists)
            self._start(undo, _PROGRAMS[0], "--nofork", "--nopid", "--system-config", str(root / "etc"),
                        "--log-target=console")
            _wait(lambda: self._run("--state").returncode == 0)
            self._undo = undo.pop_all()

    def _start(self, undo: ExitStack, *argv: str) -> None:
        with self._log.open("ab") as log:
            process = undo.enter_context(subprocess.Popen(argv, env=self._environment, stdout=log, stderr=log))
        undo.callback(process.terminate)

    def __call__(self, *words: str) -> str:
        """firewall-cmd, which has to succeed."""
        done = self._run(*words)
        assert done.returncode == 0, f"firewall-cmd {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run((_PROGRAMS[1], *words), env=self._environment, capture_output=True, text=True,
                              timeout=_PATIENCE, check=False)

    def close(self) -> None:
        """It takes its rules with it."""
        self._undo.close()


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
