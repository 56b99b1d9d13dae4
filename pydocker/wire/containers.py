"""Containers and exec sessions as the Engine API shows them (ContainerSummary, ContainerInspectResponse, …)."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from pydocker.model.container import Config, Container, ExecSession, HostConfig, State, Status
from pydocker.paths import Paths
from pydocker.wire.times import rfc3339, span
from runtime.spec.defaults import MASKED_PATHS, READONLY_PATHS

Shape = dict[str, object]


def summary(container: Container, now: float, *, renamed: bool = False) -> Shape:
    """One line of `GET /containers/json`; `now` in seconds since the epoch.

    `renamed`: the name that its image had is now another's or nobody's, and would mislead.
    """
    record = container.record
    return {
        "Id": record.id, "Names": [f"/{record.name}"],
        "Image": record.image if renamed else record.image_name, "ImageID": record.image,
        "Command": command(record.argv), "Created": int(record.created), "Ports": [], "Labels": record.config.labels,
        "State": container.state.status, "Status": phrase(container.state, now),
        "HostConfig": {"NetworkMode": record.host.network_mode},
        "NetworkSettings": {"Networks": {network(record.host): _ENDPOINT}}, "Mounts": [],
    }


def command(argv: tuple[str, ...]) -> str:
    """The command as Docker's `ps` writes it: arguments with a blank in them are quoted, the program never."""
    program, *arguments = argv or ("",)
    return " ".join([program, *(f"'{argument}'" if " " in argument else argument for argument in arguments)])


def phrase(state: State, now: float) -> str:
    """Docker's words for a state: `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`."""
    match state.status:
        case Status.RUNNING:
            return f"Up {span(now - state.started)}"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.CREATED:
            return "Created"
    return f"Exited ({state.exit_code}) {span(now - state.finished)} ago"


def network(host: HostConfig) -> str:
    """The network that a container is in: none, unless it asked for another."""
    return "none" if host.network_mode in ("", "default") else host.network_mode


def inspect(container: Container, paths: Paths, execs: tuple[str, ...] = ()) -> Shape:
    """`GET /containers/{id}/json`."""
    record, directory = container.record, paths.container(container.record.id)
    return {
        "Id": record.id, "Created": rfc3339(record.created), "Path": record.argv[0] if record.argv else "",
        "Args": record.argv[1:], "State": _state(container.state), "Image": record.image,
        "ResolvConfPath": str(directory / "resolv.conf"), "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": "" if record.host.log_config.type == "none" else str(directory / f"{record.id}-json.log"),
        "Name": f"/{record.name}", "RestartCount": 0, "Driver": "overlay2", "Platform": "linux", "MountLabel": "",
        "ProcessLabel": "", "AppArmorProfile": "", "ExecIDs": execs or None, "HostConfig": _host(record.host),
        "GraphDriver": _graph(record.layers, paths, str(directory)), "Mounts": [],
        "Config": _config(record.config, record.image_name), "NetworkSettings": _networks(record.host),
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
        "Status": state.status, "Running": state.running, "Paused": False, "Restarting": False,
        "OOMKilled": state.oom_killed, "Dead": state.status is Status.DEAD, "Pid": state.pid,
        "ExitCode": state.exit_code, "Error": state.error, "StartedAt": rfc3339(state.started),
        "FinishedAt": rfc3339(state.finished),
    }


def _config(config: Config, image: str) -> Shape:
    shape: Shape = msgspec.to_builtins(config)
    optional = {name for name in ("StopSignal", "StopTimeout", "ExposedPorts") if not shape[name]}
    return {**{name: value for name, value in shape.items() if name not in optional},
            "Image": image, "Volumes": shape["Volumes"] or None, "OnBuild": None}


def _host(host: HostConfig) -> Shape:
    hidden = ((), ()) if host.privileged else (MASKED_PATHS, READONLY_PATHS)
    return {**_HOST_ZEROS, "MaskedPaths": hidden[0], "ReadonlyPaths": hidden[1], **msgspec.to_builtins(host)}


def _graph(layers: tuple[str, ...], paths: Paths, directory: str) -> Shape:
    lower = ":".join(str(paths.layers / layer.partition(":")[2] / "diff") for layer in reversed(layers))
    return {"Name": "overlay2", "Data": {"LowerDir": lower, "UpperDir": f"{directory}/upper",
                                         "WorkDir": f"{directory}/work"}}


def _networks(host: HostConfig) -> Shape:
    return {
        "Bridge": "", "SandboxID": "", "SandboxKey": "", "Ports": {}, "HairpinMode": False,
        "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None, "EndpointID": "", "Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
        "Networks": {network(host): _ENDPOINT},
    }


_ENDPOINT: Shape = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "NetworkID": "",
    "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0, "DNSNames": None,
}

# Fields of Docker's HostConfig that this engine does not have yet, as it shows them when nobody asked for anything:
# clients (and `--format` templates) take their presence for granted.
_HOST_ZEROS: Mapping[str, object] = MappingProxyType({
    "Binds": None, "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "VolumeDriver": "",
    "VolumesFrom": None, "ConsoleSize": [0, 0], "CgroupnsMode": "private", "Dns": [], "DnsOptions": [],
    "DnsSearch": [], "ExtraHosts": None, "IpcMode": "private", "Cgroup": "", "Links": None, "PidMode": "",
    "PublishAllPorts": False, "UTSMode": "", "UsernsMode": "", "Isolation": "", "BlkioWeight": 0,
    "BlkioWeightDevice": [], "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [], "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "Devices": [],
    "DeviceCgroupRules": None, "DeviceRequests": None, "MemorySwappiness": None, "OomKillDisable": False,
    "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
})
