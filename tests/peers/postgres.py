"""PostgreSQL as Debian packages it, and nothing else of a Debian: a root file system of the host's own installation.

What the package brings, and the shared libraries that its programs name, over a busybox. Taking it from the host costs
a second, where debootstrap and apt would cost minutes; the database is the same.
"""

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.engine import busybox_archive

PROGRAMS = ("postgres", "initdb", "psql", "pg_isready")
DATA = "/var/lib/postgresql/data"
OWNER = 999
PASSWD = f"root:x:0:0::/:/bin/sh\npostgres:x:{OWNER}:{OWNER}::/:/bin/sh\n".encode()
ZONES = "/usr/share/zoneinfo/"


def archive() -> bytes:
    """The archive of the whole tree, with an empty data directory of the user postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("needs postgresql: make setup")
    top, version = found[-1].parent.parent, found[-1].parent.parent.name
    programs = [str(top / "bin" / name) for name in PROGRAMS]
    modules = [str(path) for name in ("plpgsql.so", "dict_snowball.so") for path in (top / "lib").glob(name)]
    buffer = io.BytesIO(busybox_archive())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for path in (*programs, *modules, *_libraries(*programs, *modules), f"{ZONES}UTC", f"{ZONES}Etc/UTC"):
            tar.add(os.path.realpath(path), path)
        tar.add(f"/usr/share/postgresql/{version}", recursive=True)
        for name, mode in (("var/lib/postgresql", 0o755), (DATA[1:], 0o700)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, OWNER, OWNER
            tar.addfile(entry)
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(PASSWD)
        tar.addfile(entry, io.BytesIO(PASSWD))
    return buffer.getvalue()


def programs() -> str:
    """Where they are in it."""
    return str(sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1])


def _libraries(*binaries: str) -> set[str]:
    shown = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?:=> |^\t)(/\S+) \(0x", shown, re.MULTILINE))
