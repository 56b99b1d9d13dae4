"""`--init`: a small program as process 1, which starts the container's own, passes signals on and reaps orphans."""

import os
import shutil

from pydocker.errors import PydockerError
from runtime.spec import Mount

INSIDE = "/sbin/docker-init"  # Docker's place for it
_NAMES = ("docker-init", "tini-static")  # Debian's packages docker.io and tini; `tini` itself needs the image's libc
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/docker"


def find() -> str:
    """The host's. Raises PydockerError where none is installed."""
    for name in _NAMES:
        found = shutil.which(name, path=_PATH)
        if found:
            return os.path.realpath(found)
    raise PydockerError('exec: "docker-init": executable file not found in $PATH: --init needs the package tini (or '
                        "docker.io) on the host")


def mount(host_path: str) -> Mount:
    """It is in no image: the host's is seen at its place, and cannot be written to."""
    return Mount(destination=INSIDE, type="bind", source=host_path, options=("bind", "ro", "rprivate"))


def argv(program: tuple[str, ...]) -> tuple[str, ...]:
    """What runs then."""
    return (INSIDE, "--", *program)
