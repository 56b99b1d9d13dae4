"""Presets: what of a container's settings an image can hold, and how what was asked is merged with them.

`create` merges a request with its image's presets, `commit` what it was sent with the container's (moby,
daemon/commit.go, merge).
"""

import posixpath

from msgspec.structs import replace

from pydocker.model.container import Config
from pydocker.model.image import Healthcheck, ImageDefaults


def of(config: Config) -> ImageDefaults:
    """A container's settings as an image presets them; instructions for a build (ONBUILD) are no container's."""
    return ImageDefaults(
        user=config.user, exposed_ports=config.exposed_ports or None, env=config.env or None,
        entrypoint=config.entrypoint, cmd=config.cmd, volumes=config.volumes or None, working_dir=config.working_dir,
        labels=config.labels or None, stop_signal=config.stop_signal, healthcheck=config.healthcheck)


def merged(asked: ImageDefaults, preset: ImageDefaults) -> ImageDefaults:
    """The presets where nothing was asked: an entry point of one's own drops the preset command."""
    entrypoint = asked.entrypoint if asked.entrypoint is not None else preset.entrypoint
    command = asked.cmd or (preset.cmd if not asked.entrypoint else None)
    names = {entry.partition("=")[0] for entry in asked.env or ()}
    kept = tuple(entry for entry in preset.env or () if "=" in entry and entry.partition("=")[0] not in names)
    working = asked.working_dir or preset.working_dir
    return replace(
        asked, entrypoint=None if entrypoint in ((), ("",)) else entrypoint, cmd=command or None,
        env=(*kept, *(asked.env or ())) or None, user=asked.user or preset.user,
        labels={**(preset.labels or {}), **(asked.labels or {})} or None,
        working_dir=posixpath.normpath(working) if working else "", stop_signal=asked.stop_signal or preset.stop_signal,
        healthcheck=_healthcheck(asked.healthcheck, preset.healthcheck),
        exposed_ports={**(preset.exposed_ports or {}), **(asked.exposed_ports or {})} or None,
        volumes={**(preset.volumes or {}), **(asked.volumes or {})} or None)


def with_image(config: Config, image: ImageDefaults) -> Config:
    """What a container shall be, with its image's presets where the user said nothing."""
    found = merged(of(config), image)
    return replace(
        config, user=found.user, exposed_ports=found.exposed_ports or {}, env=found.env or (),
        entrypoint=found.entrypoint, cmd=found.cmd, volumes=found.volumes or {}, working_dir=found.working_dir,
        labels=found.labels or {}, stop_signal=found.stop_signal, healthcheck=found.healthcheck)


def _healthcheck(asked: Healthcheck | None, preset: Healthcheck | None) -> Healthcheck | None:
    """Field by field, too."""
    if asked is None or preset is None:
        return asked or preset
    return Healthcheck(**{name: getattr(asked, name) or getattr(preset, name)
                          for name in Healthcheck.__struct_fields__})
