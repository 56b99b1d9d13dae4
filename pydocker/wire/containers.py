"""Containers and exec sessions as the Engine API shows them (ContainerSummary, ContainerInspectResponse, …)."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from pydocker.model.container import (
    Config,
    Container,
    ExecSession,
    Health,
    HealthStatus,
    HostConfig,
    Record,
    State,
    Status,
)
from pydocker.model.mount import of_record
from pydocker.model.point import Point, told
from pydocker.paths import Paths
from pydocker.wire import networks
from pydocker.wire.times import rfc3339, span

Shape = dict[str, object]


def summary(container: Container, now: float, *, renamed: bool = False) -> Shape:
    """One line of `GET /containers/json`; `now` in seconds since the epoch.

    `renamed`: the name that its image had is now another's or nobody's, and would mislead.
    """
    record = container.record
    return {
        "Id": record.id, "Names": [f"/{record.name}"],
        "Image": record.image if renamed else record.image_name, "ImageID": record.image,
        "Command": command(record.argv), "Created": int(record.created),
        "Ports": networks.listed_ports(container), "Labels": record.config.labels,
        "State": container.state.status, "Status": phrase(container.state, now),
        "HostConfig": {"NetworkMode": record.host.network_mode},
        "NetworkSettings": {"Networks": networks.places(container)},
        "Mounts": told(listed_mounts(record)),
    }


def listed_mounts(record: Record) -> tuple[Point, ...]:
    """What a list shows, and is filtered by: as Docker's, without those of `--tmpfs`."""
    return tuple(point for point in of_record(record) if not point.short)


def command(argv: tuple[str, ...]) -> str:
    """The command as Docker's `ps` writes it: arguments with a blank in them are quoted, the program never."""
    program, *arguments = argv or ("",)
    return " ".join([program, *(f"'{argument}'" if " " in argument else argument for argument in arguments)])


def phrase(state: State, now: float) -> str:
    """Docker's words for a state: `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`."""
    match state.status:
        case Status.RUNNING:
            return f"Up {span(now - state.started)}{_of_health(state.health)}"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {span(now - state.finished)} ago"
        case Status.PAUSED:
            return f"Up {span(now - state.started)} (Paused)"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.CREATED:
            return "Created"
    return f"Exited ({state.exit_code}) {span(now - state.finished)} ago"


def _of_health(health: Health | None) -> str:
    if health is None:
        return ""
    return " (health: starting)" if health.status is HealthStatus.STARTING else f" ({health.status})"


def _health(health: Health) -> Shape:
    return {"Status": health.status, "FailingStreak": health.failing_streak, "Log": [
        {"Start": rfc3339(one.start), "End": rfc3339(one.end), "ExitCode": one.exit_code, "Output": one.output}
        for one in health.log]}


def inspect(container: Container, paths: Paths, execs: tuple[str, ...] = (), apparmor: str = "") -> Shape:
    """`GET /containers/{id}/json`. `apparmor` is the name of its profile."""
    record, directory = container.record, paths.container(container.record.id)
    return {
        "Id": record.id, "Created": rfc3339(record.created), "Path": record.argv[0] if record.argv else "",
        "Args": record.argv[1:], "State": _state(container.state), "Image": record.image,
        "ResolvConfPath": str(directory / "resolv.conf"), "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": str(directory / f"{record.id}-json.log") if record.host.log_config.type == "json-file" else "",
        "Name": f"/{record.name}", "RestartCount": container.state.restarts,
        "Driver": "overlay2", "Platform": "linux", "MountLabel": "", "ProcessLabel": "",
        "AppArmorProfile": apparmor, "ExecIDs": execs or None,
        "HostConfig": _host(record.host),
        "GraphDriver": _graph(record.layers, paths, str(directory)), "Mounts": told(listed_mounts(record)),
        "Config": _config(record.config, record.image_name), "NetworkSettings": networks.settings(container),
    }


def inspect_exec(session: ExecSession) -> Shape:
    """`GET /exec/{id}/json`. `ExitCode` is null while it runs."""
    config = session.config
    return {
        "ID": session.id, "Running": session.running, "ExitCode": session.exit_code, "Pid": session.pid,
        "ProcessConfig": {"tty": config.tty, "entrypoint": config.cmd[0] if config.cmd else "",
                          "arguments": config.cmd[1:], "privileged": config.privileged, "user": config.user},
        "OpenStdin": config.attach_stdin, "OpenStderr": config.attach_stderr, "OpenStdout": config.attach_stdout,
        "CanRemove": False, "ContainerID": session.container, "DetachKeys": config.detach_keys,
    }


def _state(state: State) -> Shape:
    return {
        "Status": state.status, "Running": state.running, "Paused": state.paused, "Restarting": state.restarting,
        "OOMKilled": state.oom_killed, "Dead": state.dead, "Pid": state.pid,
        "ExitCode": state.exit_code, "Error": state.error, "StartedAt": rfc3339(state.started),
        "FinishedAt": rfc3339(state.finished), **({"Health": _health(state.health)} if state.health else {}),
    }


def _config(config: Config, image: str) -> Shape:
    shape: Shape = msgspec.to_builtins(config)
    optional = {name for name in ("StopSignal", "StopTimeout", "ExposedPorts", "Healthcheck") if not shape[name]}
    return {**{name: value for name, value in shape.items() if name not in optional},
            "Image": image, "Env": shape["Env"] or None, "Volumes": shape["Volumes"] or None, "OnBuild": None}


def _host(host: HostConfig) -> Shape:
    shape: Shape = {**_HOST_ZEROS, **msgspec.to_builtins(host)}
    shape["PortBindings"] = shape["PortBindings"] or {}
    unprotected = dict.fromkeys(("MaskedPaths", "ReadonlyPaths")) if host.privileged else {}
    return {**shape, **{name: shape[name] or [] for name in _LISTS}, **unprotected}


def _graph(layers: tuple[str, ...], paths: Paths, directory: str) -> Shape:
    lower = ":".join(str(paths.layers / layer.partition(":")[2] / "diff") for layer in reversed(layers))
    return {"Name": "overlay2", "Data": {"LowerDir": lower, "UpperDir": f"{directory}/upper",
                                         "WorkDir": f"{directory}/work"}}


_LISTS = ("Devices", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
          "BlkioDeviceWriteIOps", "Dns", "DnsOptions", "DnsSearch")  # never null, as Docker shows them

# Fields of Docker's HostConfig that this engine does not have yet, as it shows them when nobody asked for anything:
# clients (and `--format` templates) take their presence for granted.
_HOST_ZEROS: Mapping[str, object] = MappingProxyType({
    "ConsoleSize": [0, 0], "Cgroup": "",
    "Isolation": "", "DeviceRequests": None,
    "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
})
