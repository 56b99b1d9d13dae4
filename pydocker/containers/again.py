"""From a container back to what it was asked for: the smallest create request that makes the same one again.

A record is complete: what the image presets and what the engine chose is in it. So a field may be left out of the
request when the record comes out the same without it, which is tried, field by field, with the very functions that
`create` uses. Whatever they learn to decide later is taken into account here by itself.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from pydocker.config import Config as EngineConfig
from pydocker.containers import create, presets, rehearsal
from pydocker.containers.launching import Launcher
from pydocker.containers.store import Store
from pydocker.errors import InvalidParameter, NotFound, NotSupported
from pydocker.images.store import ImageStore
from pydocker.model.container import Config, ContainerId, HostConfig, Record
from pydocker.model.image import Healthcheck, ImageDefaults
from pydocker.model.network import EndpointConfig
from runtime.spec import Root, encode

T = TypeVar("T", bound=msgspec.Struct)
_NONE = ("",)  # as an entry point: none, although the image has one


def request(store: Store, images: ImageStore, engine: EngineConfig, ref: str) -> tuple[
        str, Config, HostConfig, Mapping[str, EndpointConfig]]:
    """Its name, and what to ask for.

    Its image by the name that it had, if that is still the same image's. NotFound: no such container, or no image.
    """
    record = store.record(store.resolve(ref))
    with images.using():
        image = images.resolve(record.image)
        try:
            moved = images.resolve(record.image_name).id != image.id
        except (NotFound, InvalidParameter):
            moved = True
    config, host = asked(record, image.config.config, engine)
    return record.name, replace(config, image=record.image if moved else record.image_name), host, connected(record)


def connected(record: Record) -> Mapping[str, EndpointConfig]:
    """What was asked for in its networks; nothing where the mode alone says it."""
    alone = record.networks == {record.host.network_mode: EndpointConfig()}
    return {} if alone else record.networks


def oci_config(launcher: Launcher, store: Store, id: ContainerId) -> bytes:
    """config.json for a bundle with its root file system in `rootfs`.

    NotSupported: what the container shares with another one is found when it starts, by that one's process.
    """
    record = store.record(id)
    launch = launcher.document(record, store.paths.container(id))
    if launch.joins:
        kind, other = next(iter(launch.joins.items()))
        raise NotSupported(f"container {record.name} shares the {kind} namespace of container {other[:12]}: where that "
                           "is turns out at a start, so no config.json can say it beforehand")
    return encode(replace(rehearsal.with_user(launch), root=Root(path="rootfs", readonly=record.host.readonly_rootfs)))


def asked(record: Record, image: ImageDefaults, engine: EngineConfig) -> tuple[Config, HostConfig]:
    """What to ask for, to get `record` from an image with these presets."""
    def made(config: Config) -> Config:
        return create.with_hostname(presets.with_image(config, image), record.id, record.host)

    return (_least(_without_presets(record.config, image, made), Config(), made),
            _least(record.host, HostConfig(), lambda host: create.with_defaults(host, engine)))


def _without_presets(config: Config, image: ImageDefaults, made: Callable[[Config], Config]) -> Config:
    """Less what the image brings: of lists and maps the elements that it has, of the program as much as goes."""
    whole = config if config.entrypoint else replace(config, entrypoint=_NONE)
    changes: tuple[Callable[[Config], Config], ...] = (
        lambda it: replace(it, env=tuple(entry for entry in it.env if entry not in (image.env or ()))),
        lambda it: replace(it, labels=_own(it.labels, image.labels)),
        lambda it: replace(it, exposed_ports=_own(it.exposed_ports, image.exposed_ports)),
        lambda it: replace(it, volumes=_own(it.volumes, image.volumes)),
        lambda it: replace(it, entrypoint=None),
        lambda it: replace(it, entrypoint=None, cmd=None),
        *(functools.partial(_without_health, name=name) for name in Healthcheck.__struct_fields__),
    )
    for smaller in changes:
        whole = candidate if made(candidate := smaller(whole)) == made(whole) else whole
    return whole


def _without_health(config: Config, name: str) -> Config:
    check = config.healthcheck
    return replace(config, healthcheck=check and replace(check, **{name: getattr(Healthcheck(), name)}))


def _own(entries: Mapping[str, T], presets: Mapping[str, T] | None) -> dict[str, T]:
    return {key: value for key, value in entries.items() if (presets or {}).get(key) != value}


def _least(whole: T, empty: T, made: Callable[[T], T]) -> T:
    """`whole` with every field as it is in `empty` that makes no difference to what is made of it."""
    for name in whole.__struct_fields__:
        candidate = replace(whole, **{name: getattr(empty, name)})
        whole = candidate if made(candidate) == made(whole) else whole
    return whole
