"""`create`: what the user asked and what the image presets become one record, which is never guessed at again."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from pydocker import runtimes
from pydocker.config import Config as EngineConfig
from pydocker.containers import (
    bundle,
    links,
    logsettings,
    mounts,
    names,
    networking,
    presets,
    security,
    sharing,
    validate,
)
from pydocker.containers.copyup import preset_content
from pydocker.containers.store import Store
from pydocker.errors import Conflict, InvalidParameter, NotFound
from pydocker.images.store import ImageStore
from pydocker.layers.store import LayerStore
from pydocker.model.container import Config, ContainerId, HostConfig, Record
from pydocker.model.image import Image
from pydocker.model.mount import from_others, inherited, of_record, points
from pydocker.model.network import BRIDGE, EndpointConfig
from pydocker.model.platform import parse as parse_platform
from pydocker.model.point import Point
from pydocker.network.service import Networks
from pydocker.volumes.service import Volumes
from runtime.spec.defaults import MASKED_PATHS, READONLY_PATHS


def create(store: Store, images: ImageStore, layers: LayerStore, volumes: Volumes, networks: Networks,
           engine: EngineConfig, name: str | None, config: Config, host: HostConfig, platform: str | None,
           endpoints: Mapping[str, EndpointConfig]) -> Record:
    """Check, merge, write: what is written. The images cannot be removed between being found and being used, nor can
    volumes.
    """
    checked = names.check(name) if name else store.free_name()
    networking.check_mode(config, host)
    links.check_mode(host)
    host = with_others(store, host)
    connected = networking.decide(networks, host, endpoints)
    config = with_other_hostname(store, config, host)
    theirs = volumes_of_others(store, host)
    with images.using(), store.preparing() as (id, directory):
        record = decide(id, checked, images.resolve(config.image), engine, config, host, platform, connected, theirs)
        record = replace(record, host=replace(record.host, links=links.decided(store, record, host.links or ())))
        record = replace(record, points=tuple(found(point, images, volumes) for point in record.points or ()))
        mounts.check_sources(record.points or ())
        top = layers.diff(record.layers[-1]) if record.layers else None
        _make_directories(directory, top)
        content = preset_content([str(layers.diff(layer)) for layer in record.layers], directory, store.paths.run)
        with volumes.ready(record.points or (), content):
            return _publish(store, directory, record, invented=not name)


def _publish(store: Store, directory: Path, record: Record, *, invented: bool) -> Record:
    """A name that was free when it was invented may have become another's since: then it is another one."""
    while True:
        try:
            store.publish(directory, record)
            return record
        except Conflict:
            if not invented:
                raise
            record = replace(record, name=store.free_name())


def volumes_of_others(store: Store, host: HostConfig) -> tuple[Point, ...]:
    """What --volumes-from brings. Raises InvalidParameter."""
    asked = [from_others(text) for text in host.volumes_from or ()]
    return tuple(point for name, mode in asked
                 for point in inherited(of_record(_donor(store, name)), mode))


def _donor(store: Store, name: str) -> Record:
    """A container that is named. To clients, "not found" would mean the image: they would pull that, and ask again."""
    try:
        return store.record(store.resolve(name))
    except NotFound as error:
        raise InvalidParameter(str(error)) from error


def found(point: Point, images: ImageStore, volumes: Volumes) -> Point:
    """With where its content is. NotFound: no such image."""
    if point.kind == "volume":
        return replace(point, source=volumes.data(point.name))
    if point.kind == "image":
        image = images.resolve(point.name)
        if not image.layers:
            raise InvalidParameter(f"image {point.name} cannot be mounted: it has no files")
        return replace(point, image=image.id, layers=image.layers)
    return point


def decide(id: ContainerId, name: str, image: Image, engine: EngineConfig, config: Config, host: HostConfig,
           platform: str | None, connected: Mapping[str, EndpointConfig], theirs: tuple[Point, ...] = ()) -> Record:
    """The record. Raises InvalidParameter, NotSupported, NotFound (the image is for another platform)."""
    _check_platform(image, config.image, platform)
    sharing.check(config, host)
    host = with_defaults(host, engine)
    runtimes.command(engine, host.runtime)
    merged = with_hostname(presets.with_image(config, image.config.config), id, host)
    validate.check(merged, host)
    argv = (*(merged.entrypoint or ()), *(merged.cmd or ()))
    if not argv:
        raise InvalidParameter("no command specified")
    record = Record(id=id, name=name, created=time.time(), image=image.id, image_name=config.image, argv=argv,
                    platform=f"{image.config.os}/{image.config.architecture}", config=merged, host=host,
                    layers=image.layers, points=points(merged, host, theirs), networks=dict(connected))
    if host.log_config.type != "none":
        logsettings.tag(record)  # a template that cannot be filled in
    return record


def with_defaults(host: HostConfig, engine: EngineConfig) -> HostConfig:
    """Everything chosen that was left open: so that a change of the configuration does not change a container."""
    open_paths = host.privileged or security.parse(host.security_opt or ()).open_paths
    masked, readonly = ((), ()) if open_paths else (MASKED_PATHS, READONLY_PATHS)
    return replace(host, network_mode=BRIDGE if host.network_mode in ("", "default") else host.network_mode,
                   runtime=host.runtime or engine.default_runtime, shm_size=host.shm_size or bundle.SHM,
                   memory_swap=bundle.swap(host) or 0,
                   cgroup_parent=host.cgroup_parent or engine.cgroup_parent,
                   restart_policy=replace(host.restart_policy, name=host.restart_policy.name or "no"),
                   links=host.links if host.network_mode in ("", "default", BRIDGE) else None,  # else the endpoint's
                   ipc_mode=host.ipc_mode or "private", cgroupns_mode=host.cgroupns_mode or "private",
                   masked_paths=masked if host.masked_paths is None else host.masked_paths,
                   readonly_paths=readonly if host.readonly_paths is None else host.readonly_paths)


def with_others(store: Store, host: HostConfig) -> HostConfig:
    """`container:NAME` with the id instead: a name may become another's; the id of the one whose own it is, where that
    container shares another's itself. Raises InvalidParameter."""
    changed = host
    for kind, name in sharing.others(host).items():
        other = _donor(store, name)
        while further := sharing.others(other.host).get(kind):
            other = _donor(store, further)
        sharing.check_donor(kind, name, other.host)
        changed = replace(changed, **{f"{kind}_mode": f"{sharing.OTHER}{other.id}"})
    return changed


def with_other_hostname(store: Store, config: Config, host: HostConfig) -> Config:
    """In another container's network, its name: the address is known by that."""
    other = sharing.others(host).get("network")
    if not other or host.uts_mode == "host":
        return config
    return replace(config, hostname=store.record(other).config.hostname)


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
