"""Debian's ufw, with its files in a directory of the test's: what it writes to /etc (that the firewall is to come up at
boot, say) stays there. The rules go to the network that the test runs in.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

_PROGRAM = "/usr/sbin/ufw"
_RULES = ("before.rules", "before6.rules", "after.rules", "after6.rules", "user.rules", "user6.rules", "ufw.conf")


class Ufw:
    """`root` has to be nobody else's. pytest.skip where there is no ufw."""

    def __init__(self, root: Path) -> None:
        if not Path(_PROGRAM).exists():
            pytest.skip("needs ufw: make setup-tests")
        self._root = root
        for folder in ("etc/ufw", "etc/default", "lib/ufw", "usr/share/ufw"):
            shutil.copytree(f"/{folder}", root / folder, dirs_exist_ok=True,
                            ignore=lambda at, names: [] if "ufw" in at else [one for one in names if one != "ufw"])
        for name in _RULES:  # as they are when nobody has changed them
            shutil.copy(next(Path("/usr/share/ufw").rglob(name)), root / "etc/ufw" / name)

    def __call__(self, *words: str) -> None:
        where = (f"--rootdir={self._root}", f"--datadir={self._root}")
        done = subprocess.run((_PROGRAM, *where, *words), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"ufw {' '.join(words)}: {done.stdout}{done.stderr}"
