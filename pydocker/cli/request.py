"""From the flags of `run` and `create` to the body of `POST /containers/create`.

Only what was asked for is sent: everything else is the image's, or the server's, to decide.
"""

import json
import os.path
from collections.abc import Mapping, Sequence
from typing import Any

from pydocker.cli import linefile, mount_flags, network_flags, publish_flags
from pydocker.cli.create_flags import CREATE_FLAGS
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session

Request = dict[str, Any]  # JSON on its way out


def build(session: Session, image: str, command: Sequence[str], given: Mapping[str, Any]) -> Request:
    """The request for `image` with these flags. Raises CommandError for files that cannot be read, and conflicts."""
    request: Request = {"Image": image}
    if given["rm"] and given["restart"] and given["restart"]["Name"] not in ("", "no"):
        raise CommandError("conflicting options: cannot specify both --restart and --rm", 125)
    if given["log_driver"] == "none" and given["log_opt"]:
        raise CommandError("invalid logging opts for driver none", 125)
    for flag in CREATE_FLAGS:
        found = given[str(flag.name)]
        if flag.to and not (found is None or found is False or found == ()):  # 0 is a value: --stop-timeout 0
            put(request, flag.to, found)
    for path, found in (*_program(command, given), *_descriptions(session, given), *_health(given),
                        *_security(session, given), *_mounts(session, given), *network_flags.fields(given),
                        *publish_flags.fields(given), *streams(given)):
        put(request, path, found)
    return request


def put(request: Request, path: str, found: object) -> None:
    """Set the field at the dotted `path`; repeated flags are lists, except pairs, which are a map."""
    *parents, last = path.split(".")
    for parent in parents:
        request = request.setdefault(parent, {})
    request[last] = _shaped(found)


def _shaped(found: object) -> object:
    if not isinstance(found, tuple):
        return found
    return dict(found) if all(isinstance(item, tuple) for item in found) else list(found)


def _program(command: Sequence[str], given: Mapping[str, Any]) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [("Cmd", tuple(command))] if command else []
    entrypoint = given["entrypoint"]
    if entrypoint is not None:
        # `--entrypoint ""` is Docker's way to say "none": a list with one empty string, which the server knows.
        fields.append(("Entrypoint", (entrypoint,)))
    return fields


def _descriptions(session: Session, given: Mapping[str, Any]) -> list[tuple[str, object]]:
    try:
        variables = linefile.environment(session, given["env_file"], given["env"])
        lines = linefile.labels(session, given["label_file"])
        labels = dict(line.split("=", 1) for line in lines) | dict(given["label"])
    except CommandError as error:  # a file: for these two commands a fault in it is a fault of the flag
        raise CommandError(str(error), 125) from error
    return [(path, found) for path, found in (("Env", tuple(variables)), ("Labels", labels)) if found]


def _health(given: Mapping[str, Any]) -> list[tuple[str, object]]:
    names = ("cmd", "interval", "timeout", "retries", "start_period", "start_interval")
    numbers = [value for name in names[1:] if (value := given[f"health_{name}"]) is not None]
    if given["no_healthcheck"]:
        if given["health_cmd"] or any(numbers):
            raise CommandError("--no-healthcheck conflicts with --health-* options", 125)
        return [("Healthcheck.Test", ("NONE",))]
    for name in names[1:]:
        if (given[f"health_{name}"] or 0) < 0:
            raise CommandError(f"--health-{name.replace('_', '-')} cannot be negative", 125)
    return [("Healthcheck.Test", ("CMD-SHELL", given["health_cmd"]))] if given["health_cmd"] else []


def _security(session: Session, given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """A seccomp profile is a file of the caller's: what is in it is sent, as Docker's client does."""
    options = tuple(_with_profile(session, option) for option in given["security_opt"])
    return [("HostConfig.SecurityOpt", options)] if options else []


def _mounts(session: Session, given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Paths that begin with a dot are meant from the caller's directory."""
    try:
        bound, anonymous = mount_flags.binds(given["volume"], session.directory)
        devices, named = mount_flags.devices(given["device"])
    except ValueError as error:
        raise CommandError(str(error), 125) from error
    requests = (*(given["gpus"] or ()), *([{"Driver": "cdi", "DeviceIDs": named}] if named else ()))
    mounts = tuple(_from_here(session, mount) for mount in given["mount"])
    fields = (("HostConfig.Binds", tuple(bound)), ("Volumes", anonymous), ("HostConfig.Mounts", mounts),
              ("HostConfig.Devices", tuple(devices)), ("HostConfig.DeviceRequests", requests))
    return [(path, found) for path, found in fields if found]


def _from_here(session: Session, mount: Mapping[str, Any]) -> Mapping[str, Any]:
    source = mount.get("Source", "")
    if mount["Type"] != "bind" or not source.startswith("."):
        return mount
    return {**mount, "Source": os.path.abspath(os.path.join(session.directory, source))}


def _with_profile(session: Session, option: str) -> str:
    key, _, path = option.partition("=")
    if key != "seccomp" or path in ("builtin", "unconfined", "") or path.startswith("{"):  # the profile itself
        return option
    try:
        with session.open(path) as file:
            return "seccomp=" + json.dumps(json.load(file), separators=(",", ":"))
    except CommandError as error:
        raise CommandError(f"opening seccomp profile ({path}) failed: {error}", 125) from error
    except ValueError as error:
        raise CommandError(f"compacting json for seccomp profile ({path}) failed: {error}", 125) from error


def streams(given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Which streams to attach (Docker: stdout and stderr unless `-a` says otherwise; stdin too with `-i`)."""
    named, interactive, detached = given["attach"], given["interactive"], given.get("detach", False)
    stdin = not detached and (interactive or "stdin" in named)
    return [
        ("AttachStdin", stdin),
        ("AttachStdout", not detached and (not named or "stdout" in named)),
        ("AttachStderr", not detached and (not named or "stderr" in named)),
        ("OpenStdin", interactive),
        ("StdinOnce", interactive and stdin),
    ]
