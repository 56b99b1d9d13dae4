"""`run --dry-run`: every step from the image to the program, told and not done.

The engine's steps are the very objects that a start applies. The runtime's come from its own command line
(`explain`), so that it may be any version of it; another runtime than ours does not tell.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

import msgspec

from pydocker.config import Config as EngineConfig
from pydocker.containers import create
from pydocker.containers.launching import Launcher
from pydocker.errors import PydockerError
from pydocker.images.store import ImageStore
from pydocker.model.container import Config, ContainerId, HostConfig
from pydocker.monitor import plan as monitor_plan
from pydocker.monitor import users
from pydocker.monitor.launch import Launch
from pydocker.paths import Paths
from runtime.linux.interpreter import bootstrap
from runtime.spec import Spec, encode


class Told(Protocol):
    """A step, as far as it can be told."""

    @property
    def why(self) -> str: ...

    @property
    def manual(self) -> str: ...

    def describe(self) -> str: ...

    def shell(self) -> str: ...


class RuntimeStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the runtime's, as its `explain --format json` tells it."""

    what: str
    why: str
    manual: str
    shell_: str = msgspec.field(name="shell")

    def describe(self) -> str:
        return self.what

    def shell(self) -> str:
        return self.shell_


def plan(images: ImageStore, launcher: Launcher, paths: Paths, engine: EngineConfig, config: Config, host: HostConfig,
         platform: str | None) -> tuple[Told, ...]:
    """The steps of a start. Raises what create would raise, but for the name."""
    id = ContainerId("0" * 64)
    with images.using():
        record = create.decide(id, "rehearsal", images.resolve(config.image), engine, config, host, platform)
        launch = launcher.document(record, paths.container(id))
    ours: tuple[Told, ...] = monitor_plan.preparation(launch)
    start: tuple[Told, ...] = (monitor_plan.Start(id),)
    if launch.runtime:
        return (*ours, *start)
    with tempfile.TemporaryDirectory(dir=paths.temporary) as bundle:
        Path(bundle, "config.json").write_bytes(encode(_as_user(launch, bundle)))
        return (*ours, *_runtime_steps(bundle, launch), *start)


def _as_user(launch: Launch, empty: str) -> Spec:
    """What the monitor will write when it has looked into the mounted root: here into the topmost layer with users."""
    assert launch.spec.process is not None
    layer = next((layer for layer in launch.lower if os.path.lexists(f"{layer}/etc/passwd")), empty)
    root = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        identity = users.resolve(root, launch.user, launch.groups)
    finally:
        os.close(root)
    return msgspec.structs.replace(launch.spec, process=monitor_plan.as_user(launch.spec.process, identity))


def _runtime_steps(bundle: str, launch: Launch) -> list[RuntimeStep]:
    command = [sys.executable, *bootstrap("runtime.cli:entry"), "--root", launch.runtime_root,
               "explain", "--bundle", bundle, "--format", "json", launch.id]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    if done.returncode != 0:
        raise PydockerError(done.stderr.decode(errors="replace").strip() or "pydocker-runtime explain failed")
    return msgspec.json.decode(done.stdout, type=list[RuntimeStep])
