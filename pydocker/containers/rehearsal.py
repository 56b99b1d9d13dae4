"""`run --dry-run`: every step from the image to the program, told and not done.

The engine's steps are the very objects that a start applies. The runtime's come from its own command line
(`explain`), so that it may be any version of it; another runtime than ours does not tell.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from pydocker.config import Config as EngineConfig
from pydocker.containers import create
from pydocker.containers.launching import Launcher
from pydocker.errors import PydockerError
from pydocker.images.store import ImageStore
from pydocker.model.container import Config, ContainerId, HostConfig
from pydocker.model.network import EndpointConfig
from pydocker.model.point import Point
from pydocker.monitor import plan as monitor_plan
from pydocker.monitor import users
from pydocker.monitor.launch import Launch
from pydocker.paths import Paths
from pydocker.volumes.service import Volumes
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


def plan(images: ImageStore, launcher: Launcher, volumes: Volumes, paths: Paths, engine: EngineConfig, config: Config,
         host: HostConfig, platform: str | None, networks: Mapping[str, EndpointConfig],
         theirs: tuple[Point, ...] = ()) -> tuple[Told, ...]:
    """The steps of a start. Raises what create would raise, but for the name."""
    id = ContainerId("0" * 64)
    with images.using():
        record = create.decide(id, "rehearsal", images.resolve(config.image), engine, config, host, platform, networks,
                               theirs)
        record = msgspec.structs.replace(
            record, points=tuple(create.found(point, images, volumes) for point in record.points or ()))
        launch = launcher.document(record, paths.container(id))
        connected = launcher.rehearse(record)
    ours: tuple[Told, ...] = (*connected, *monitor_plan.preparation(launch))
    start: tuple[Told, ...] = (monitor_plan.Start(id),)
    if launch.runtime:
        return (*ours, *start)
    with tempfile.TemporaryDirectory(dir=paths.temporary) as bundle:
        Path(bundle, "config.json").write_bytes(encode(with_user(launch)))
        return (*ours, *_runtime_steps(bundle, launch), *start)


def with_user(launch: Launch) -> Spec:
    """What the monitor will write when it has looked into the mounted root: here into the topmost layer with users."""
    assert launch.spec.process is not None
    layers = (str(launch.upper), *reversed(launch.lower))
    layer = next((layer for layer in layers if os.path.lexists(f"{layer}/etc/passwd")), launch.temporary)
    root = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        identity = users.resolve(root, launch.user, launch.groups)
    finally:
        os.close(root)
    return msgspec.structs.replace(_connected(launch), process=monitor_plan.as_user(launch.spec.process, identity))


def _connected(launch: Launch) -> Spec:
    """With the network namespace that is there already, by the name that the steps' command lines give it."""
    linux = launch.spec.linux
    if not launch.sandbox or linux is None:
        return launch.spec
    path = f"/run/netns/{launch.id[:12]}"
    namespaces = tuple(msgspec.structs.replace(one, path=path) if one.type == "network" else one
                       for one in linux.namespaces)
    return msgspec.structs.replace(launch.spec, linux=msgspec.structs.replace(linux, namespaces=namespaces))


def _runtime_steps(bundle: str, launch: Launch) -> list[RuntimeStep]:
    command = [sys.executable, *bootstrap("runtime.cli:entry"), "--root", launch.runtime_root,
               "explain", "--bundle", bundle, "--format", "json", launch.id]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    if done.returncode != 0:
        raise PydockerError(done.stderr.decode(errors="replace").strip() or "pydocker-runtime explain failed")
    return msgspec.json.decode(done.stdout, type=list[RuntimeStep])
