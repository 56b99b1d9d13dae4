"""The engine's configuration file: `/etc/pydocker/daemon.json`, with the keys of Docker's `daemon.json`.

`PYDOCKER_CONFIG` names another file (the tests run whole engines beside each other that way). Unknown keys are errors:
a misspelt `insecure-registries` must not pass silently.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.paths import Paths

DEFAULT_FILE = "/etc/pydocker/daemon.json"
DEFAULT_HOST = "unix:///run/pydocker.sock"


class RuntimeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OCI runtime that `--runtime NAME` may choose."""

    path: str


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Every key is optional; `idle_timeout` is in seconds, 0 means: stay."""

    data_root: str = "/var/lib/pydocker"
    exec_root: str = "/run/pydocker"
    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    insecure_registries: tuple[str, ...] = ()
    default_runtime: str = "pydocker-runtime"
    runtimes: dict[str, RuntimeEntry] = {}
    cgroup_parent: str = "/pydocker"
    idle_timeout: float = 300.0

    @property
    def paths(self) -> Paths:
        return Paths(Path(self.data_root), Path(self.exec_root))


def load(environ: Mapping[str, str]) -> Config:
    """Read the configuration; a missing default file means the defaults.

    Raises InvalidParameter with the file and the JSON path of the fault.
    """
    chosen = environ.get("PYDOCKER_CONFIG")
    path = chosen or DEFAULT_FILE
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Config)
    except FileNotFoundError:
        if chosen is None:
            return Config()
        raise InvalidParameter(f"configuration file {path}: {os.strerror(2).lower()}") from None
    except OSError as error:
        raise InvalidParameter(f"configuration file {path}: {os.strerror(error.errno or 0).lower()}") from error
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"configuration file {path}: {error}") from error
