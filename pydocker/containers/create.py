"""`create`: what the user asked and what the image presets become one record, which is never guessed at again."""

import os
import posixpath
import time
from pathlib import Path

from msgspec.structs import replace

from pydocker import runtimes
from pydocker.config import Config as EngineConfig
from pydocker.containers import names, validate
from pydocker.containers.store import Store
from pydocker.errors import InvalidParameter, NotFound
from pydocker.images.store import ImageStore
from pydocker.layers.store import LayerStore
from pydocker.model.container import Config, ContainerId, HostConfig, Record
from pydocker.model.image import Image, ImageDefaults
from pydocker.model.platform import parse as parse_platform


def create(store: Store, images: ImageStore, layers: LayerStore, engine: EngineConfig, name: str | None, config: Config,
           host: HostConfig, platform: str | None) -> ContainerId:
    """Check, merge, write. The image cannot be removed between being found and being used."""
    checked = names.check(name) if name else store.free_name()
    with images.using(), store.preparing() as (id, directory):
        record = decide(id, checked, images.resolve(config.image), engine, config, host, platform)
        top = layers.diff(record.layers[-1]) if record.layers else None
        _make_directories(directory, top)
        store.publish(directory, record)
    return id


def decide(id: ContainerId, name: str, image: Image, engine: EngineConfig, config: Config, host: HostConfig,
           platform: str | None) -> Record:
    """The record. Raises InvalidParameter, NotSupported, NotFound (the image is for another platform)."""
    _check_platform(image, config.image, platform)
    host = with_defaults(host, engine)
    runtimes.command(engine, host.runtime)
    merged = with_hostname(with_image(config, image.config.config), id, host)
    validate.check(merged, host)
    argv = (*(merged.entrypoint or ()), *(merged.cmd or ()))
    if not argv:
        raise InvalidParameter("no command specified")
    return Record(id=id, name=name, created=time.time(), image=image.id, image_name=config.image, argv=argv,
                  platform=f"{image.config.os}/{image.config.architecture}", config=merged, host=host,
                  layers=image.layers)


def with_defaults(host: HostConfig, engine: EngineConfig) -> HostConfig:
    """Everything chosen that was left open: so that a change of the configuration does not change a container."""
    return replace(host, network_mode="none" if host.network_mode in ("", "default") else host.network_mode,
                   runtime=host.runtime or engine.default_runtime,
                   cgroup_parent=host.cgroup_parent or engine.cgroup_parent)


def with_image(config: Config, image: ImageDefaults) -> Config:
    """The image's presets where the user said nothing (moby, container/merge):

    an entry point of one's own drops the image's command.
    """
    entrypoint = config.entrypoint if config.entrypoint is not None else image.entrypoint
    command = config.cmd or (image.cmd if not config.entrypoint else None)
    asked = {entry.partition("=")[0] for entry in config.env}
    preset = tuple(entry for entry in image.env or () if "=" in entry and entry.partition("=")[0] not in asked)
    working = config.working_dir or image.working_dir
    return replace(
        config, entrypoint=None if entrypoint in ((), ("",)) else entrypoint, cmd=command or None,
        env=(*preset, *config.env), user=config.user or image.user, labels={**(image.labels or {}), **config.labels},
        working_dir=posixpath.normpath(working) if working else "", stop_signal=config.stop_signal or image.stop_signal,
        exposed_ports={**(image.exposed_ports or {}), **config.exposed_ports},
        volumes={**(image.volumes or {}), **config.volumes})


def with_hostname(config: Config, id: str, host: HostConfig) -> Config:
    """Without a name of its own: the beginning of its id; on the host's network, the host's."""
    preset = os.uname().nodename if host.network_mode == "host" else id[:12]
    return replace(config, hostname=config.hostname or preset)


def _check_platform(image: Image, name: str, platform: str | None) -> None:
    if not platform:
        return
    wanted = parse_platform(platform)
    if (wanted.os, wanted.architecture) != (image.config.os, image.config.architecture):
        found = f"{image.config.os}/{image.config.architecture}"
        raise NotFound(f"image with reference {name} was found but its platform ({found}) does not match the specified "
                       f"platform ({wanted.os}/{wanted.architecture})")


def _make_directories(directory: Path, top: Path | None) -> None:
    """The overlay's two.

    The root directory that the container sees is `upper`, so it gets the image's mode and owner.
    """
    os.mkdir(directory / "work", 0o700)
    os.mkdir(directory / "upper")
    os.chmod(directory / "upper", 0o755)
    if top is not None:
        status = os.stat(top)
        os.chown(directory / "upper", status.st_uid, status.st_gid)
        os.chmod(directory / "upper", status.st_mode & 0o7777)
