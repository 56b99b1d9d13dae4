"""Which OCI runtime a container is made with:

ours, one of the configuration's `runtimes`, or an installed runc or crun.
"""

import os
import shutil

from pydocker.config import Config
from pydocker.errors import InvalidParameter

OURS = "pydocker-runtime"
KNOWN = ("runc", "crun")
_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # never the caller's PATH


def command(config: Config, name: str) -> tuple[str, ...]:
    """The command that `--runtime NAME` stands for; empty: ours. Raises InvalidParameter in Docker's words."""
    name = name or config.default_runtime
    if name in config.runtimes:
        return (_executable(name, config.runtimes[name].path),)
    if name == OURS:
        return ()
    if name in KNOWN:
        return (_executable(name, name),)
    raise InvalidParameter(f"unknown or invalid runtime name: {name}")


def _executable(name: str, path: str) -> str:
    found = shutil.which(path, os.X_OK, _PLACES)
    if found is None:
        raise InvalidParameter(f"runtime {name}: {path}: executable file not found")
    return found
