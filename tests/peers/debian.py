"""A Debian root file system as debootstrap makes it: two hundred megabytes that nobody made for this project.

Making it takes a minute and a mirror, so it is kept as an archive in CACHE, for all later test runs (`make clean`
removes it). Without debootstrap or without a mirror its tests are skipped, and say so.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pydocker.storage import locks
from tests import leaks

CACHE = Path("/var/cache/pydocker-test")
SUITE = "bookworm"


def archive() -> Path:
    """The archive of the whole tree (GNU tar, with xattrs). Needs root. Made once, whoever else asks meanwhile."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{SUITE}.tar"
    with locks.held(CACHE / "lock"):
        if not path.exists():
            if shutil.which("debootstrap") is None:
                pytest.skip("needs debootstrap: make setup")
            _make(path)
    return path


def _make(path: Path) -> None:
    top = CACHE / f"{SUITE}.{os.getpid()}"
    try:
        done = subprocess.run([*leaks.outside(), "debootstrap", "--variant=minbase", SUITE, top], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=600)
        if done.returncode:
            pytest.skip(f"debootstrap: {(done.stdout + done.stderr).strip().splitlines()[-1:]}")
        for package in (top / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        unfinished = path.with_suffix(f".{os.getpid()}.tar")
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", top, "-cf", unfinished, "."],
                       check=True)
        unfinished.rename(path)
    finally:
        shutil.rmtree(top, ignore_errors=True)
